import { type Health, type Light, type Row, type Summary, num, text } from "../api";
import { bounds, bytes, confidence, count, ns, percent, time } from "../format";
import { link, useApi } from "../hooks";
import { Answer, Kind, Lamp, Panel, Point, Side, State, T } from "../parts/basics";
import { type Column, Table } from "../parts/table";

export function OverviewPage() {
  const summary = useApi<Summary>("/api/summary");
  const hops = useApi<{ hops: Row[] }>("/api/hops");
  const lines = useApi<{ lines: Row[] }>("/api/lines");
  const nodes = useApi<{ nodes: Row[] }>("/api/nodes");
  const slowest = useApi<{ orders: Row[] }>("/api/orders?sort=tick_to_order_ns&limit=8");
  return (
    <>
      <Answer of={summary}>
        {(data) => (
          <>
            <HealthStrip health={data.health} />
            <Stages data={data} />
          </>
        )}
      </Answer>
      <Answer of={nodes}>{(data) => data.nodes.length > 0 && <Nodes nodes={data.nodes} />}</Answer>
      <Panel title="Hops" id="hops" note="latency between points, by how the two ends are linked; click one for its distribution">
        <Answer of={hops}>{(data) => <HopStrip hops={data.hops} />}</Answer>
      </Panel>
      <div class="two">
        <Panel title="Slowest orders" id="slowest" note="by tick to order" actions={<a href={link(["orders"], { sort: "tick_to_order_ns" })}>all orders</a>}>
          <Answer of={slowest}>{(data) => <Slowest orders={data.orders} />}</Answer>
        </Panel>
        <Panel title="A/B lines" id="lines" note="who is first, by how much, and what is missing">
          <Answer of={lines}>{(data) => <Lines lines={data.lines} />}</Answer>
        </Panel>
      </div>
      <Answer of={summary}>
        {(data) => (
          <>
            <div class="two">
              <Panel title="Match quality" id="rules" note="links by rule">
                <Table rows={data.rules} columns={RULES} empty="Nothing has been linked yet." />
              </Panel>
              <Panel title="Losses by cause" id="losses" actions={<a href="#/losses">all losses</a>}>
                <Table rows={data.losses} columns={LOSSES} empty="Nothing is missing." open={(row) => { location.hash = link(["losses"], { cause: text(row.cause) }); }} />
                <h3>Clocks</h3>
                <Table rows={data.clocks} columns={CLOCKS} empty="No two clocks have been compared." />
              </Panel>
            </div>
            <Panel title="Captures" id="captures" note={range(data)} actions={<a href="#/points">flows</a>}>
              <Table rows={data.captures} columns={CAPTURES} empty="Nothing has been captured yet. taptrail import brings captures in." />
            </Panel>
          </>
        )}
      </Answer>
    </>
  );
}

const NODES: Column[] = [
  { head: "Node", cell: (row) => <b>{text(row.node)}</b> },
  { head: "", cell: (row) => <Lamp light={text(row.light) as Light} /> },
  { head: "State", cell: (row) => <span class="wrap">{text(row.text)}</span> },
  { head: "Points", cell: (row) => <span class="wrap dim">{text(row.points)}</span> },
  { head: "Ships", cell: (row) => <span class="dim">{text(row.policy)}</span> },
  { head: "Captures here", right: true, cell: (row) => count(row.imports) },
  { head: "Bytes", right: true, cell: (row) => bytes(row.bytes) },
  { head: "Lag", right: true, cell: (row) => ns(row.lag_ms === null ? null : num(row.lag_ms) * 1e6) },
  { head: "Waiting", right: true, cell: (row) => count(row.waiting) },
  { head: "of spool", right: true, title: "bytes that wait, of those that may", cell: (row) => `${bytes(row.waiting_bytes)} / ${bytes(row.spool_bytes)}` },
  { head: "Let go", right: true, title: "captures removed before they were shipped", cell: (row) => <T of={row.let_go} /> },
  { head: "Refused", right: true, cell: (row) => <T of={row.refused} /> },
  { head: "Last heard of", cell: (row) => <span class="mono">{time(row.seen)}</span> },
];

function Nodes({ nodes }: { nodes: Row[] }) {
  return (
    <Panel title="Nodes" id="nodes" note="what ships here, and how far it is behind">
      <Table rows={nodes} columns={NODES} empty="" />
    </Panel>
  );
}

function range(data: Summary): string {
  return data.range?.first_ts ? `${time(data.range.first_ts)} – ${time(data.range.last_ts)}` : "";
}

function HealthStrip({ health }: { health: Health[] }) {
  return (
    <div class="health" data-testid="health">
      {health.map(({ area, light, text }) => (
        <div class={`tile ${light}`} data-testid={`health-${area}`} data-light={light}>
          <Lamp light={light} />
          <div><strong>{area}</strong><p>{text}</p></div>
        </div>
      ))}
    </div>
  );
}

