import { type Row, num, query, text } from "../api";
import { clock, count, day, ns } from "../format";
import { link, useApi } from "../hooks";
import { Answer, Panel, Point, T } from "../parts/basics";
import { type Column, Table } from "../parts/table";
import { Pages } from "./orders";

const CAUSES: [string, string][] = [
  ["both_lines", "no line delivered it: it is gone"],
  ["network", "seen before this point, not at it, and the capture had no drops"],
  ["capture", "the capture missed it, the network did not: seen further on, or (packets) counted by the capture itself"],
  ["upstream", "missing at the first point already"],
  ["unknown", "nothing tells"],
];

export function LossesPage({ params }: { params: URLSearchParams }) {
  const asked = { cause: params.get("cause") ?? "", point: params.get("point") ?? "", offset: params.get("offset") ?? "" };
  const answer = useApi<{ losses: Row[]; total: Row }>("/api/losses" + query({ ...asked, limit: 100 }));
  const go = (change: Partial<typeof asked>) => { location.hash = link(["losses"], { ...asked, offset: "", ...change }); };
  return (
    <Panel
      title="Losses"
      note={answer.data && `${count(answer.data.total.missing ?? "0")} messages${answer.data.total.packets ? `, ${count(answer.data.total.packets)} packets counted by captures,` : ""} in ${count(answer.data.total.n)} runs`}
      actions={
        <span class="filters">
          {asked.point && <button type="button" onClick={() => go({ point: "" })}>point {asked.point} ✕</button>}
          <select aria-label="Cause" data-testid="cause" value={asked.cause} onChange={(event) => go({ cause: event.currentTarget.value })}>
            <option value="">every cause</option>
            {CAUSES.map(([cause]) => <option value={cause} selected={cause === asked.cause}>{cause.replace(/_/g, " ")}</option>)}
          </select>
        </span>
      }
    >
      {asked.cause && <p class="hint">{CAUSES.find(([cause]) => cause === asked.cause)?.[1]}</p>}
      <Answer of={answer}>
        {(data) => (
          <>
            <Table rows={data.losses} columns={COLUMNS} id="loss-table" empty="Nothing is missing." />
            <Pages offset={num(asked.offset || "0")} total={num(data.total.n)} go={(offset) => go({ offset: String(offset) })} />
          </>
        )}
      </Answer>
    </Panel>
  );
}

function lasted(row: Row): string {
  if (row.ts_lo === null || row.ts_hi === null) return "–";
  return ns(Number(BigInt(text(row.ts_hi)) - BigInt(text(row.ts_lo))));
}

const COLUMNS: Column[] = [
  { head: "Day", cell: (row) => <span class="mono dim">{row.ts_lo === null ? "–" : day(text(row.ts_lo))}</span> },
  { head: "After (UTC)", cell: (row) => <span class="mono">{clock(row.ts_lo)}</span> },
  { head: "Lasted", right: true, cell: lasted },
  { head: "Point", cell: (row) => <Point name={row.point} /> },
  { head: "Line", cell: (row) => (row.line === null ? "" : <span class="line">{text(row.line)}</span>) },
  { head: "Cause", cell: (row) => <span class={`tag ${row.cause === "both_lines" ? "bad" : row.cause === "unknown" ? "mute" : "warn"}`}>{text(row.cause).replace(/_/g, " ")}</span> },
  { head: "Missing", right: true, cell: (row) => <b>{row.count === null ? "unknown" : count(row.count)}</b> },
  { head: "Sequence", cell: (row) => <span class="mono">{row.first_seq === null ? "–" : row.first_seq === row.last_seq ? text(row.first_seq) : `${text(row.first_seq)} – ${text(row.last_seq)}`}</span> },
  { head: "Session", cell: (row) => <T of={row.session} /> },
  { head: "Protocol", cell: (row) => <span class="dim">{text(row.protocol)}</span> },
  { head: "Evidence", cell: (row) => <span class="wrap">{text(row.evidence)}</span> },
];
