import { useRef, useState } from "preact/hooks";
import { type Row, num, text } from "../api";
import { bounds, confidence, ns, since } from "../format";
import { Kind, Point, T } from "./basics";
import { step } from "./table";

const ROW = 30;
const WIDTH = 470;
const PAD = 14;

/**
 * Places on the axis: `linear` in time, or `even`, where each pause takes room
 * by its magnitude, so that 300 ns and 3 ms are both seen.
 */
function places(times: number[], even: boolean): (at: number) => number {
  const sorted = [...new Set(times)].sort((a, b) => a - b);
  const spans = sorted.map((at, index) => {
    if (index === 0) return 0;
    const pause = at - sorted[index - 1];
    return even ? 0.35 + Math.log10(1 + pause / 50) : pause;
  });
  let total = 0;
  const ends = spans.map((span) => (total += span));
  const scale = (WIDTH - 2 * PAD) / (total || 1);
  return (at) => {
    const after = sorted.findIndex((known) => known >= at);
    if (after === -1) return PAD + total * scale;
    if (after === 0 || sorted[after] === at) return PAD + ends[after] * scale;
    const share = (at - sorted[after - 1]) / (sorted[after] - sorted[after - 1]);
    return PAD + (ends[after - 1] + share * (ends[after] - ends[after - 1])) * scale;
  };
}

/** An observation's own words: native type, sequence, ids. */
export function words(row: Row): string {
  const parts = text(row.protocol).split(".").filter((part) => !/^\d/.test(part));
  const fix = parts[0] === "fix";
  const native = fix ? `35=${text(row.msg_type).replace(/^35=/, "")}` : text(row.msg_type);
  const product = fix ? "FIX" : (parts.at(-1) ?? "").replace("totalview-", "").toUpperCase();
  return [product, native, row.seq !== null && `seq ${text(row.seq)}`].filter(Boolean).join(" · ");
}

export function Waterfall({ rows, chosen, choose }: { rows: Row[]; chosen: number; choose: (ord: number) => void }) {
  const [even, setEven] = useState(true);
  const body = useRef<HTMLTableSectionElement>(null);
  const byOrd = new Map(rows.map((row) => [num(row.ord), row]));
  const x = places(rows.map((row) => num(row.since_first_ns)), even);
  return (
    <div>
      <div class="tools">
        <span class="switch" role="group" aria-label="Time axis">
          <button type="button" aria-pressed={even} onClick={() => setEven(true)}>Every step visible</button>
          <button type="button" aria-pressed={!even} onClick={() => setEven(false)} data-testid="axis-linear">Linear time</button>
        </span>
        <Legend rows={rows} />
      </div>
      <div class="scroll">
        <table class="waterfall opens" data-testid="waterfall">
          <thead>
            <tr>
              <th class="r">Since first</th><th>Point</th><th>Event</th><th>Message</th>
              <th class="bars">{ns(0)} → {since(rows.at(-1)?.since_first_ns)}{even && " (not to scale)"}</th>
              <th class="r">Latency</th><th>[lo, hi]</th><th>Evidence</th>
            </tr>
          </thead>
          <tbody ref={body}>
            {rows.map((row, index) => (
              <tr
                tabIndex={0}
                data-testid="observation"
                aria-selected={num(row.ord) === chosen}
                class={num(row.ord) === chosen ? "chosen" : undefined}
                onClick={() => choose(num(row.ord))}
                onKeyDown={(event) => {
                  if (event.key === "Enter" || event.key === " ") {
                    event.preventDefault();
                    choose(num(row.ord));
                  }
                  step(event);
                }}
              >
                <td class="r mono">{since(row.since_first_ns)}</td>
                <td><Point name={row.point} />{row.line && <span class="line">{text(row.line)}</span>}</td>
                <td>{text(row.kind)}</td>
                <td class="dim" title={text(row.protocol)}>{words(row)}</td>
                {index === 0 && (
                  <td class="bars" rowSpan={rows.length}><Bars rows={rows} byOrd={byOrd} x={x} chosen={chosen} choose={choose} /></td>
                )}
                <td class="r mono">{row.via === null ? "" : ns(row.latency_ns)}</td>
                <td class="dim mono">{bounds(row.lo_ns, row.hi_ns)}</td>
                <td><Evidence row={row} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function Evidence({ row }: { row: Row }) {
  if (row.via === null) return <span class="dim">first observation</span>;
  return (
    <span class="evidence">
      <Kind kind={row.via} /> <span class="dim"><T of={row.rule} /></span>{" "}
      <span class={num(row.confidence) < 0.9 ? "unsure" : "dim"} title="confidence">{confidence(row.confidence)}</span>
      {num(row.candidates) > 1 && <span class="unsure"> {text(row.candidates)} candidates</span>}
    </span>
  );
}

function Legend({ rows }: { rows: Row[] }) {
  const kinds = [...new Set(rows.map((row) => text(row.via)).filter(Boolean))];
  return <span class="legend">{kinds.map((kind) => <Kind kind={kind} />)}</span>;
}

interface BarsProps {
  rows: Row[];
  byOrd: Map<number, Row>;
  x: (at: number) => number;
  chosen: number;
  choose: (ord: number) => void;
}

/** A bar from the observation before to this one, and the interval of its end. */
function Bars({ rows, byOrd, x, chosen, choose }: BarsProps) {
  const height = rows.length * ROW;
  const rowOf = new Map(rows.map((row, index) => [num(row.ord), index]));
  return (
    <svg width={WIDTH} height={height} viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label="Waterfall of the order">
      {rows.map((row, index) => (
        <rect
          class={`lane ${num(row.ord) === chosen ? "on" : ""}`} x="0" y={index * ROW} width={WIDTH} height={ROW}
          onClick={() => choose(num(row.ord))}
        />
      ))}
      {rows.map((row, index) => {
        const from = row.via_ord === null ? undefined : byOrd.get(num(row.via_ord));
        const at = num(row.since_first_ns);
        const middle = index * ROW + ROW / 2;
        const end = x(at);
        if (!from) return <circle class="first" cx={end} cy={middle} r="4.5" />;
        const start = x(num(from.since_first_ns));
        const above = (rowOf.get(num(from.ord)) ?? index) * ROW + ROW / 2;
        const kind = `k-${text(row.via)}`;
        const left = Math.min(start, end);
        return (
          <g class={kind} pointer-events="none">
            <path class="joint" d={`M${start} ${above}V${middle}`} />
            <rect class="span" x={left} y={middle - 5} width={Math.max(Math.abs(end - start), 1.5)} height="10" rx="2" />
            <Interval row={row} at={at} middle={middle} x={x} />
            <circle class="end" cx={end} cy={middle} r="3.5" />
          </g>
        );
      })}
    </svg>
  );
}

function Interval({ row, at, middle, x }: { row: Row; at: number; middle: number; x: (at: number) => number }) {
  if (row.lo_ns === null || row.hi_ns === null) return null;
  const lo = x(at - (num(row.latency_ns) - num(row.lo_ns)));
  const hi = x(at + (num(row.hi_ns) - num(row.latency_ns)));
  return <path class="whisker" d={`M${lo} ${middle - 8}v16M${lo} ${middle}H${hi}M${hi} ${middle - 8}v16`} />;
}
