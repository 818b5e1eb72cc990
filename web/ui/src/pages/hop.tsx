import { type Histogram, type Row, type Series, num, query, text } from "../api";
import { bounds, confidence, count, ns, percent, time } from "../format";
import { link, useApi } from "../hooks";
import { Answer, Kind, Panel, Point } from "../parts/basics";
import { HistogramChart, SeriesChart } from "../parts/chart";
import { type Column, Table } from "../parts/table";

export function HopPage({ params }: { params: URLSearchParams }) {
  const hop = {
    link_kind: params.get("link_kind") ?? "",
    message_kind: params.get("message_kind") ?? "all",
    from_point: params.get("from_point") ?? "",
    to_point: params.get("to_point") ?? "",
  };
  const asked = query(hop);
  const histogram = useApi<Histogram>(`/api/hops/histogram${asked}`);
  const series = useApi<Series>(`/api/hops/series${asked}`);
  const slowest = useApi<{ links: Row[] }>(`/api/hops/slowest${asked}`);
  const hops = useApi<{ hops: Row[] }>("/api/hops");
  const kinds = (hops.data?.hops ?? []).filter(
    (row) => row.link_kind === hop.link_kind && row.from_point === hop.from_point && row.to_point === hop.to_point,
  );
  return (
    <>
      <div class="title">
        <h1><Point name={hop.from_point} /> <span class="dim">→</span> <Point name={hop.to_point} /></h1>
        <Kind kind={hop.link_kind} />
        <label>Messages{" "}
          <select
            value={hop.message_kind}
            data-testid="message-kind"
            onChange={(event) => { location.hash = link(["hop"], { ...hop, message_kind: event.currentTarget.value }); }}
          >
            {kinds.map((row) => <option value={text(row.message_kind)} selected={row.message_kind === hop.message_kind}>{text(row.message_kind)} ({count(row.n)})</option>)}
          </select>
        </label>
      </div>
      <Answer of={histogram}>
        {(data) => (
          <>
            <Numbers hop={data.hop} />
            <Panel title="Distribution" note={`buckets of ${ns(data.width_ns)}; ${count(data.beyond)} links beyond the last`}>
              {data.buckets.length > 0 ? <HistogramChart of={data} /> : <p class="empty">No link was measured.</p>}
            </Panel>
          </>
        )}
      </Answer>
      <Panel title="Over time" note={series.data && `one value every ${ns(series.data.width_ns)}, by the time of the first end`}>
        <Answer of={series}>{(data) => <SeriesChart of={data} />}</Answer>
      </Panel>
      <Panel title="Slowest links">
        <Answer of={slowest}>
          {(data) => <Table rows={data.links} columns={LINKS} id="slowest-links" empty="No link was measured." open={openLink} />}
        </Answer>
      </Panel>
    </>
  );
}

function openLink(row: Row) {
  if (row.lineage_id !== null) location.hash = link(["order", text(row.lineage_id)]);
}

function Numbers({ hop }: { hop: Row }) {
  const figures: [string, string, string?][] = [
    ["min", ns(hop.min_ns)],
    ["p50", ns(hop.p50_ns), bounds(hop.lo_p50_ns, hop.hi_p50_ns) || (hop.same_clock ? "same clock" : "clocks not bounded")],
    ["p90", ns(hop.p90_ns)],
    ["p99", ns(hop.p99_ns)],
    ["p99.9", ns(hop.p999_ns), hop.p999_ns === null ? "needs 10 000 links" : undefined],
    ["max", ns(hop.max_ns)],
    ["jitter", ns(num(hop.p99_ns) - num(hop.p50_ns)), "p99 − p50"],
    ["matched", percent(num(hop.matched), num(hop.matched) + num(hop.unmatched)), `${count(hop.n)} links, ${count(hop.unmatched)} open`],
    ["lost", count(hop.lost), "not seen at the end"],
  ];
  return (
    <div class="numbers" data-testid="hop-numbers">
      {figures.map(([name, value, note]) => (
        <div><span class="dim">{name}</span><strong>{value}</strong><small class="dim">{note ?? "\u00a0"}</small></div>
      ))}
    </div>
  );
}

const LINKS: Column[] = [
  { head: "From", cell: (row) => <span class="mono">{time(row.from_ts)}</span> },
  { head: "Message", cell: (row) => text(row.message_kind) },
  { head: "Protocol", cell: (row) => <span class="dim">{text(row.protocol)}</span> },
  { head: "Line", cell: (row) => (row.line === null ? "" : <span class="line">{text(row.line)}</span>) },
  { head: "Latency", right: true, cell: (row) => <b>{ns(row.latency_ns)}</b> },
  { head: "[lo, hi]", cell: (row) => <span class="mono dim">{bounds(row.lo_ns, row.hi_ns)}</span> },
  { head: "Rule", cell: (row) => text(row.rule) },
  { head: "Conf.", right: true, cell: (row) => confidence(row.confidence) },
  { head: "Order", cell: (row) => (row.lineage_id === null ? <span class="dim">none</span> : <a href={link(["order", text(row.lineage_id)])}>waterfall</a>) },
];
