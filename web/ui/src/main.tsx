import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { useRoute, Version } from "./hooks";
import { HopPage } from "./pages/hop";
import { LossesPage } from "./pages/losses";
import { OrderPage } from "./pages/order";
import { OrdersPage } from "./pages/orders";
import { OverviewPage } from "./pages/overview";
import { PointsPage } from "./pages/points";
import { SqlPage } from "./pages/sql";

/** Between two tries where the server cannot be reached. */
const RETRY_MS = 500;

const PAGES: [string, string][] = [
  ["", "Overview"],
  ["orders", "Orders"],
  ["losses", "Losses"],
  ["points", "Points"],
  ["sql", "SQL"],
];

interface State {
  version: string;
  software: string;
  captures: number;
}

/** Follows the store: `version` changes whenever its contents do. */
function useStoreState(): { state?: State; reachable: boolean } {
  const [now, setNow] = useState<{ state?: State; reachable: boolean }>({ reachable: true });
  useEffect(() => {
    let timer = 0;
    let events: EventSource;
    const listen = () => {
      events = new EventSource("/api/events");
      events.addEventListener("state", (event) => setNow({ state: JSON.parse(event.data), reachable: true }));
      events.onerror = () => {
        events.close();
        setNow((before) => (before.reachable ? { ...before, reachable: false } : before));
        timer = window.setTimeout(listen, RETRY_MS);
      };
    };
    listen();
    return () => {
      clearTimeout(timer);
      events.close();
    };
  }, []);
  return now;
}

function Page({ path, params }: { path: string[]; params: URLSearchParams }) {
  switch (path[0]) {
    case "":
      return <OverviewPage />;
    case "hop":
      return <HopPage params={params} />;
    case "orders":
      return <OrdersPage params={params} />;
    case "order":
      return <OrderPage id={path[1] ?? ""} />;
    case "losses":
      return <LossesPage params={params} />;
    case "points":
      return <PointsPage />;
    case "sql":
      return <SqlPage params={params} />;
    default:
      return <p class="empty">There is no such page. <a href="#/">Overview</a></p>;
  }
}

const PARENT: Record<string, string> = { hop: "", order: "orders" };

function App() {
  const { path, params } = useRoute();
  const { state, reachable } = useStoreState();
  const here = PARENT[path[0]] ?? path[0];
  useEffect(() => {
    const name = PAGES.find(([page]) => page === here)?.[1];
    document.title = name && here !== "" ? `${name} · taptrail` : "taptrail";
    document.getElementById("main")?.scrollTo(0, 0);
  }, [path.join("/")]);
  return (
    <Version.Provider value={state?.version ?? ""}>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")?.focus(); }}>
        Skip to content
      </a>
      <header class="bar">
        <a class="brand" href="#/"><img src="/icon.svg" alt="" width="20" height="20" />taptrail</a>
        <nav aria-label="Pages">
          {PAGES.map(([page, name]) => (
            <a href={`#/${page}`} aria-current={page === here ? "page" : undefined} data-testid={`nav-${page || "overview"}`}>
              {name}
            </a>
          ))}
        </nav>
        <span class="grow" />
        <span class={`live ${reachable ? "on" : "off"}`} data-testid="live" role="status">
          {reachable ? `${state?.captures ?? 0} captures` : "server not reachable"}
        </span>
      </header>
      <main id="main" tabIndex={-1}>
        <Page path={path} params={params} />
      </main>
      <footer>Times are UTC as stamped at the point; latencies are clock-corrected. <a href="/api/openapi.json">API</a>{state && <span> · {state.software}</span>}</footer>
    </Version.Provider>
  );
}

render(<App />, document.getElementById("app")!);