const STAGES: Record<string, [string, string]> = {
  tick_to_order: ["Tick to order", "market data in → order out"],
  relay: ["Gateway", "order → its copy to the venue"],
  ack: ["Order to ack", "order → acknowledgement"],
  first_fill: ["Order to fill", "order → first execution"],
};

function Stages({ data }: { data: Summary }) {
  const orders = data.states.reduce((sum, row) => sum + num(row.n), 0);
  const stages = Object.keys(STAGES).map((stage) => data.stages.find((row) => row.stage === stage)).filter((row) => row !== undefined);
  return (
    <div class="stages" data-testid="stages">
      {stages.map((row) => (
        <div class="figure">
          <h3>{STAGES[text(row.stage)][0]}</h3>
          <p class="big">{ns(row.p50_ns)}<small>p50</small></p>
          <p class="sub"><span><b>{ns(row.p99_ns)}</b> p99</span> <span><b>{ns(row.max_ns)}</b> max</span> <span><b>{count(row.n)}</b> orders</span></p>
          <p class="dim">{STAGES[text(row.stage)][1]}</p>
        </div>
      ))}
      <div class="figure wide">
        <h3>Orders</h3>
        <p class="big">{count(orders)}</p>
        <div class="shares" aria-hidden="true">{data.states.map((row) => <i class={`s-${text(row.state)}`} style={{ flexGrow: num(row.n) }} />)}</div>
        <p class="sub">{data.states.map((row) => (
          <a href={link(["orders"], { state: text(row.state) })}><i class={`chip s-${text(row.state)}`} />{text(row.state).replace(/_/g, " ")} <b>{count(row.n)}</b></a>
        ))}</p>
      </div>
    </div>
  );
}

const GROUPS: [string, string, string][] = [
  ["same", "On the way", "the same message at the next point"],
  ["trigger", "Tick to order", "market data → the order it triggered"],
  ["relay", "Through the gateway", "an order or answer that was renamed"],
  ["ack", "Order to ack", "request → answer at one point"],
  ["fill", "Order to fill", "request → execution at one point"],
  ["done", "Order to end", "request → an end nobody asked for"],
  ["public", "Private to public", "the venue's answer → its public feed; negative: the feed was first"],
  ["chain", "Version to version", "request → the next version's request"],
];

function HopStrip({ hops }: { hops: Row[] }) {
  const all = hops.filter((hop) => hop.message_kind === "all");
  if (all.length === 0) return <p class="empty">No hop has been measured yet.</p>;
  return (
    <div class="hop-groups">
      {GROUPS.map(([kind, title, meaning]) => {
        const group = inOrder(all.filter((hop) => hop.link_kind === kind));
        return group.length > 0 && (
          <div class="hop-group">
            <div class="hop-title" title={meaning}><Kind kind={kind} /><strong>{title}</strong></div>
            <div class="hop-strip">{group.map((hop) => <HopCard hop={hop} />)}</div>
          </div>
        );
      })}
    </div>
  );
}

/** Hops one after another along the path, as far as they join. */
function inOrder(hops: Row[]): Row[] {
  const left = [...hops];
  const sorted: Row[] = [];
  while (left.length > 0) {
    const last = sorted.at(-1)?.to_point;
    let next = left.findIndex((hop) => hop.from_point === last);
    if (next === -1) next = left.findIndex((hop) => !left.some((other) => other !== hop && other.to_point === hop.from_point));
    sorted.push(...left.splice(Math.max(next, 0), 1));
  }
  return sorted;
}

function HopCard({ hop }: { hop: Row }) {
  const to = link(["hop"], {
    link_kind: text(hop.link_kind), message_kind: "all", from_point: text(hop.from_point), to_point: text(hop.to_point),
  });
  const lost = num(hop.lost), unmatched = num(hop.unmatched);
  const interval = bounds(hop.lo_p50_ns, hop.hi_p50_ns);
  return (
    <a class="hop" href={to} data-testid="hop-card">
      <span class="way"><Point name={hop.from_point} /><i class="arrow">→</i><Point name={hop.to_point} /></span>
      <span class="p50">{ns(hop.p50_ns)}</span>
      <span class="p99">p99 {ns(hop.p99_ns)}</span>
      <span class="dim">{interval ? `p50 in ${interval}` : hop.same_clock ? "same clock" : "clocks not bounded"}</span>
      <span class="dim">n {count(hop.n)}{lost > 0 && <b class="bad"> · {count(hop.lost)} lost</b>}{unmatched > 0 && <b class="warn"> · {count(hop.unmatched)} open</b>}</span>
    </a>
  );
}

function Slowest({ orders }: { orders: Row[] }) {
  const columns: Column[] = [
    { head: "Order", cell: (row) => <span class="mono"><T of={row.cl_ord_id ?? row.lineage_id} /></span> },
    { head: "Symbol", cell: (row) => <T of={row.symbol} /> },
    { head: "Side", cell: (row) => <Side side={row.side} /> },
    { head: "Tick to order", right: true, cell: (row) => <b>{ns(row.tick_to_order_ns)}</b> },
    { head: "Ack", right: true, cell: (row) => ns(row.ack_ns) },
    { head: "State", cell: (row) => <State state={row.state} /> },
  ];
  const triggered = orders.filter((row) => row.tick_to_order_ns !== null);
  return <Table rows={triggered} columns={columns} id="slowest-orders" empty="No order has a known trigger yet." open={(row) => { location.hash = link(["order", text(row.lineage_id)]); }} />;
}

