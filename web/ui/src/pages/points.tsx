import { type Row, num, text } from "../api";
import { bytes, count, time } from "../format";
import { useApi } from "../hooks";
import { Answer, Panel, Point, T } from "../parts/basics";
import { type Column, Table } from "../parts/table";

export function PointsPage() {
  const answer = useApi<{ captures: Row[]; flows: Row[] }>("/api/points");
  return (
    <Answer of={answer}>
      {(data) => (
        <>
          <Panel title="Flows" note={`${count(data.flows.length)} of the busiest`}>
            <Table rows={data.flows} columns={FLOWS} id="flows" empty="No flow has been seen." />
          </Panel>
          <Panel title="Captures" note={count(data.captures.length)}>
            <Table rows={data.captures} columns={CAPTURES} id="capture-table" empty="Nothing has been captured yet." />
          </Panel>
        </>
      )}
    </Answer>
  );
}

function address(host: Row[string], port: Row[string]): string {
  const name = text(host);
  if (port === null) return name;
  return name.includes(":") ? `[${name}]:${text(port)}` : `${name}:${text(port)}`;
}

function warned(cell: Row[string]) {
  return num(cell) > 0 ? <b class="warn">{count(cell)}</b> : <span class="dim">{count(cell)}</span>;
}

const FLOWS: Column[] = [
  { head: "Point", cell: (row) => <Point name={row.point} /> },
  { head: "", cell: (row) => <span class="dim">{text(row.transport)}</span> },
  { head: "From", cell: (row) => <span class="mono">{address(row.src_addr, row.src_port)}</span> },
  { head: "To", cell: (row) => <span class="mono">{address(row.dst_addr, row.dst_port)}</span> },
  { head: "VLAN", right: true, cell: (row) => <T of={row.vlan} /> },
  { head: "Protocol", cell: (row) => (row.protocol === null ? <b class="warn">not recognised</b> : text(row.protocol)) },
  { head: "Known", cell: (row) => <span class="dim"><T of={row.recognised} /></span> },
  { head: "Line", cell: (row) => (row.line === null ? "" : <span class="line">{text(row.line)}</span>) },
  { head: "Packets", right: true, cell: (row) => count(row.packets) },
  { head: "Payload", right: true, cell: (row) => bytes(row.bytes) },
  { head: "Messages", right: true, cell: (row) => count(row.messages) },
  { head: "Gaps", right: true, cell: (row) => warned(row.gaps) },
  { head: "Missing", right: true, cell: (row) => warned(row.missing) },
  { head: "Errors", right: true, cell: (row) => warned(row.errors) },
  { head: "Note", cell: (row) => <span class="wrap dim">{text(row.note)}</span> },
];

const CAPTURES: Column[] = [
  { head: "Point", cell: (row) => <Point name={row.point} /> },
  { head: "Source", cell: (row) => <span class="wrap">{text(row.source)}</span> },
  { head: "Capture id", cell: (row) => <span class="mono dim">{text(row.capture_id)}</span> },
  { head: "Packets", right: true, cell: (row) => count(row.packets) },
  { head: "Bytes", right: true, cell: (row) => bytes(row.packet_bytes) },
  { head: "Messages", right: true, cell: (row) => count(row.messages) },
  { head: "Not decoded", right: true, cell: (row) => warned(row.not_decoded) },
  { head: "Warnings", right: true, cell: (row) => warned(row.warnings) },
  { head: "First warning", cell: (row) => <span class="wrap dim">{text(row.first_warning)}</span> },
  { head: "First packet", cell: (row) => <span class="mono">{time(row.first_ts)}</span> },
  { head: "Last packet", cell: (row) => <span class="mono">{time(row.last_ts)}</span> },
];
