import { useEffect, useState } from "preact/hooks";
import { type Row, num, query, text } from "../api";
import { clock, count, ns, price } from "../format";
import { link, useApi } from "../hooks";
import { Answer, Panel, Side, State, T } from "../parts/basics";
import { type Column, Table } from "../parts/table";

const PAGE = 100;
const STATES = ["new", "acked", "partially_filled", "filled", "canceled", "rejected", "replaced", "done"];
const TYPING_MS = 250;

export function OrdersPage({ params }: { params: URLSearchParams }) {
  const asked = {
    q: params.get("q") ?? "",
    state: params.get("state") ?? "",
    sort: params.get("sort") ?? "request_ts",
    direction: params.get("direction") ?? "desc",
    offset: params.get("offset") ?? "",
  };
  const [typed, setTyped] = useState(asked.q);
  useEffect(() => setTyped(asked.q), [asked.q]);
  useEffect(() => {
    if (typed === asked.q) return;
    const timer = setTimeout(() => go({ q: typed }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const go = (change: Partial<typeof asked>) => {
    location.hash = link(["orders"], { ...asked, offset: "", ...change });
  };
  const answer = useApi<{ orders: Row[]; total: string }>("/api/orders" + query({ ...asked, limit: PAGE }));
  const sorting = {
    column: asked.sort,
    direction: asked.direction as "asc" | "desc",
    set: (column: string) => go({ sort: column, direction: column === asked.sort && asked.direction === "desc" ? "asc" : "desc" }),
  };
  return (
    <Panel
      title="Orders"
      note={answer.data && `${count(answer.data.total)} found`}
      actions={
        <form class="filters" role="search" onSubmit={(event) => { event.preventDefault(); go({ q: typed }); }}>
          <input
            type="search" placeholder="symbol, order id, client order id, account" aria-label="Search orders" data-testid="search"
            value={typed} onInput={(event) => setTyped(event.currentTarget.value)}
          />
          <select aria-label="State" data-testid="state" value={asked.state} onChange={(event) => go({ state: event.currentTarget.value })}>
            <option value="">every state</option>
            {STATES.map((state) => <option value={state} selected={state === asked.state}>{state.replace(/_/g, " ")}</option>)}
          </select>
        </form>
      }
    >
      <Answer of={answer}>
        {(data) => (
          <>
            <Table rows={data.orders} columns={COLUMNS} id="orders" sorting={sorting} empty="No order matches." open={(row) => { location.hash = link(["order", text(row.lineage_id)]); }} />
            <Pages offset={num(asked.offset || "0")} total={num(data.total)} go={(offset) => go({ offset: offset > 0 ? String(offset) : "" })} />
          </>
        )}
      </Answer>
    </Panel>
  );
}

export function Pages({ offset, total, go }: { offset: number; total: number; go: (offset: number) => void }) {
  if (total <= PAGE) return null;
  return (
    <div class="pages">
      <button type="button" disabled={offset === 0} onClick={() => go(offset - PAGE)}>← Before</button>
      <span>{count(offset + 1)} – {count(Math.min(offset + PAGE, total))} of {count(total)}</span>
      <button type="button" disabled={offset + PAGE >= total} onClick={() => go(offset + PAGE)}>Next →</button>
    </div>
  );
}

const COLUMNS: Column[] = [
  { head: "Request (UTC)", sort: "request_ts", cell: (row) => <span class="mono">{clock(row.request_ts)}</span> },
  { head: "Client order id", cell: (row) => <a class="mono" href={link(["order", text(row.lineage_id)])}><T of={row.cl_ord_id ?? row.lineage_id} /></a> },
  { head: "Symbol", sort: "symbol", cell: (row) => <T of={row.symbol} /> },
  { head: "Side", sort: "side", cell: (row) => <Side side={row.side} /> },
  { head: "Qty", sort: "qty", right: true, cell: (row) => count(row.qty) },
  { head: "Price", sort: "price", right: true, cell: (row) => price(row.price) },
  { head: "State", sort: "state", cell: (row) => <State state={row.state} /> },
  { head: "Filled", sort: "fills", right: true, cell: (row) => <>{count(row.qty_cum)}{num(row.fills) > 0 && <span class="dim"> /{text(row.fills)}</span>}</> },
  { head: "Tick to order", sort: "tick_to_order_ns", right: true, cell: (row) => ns(row.tick_to_order_ns) },
  { head: "Gateway", sort: "relay_ns", right: true, cell: (row) => ns(row.relay_ns) },
  { head: "Ack", sort: "ack_ns", right: true, cell: (row) => ns(row.ack_ns) },
  { head: "First fill", sort: "first_fill_ns", right: true, cell: (row) => ns(row.first_fill_ns) },
  { head: "Venue id", cell: (row) => <span class="mono dim"><T of={row.order_id ?? row.order_id_txt} /></span> },
  { head: "Seen", sort: "observations", right: true, title: "observations", cell: (row) => count(row.observations) },
];