function Lines({ lines }: { lines: Row[] }) {
  const all = (row: Row) => lines.filter((other) => other.point === row.point && other.session === row.session && other.protocol === row.protocol).reduce((sum, other) => sum + num(other.first), 0);
  const columns: Column[] = [
    { head: "Point", cell: (row) => <Point name={row.point} /> },
    { head: "Feed", title: "session of the feed", cell: (row) => <span title={text(row.protocol)}><T of={row.session} /></span> },
    { head: "Line", cell: (row) => <span class="line">{text(row.line)}</span> },
    { head: "Messages", right: true, cell: (row) => count(row.messages) },
    { head: "First", right: true, cell: (row) => <Share part={num(row.first)} all={all(row)} /> },
    { head: "Lead p50", right: true, cell: (row) => ns(row.lead_p50_ns) },
    { head: "p99", right: true, cell: (row) => ns(row.lead_p99_ns) },
    { head: "Missing", right: true, cell: (row) => <b class={num(row.missing) > 0 ? "warn" : "dim"}>{count(row.missing)}</b> },
    { head: "Only here", right: true, cell: (row) => count(row.only_here) },
  ];
  return <Table rows={lines} columns={columns} empty="No feed with two lines has been seen." />;
}

function Share({ part, all }: { part: number; all: number }) {
  return (
    <span class="share">
      <svg width="46" height="8" aria-hidden="true"><rect class="track" width="46" height="8" rx="2" /><rect class="fill" width={all > 0 ? (46 * part) / all : 0} height="8" rx="2" /></svg>
      {percent(part, all)}
    </span>
  );
}

const RULES: Column[] = [
  { head: "Link", cell: (row) => <Kind kind={row.kind} /> },
  { head: "Rule", cell: (row) => text(row.rule) },
  { head: "Links", right: true, cell: (row) => count(row.n) },
  { head: "Confidence", right: true, title: "mean", cell: (row) => confidence(row.confidence) },
  { head: "Candidates", right: true, title: "most that one link could have chosen", cell: (row) => count(row.candidates_max) },
  { head: "Skipped", right: true, title: "links past a point that should have seen the message", cell: (row) => count(row.skipped) },
];

const LOSSES: Column[] = [
  { head: "Cause", cell: (row) => <span class={`tag ${row.cause === "both_lines" ? "bad" : "warn"}`}>{text(row.cause).replace(/_/g, " ")}</span> },
  { head: "Runs", right: true, cell: (row) => count(row.runs) },
  { head: "Missing", right: true, cell: (row) => `${row.missing === null ? "unknown" : count(row.missing)} ${text(row.unit)}` },
];

const CLOCKS: Column[] = [
  { head: "Clock", cell: (row) => text(row.clock_from) },
  { head: "Against", cell: (row) => text(row.clock_to) },
  { head: "Offset", right: true, cell: (row) => ns(row.offset_ns) },
  { head: "Bound", right: true, cell: (row) => (row.bound_ns === null ? <b class="warn">none</b> : `±${ns(row.bound_ns)}`) },
  { head: "Drift", right: true, cell: (row) => (row.drift_ppb === null ? "–" : `${text(row.drift_ppb)} ppb`) },
  { head: "Method", cell: (row) => text(row.method) },
];

/** A counter that some sources cannot give. */
function dropped(cell: Row[string]) {
  if (cell === null) return <span class="dim" title="the source cannot tell">n/a</span>;
  return num(cell) > 0 ? <b class="bad">{count(cell)}</b> : <>{count(cell)}</>;
}

const CAPTURES: Column[] = [
  { head: "Point", cell: (row) => <Point name={row.point} /> },
  { head: "Captures", right: true, cell: (row) => count(row.captures) },
  { head: "Packets", right: true, cell: (row) => count(row.packets) },
  { head: "Bytes", right: true, cell: (row) => bytes(row.packet_bytes) },
  { head: "Messages", right: true, cell: (row) => count(row.messages) },
  { head: "Not decoded", right: true, cell: (row) => (num(row.not_decoded) > 0 ? <b class="warn">{count(row.not_decoded)}</b> : count(row.not_decoded)) },
  { head: "Ring drops", right: true, cell: (row) => dropped(row.lost_ring) },
  { head: "NIC drops", right: true, cell: (row) => dropped(row.lost_interface) },
  { head: "Recorded drops", right: true, cell: (row) => dropped(row.lost_recorded) },
  { head: "Warnings", right: true, cell: (row) => <span title={text(row.first_warning)}>{count(row.warnings)}</span> },
  { head: "First packet", cell: (row) => <span class="mono">{time(row.first_ts)}</span> },
  { head: "Last packet", cell: (row) => <span class="mono">{time(row.last_ts)}</span> },
];
