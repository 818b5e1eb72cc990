import { useState } from "preact/hooks";
import { type MessageAnswer, type Row, num, text } from "../api";
import { time } from "../format";
import { useApi } from "../hooks";
import { Answer, Point } from "./basics";

/** One message down to its bytes: fields beside the frame they stand in. */
export function MessagePane({ capture, packet, message }: { capture: string; packet: string; message: string }) {
  const answer = useApi<MessageAnswer>(`/api/messages/${capture}/${packet}/${message}`);
  return <div data-testid="message"><Answer of={answer}>{(data) => <Message data={data} />}</Answer></div>;
}

/** Columns that the pane shows elsewhere. */
const SHOWN = new Set(["raw", "capture_id", "packet_ix", "msg_ix", "entry", "point", "ts", "line", "flags"]);

function Message({ data }: { data: MessageAnswer }) {
  const [field, setField] = useState<number | null>(null);
  const entry = data.entries[0];
  const chosen = field === null ? undefined : data.fields[field];
  return (
    <div class="message">
      <div class="message-head">
        <Point name={entry.point} />{entry.line && <span class="line">{text(entry.line)}</span>}
        <strong>{text(entry.msg_name) || text(entry.kind)}</strong>
        <span class="dim">{text(entry.protocol)}</span>
        <span class="mono">{time(entry.ts)}</span>
        <span class="dim">capture {text(entry.capture_id)} · packet {text(entry.packet_ix)} · message {text(entry.msg_ix)}</span>
      </div>
      <div class="message-body">
        <div>
          <h3>Decoded fields</h3>
          {data.fields.length > 0 ? (
            <Fields fields={data.fields} chosen={field} choose={setField} />
          ) : (
            <p class="empty">{data.fields_error ?? "This message has no fields."}</p>
          )}
        </div>
        <div>
          <h3>Frame{data.packet && <span class="dim"> · {text(data.packet.cap_len)} of {text(data.packet.wire_len)} bytes captured</span>}</h3>
          {data.packet ? <Hex entry={entry} packet={data.packet} field={chosen} /> : <p class="empty">The packet is no longer kept.</p>}
          <h3>Row of messages</h3>
          <Columns entries={data.entries} />
        </div>
      </div>
    </div>
  );
}

function Fields({ fields, chosen, choose }: { fields: Row[]; chosen: number | null; choose: (index: number) => void }) {
  return (
    <div class="scroll fields">
      <table data-testid="fields" class="opens">
        <thead><tr><th>Field</th><th>Value</th><th class="r">Offset</th><th class="r">Size</th></tr></thead>
        <tbody>
          {fields.map((field, index) => (
            <tr tabIndex={0} class={index === chosen ? "chosen" : undefined} onClick={() => choose(index)} onFocus={() => choose(index)}>
              <td title={text(field.name)}>{text(field.path ?? field.name)}</td>
              <td class="mono value">{text(field.value)}</td>
              <td class="r mono dim">{text(field.offset)}</td>
              <td class="r mono dim">{text(field.size)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const PER_LINE = 16;

/** Characters of a full line of bytes and the space after it. */
const WIDE = 3 * PER_LINE + 2;

/** The frame in hex; the message and the chosen field stand out. */
function Hex({ entry, packet, field }: { entry: Row; packet: Row; field?: Row }) {
  const cut = text(packet.data).endsWith("…");
  const digits = text(packet.data).replace("…", "");
  const start = num(entry.raw_off), end = start + num(entry.raw_len);
  // Fields of an unpacked body are nowhere in the frame.
  const first = field && !field.unpacked ? num(field.offset) : NaN, last = first + num(field?.size);
  const lines = [];
  for (let offset = 0; offset * 2 < digits.length; offset += PER_LINE) {
    const bytes = digits.slice(offset * 2, (offset + PER_LINE) * 2).match(/../g) ?? [];
    lines.push(
      <div>
        <span class="dim">{offset.toString(16).padStart(4, "0")}</span>{"  "}
        {bytes.map((byte, index) => {
          const at = offset + index;
          const tone = at >= first && at < last ? "field" : at >= start && at < end ? "in" : "out";
          return <span class={tone}>{byte}{index === 7 ? "  " : " "}</span>;
        })}
        {" ".repeat(WIDE - 3 * bytes.length - (bytes.length > 7 ? 1 : 0))}
        <span class="dim">{bytes.map(printable).join("")}</span>
      </div>,
    );
  }
  return <pre class="hex" tabIndex={0} aria-label="Bytes of the frame">{lines}{cut && <div class="dim">… more bytes are not shown</div>}</pre>;
}

function printable(byte: string): string {
  const code = parseInt(byte, 16);
  return code >= 32 && code < 127 ? String.fromCharCode(code) : "·";
}

function Columns({ entries }: { entries: Row[] }) {
  const names = Object.keys(entries[0]).filter((name) => !SHOWN.has(name) && entries.some((entry) => text(entry[name]) !== ""));
  return (
    <div class="scroll fields">
      <table>
        <tbody>
          {names.map((name) => (
            <tr>
              <th class="name">{name}</th>
              {entries.map((entry) => <td class="mono value">{/^ts/.test(name) ? time(entry[name]) : text(entry[name])}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
