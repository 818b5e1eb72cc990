import { useEffect, useRef, useState } from "preact/hooks";
import { type Cell, type SqlAnswer, type Tables, csvOf, runSql, text } from "../api";
import { count, time } from "../format";
import { useApi } from "../hooks";
import { Panel } from "../parts/basics";

const EXAMPLES: [string, string][] = [
  ["Latency of every hop", "SELECT link_kind, from_point, to_point, n, p50_ns, p99_ns, max_ns, lost\nFROM hops\nWHERE message_kind = 'all'\nORDER BY link_kind, from_point"],
  ["Tick to trade by symbol", "SELECT symbol, count(*) AS orders,\n       hdr_quantile(tick_to_order_ns, 0.5) AS p50_ns,\n       hdr_quantile(tick_to_order_ns, 0.99) AS p99_ns\nFROM tick_to_trade\nGROUP BY symbol\nORDER BY p99_ns DESC"],
  ["Slowest acknowledgements", "SELECT cl_ord_id, symbol, side, qty, price, state, ack_ns\nFROM orders\nWHERE ack_ns IS NOT NULL\nORDER BY ack_ns DESC\nLIMIT 20"],
  ["Rejects and why", "SELECT ts, point, session, symbol, cl_ord_id, reason_code\nFROM messages\nWHERE kind IN ('rpt.reject', 'rpt.cancel_reject')\nORDER BY ts\nLIMIT 100"],
  ["Messages a second, by point and protocol", "SELECT date_trunc('second', ts) AS second, point, protocol, count(*) AS n\nFROM messages\nGROUP BY 1, 2, 3\nORDER BY 1, 2, 3"],
  ["What is missing", "SELECT point, line, cause, first_seq, last_seq, count, evidence\nFROM losses\nORDER BY ts_lo"],
  ["What a column means", "SELECT column_name, data_type, doc\nFROM docs\nWHERE table_name = 'links'"],
];

interface Result {
  sql: string;
  answer?: SqlAnswer;
  error?: string;
}

export function SqlPage({ params }: { params: URLSearchParams }) {
  const [sql, setSql] = useState(params.get("q") ?? EXAMPLES[0][1]);
  const [result, setResult] = useState<Result | null>(null);
  const [running, setRunning] = useState<AbortController | null>(null);
  const editor = useRef<HTMLTextAreaElement>(null);
  const run = async (statement: string) => {
    running?.abort();
    const abort = new AbortController();
    setRunning(abort);
    try {
      const answer = await runSql(statement, abort.signal);
      setResult({ sql: statement, answer });
    } catch (error) {
      if (!abort.signal.aborted) setResult({ sql: statement, error: (error as Error).message });
    }
    setRunning((now) => (now === abort ? null : now));
  };
  useEffect(() => {
    editor.current?.focus();
    return () => running?.abort();
  }, []);
  const insert = (word: string) => {
    const at = editor.current!;
    at.setRangeText(word, at.selectionStart, at.selectionEnd, "end");
    setSql(at.value);
    at.focus();
  };
  return (
    <div class="sql">
      <Reference insert={insert} />
      <div class="sql-main">
        <Panel
          title="SQL"
          note="read only"
          actions={
            <select aria-label="Examples" data-testid="examples" value="" onChange={(event) => {
              const example = EXAMPLES[Number(event.currentTarget.value)];
              event.currentTarget.value = "";
              if (example) setSql(example[1]);
            }}>
              <option value="">Examples…</option>
              {EXAMPLES.map(([name], index) => <option value={index}>{name}</option>)}
            </select>
          }
        >
          <textarea
            ref={editor} class="mono" rows={9} spellcheck={false} autocomplete="off" aria-label="SQL statement" data-testid="sql"
            value={sql} onInput={(event) => setSql(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
                event.preventDefault();
                void run(event.currentTarget.value);
              }
            }}
          />
          <div class="tools">
            <button type="button" class="primary" data-testid="run" onClick={() => void run(sql)}>Run <kbd>Ctrl ⏎</kbd></button>
            {running && <button type="button" onClick={() => { running.abort(); setRunning(null); }}>Stop</button>}
            <CsvButton sql={result?.answer ? result.sql : null} />
            <span class="grow" />
            {running ? <span class="dim" role="status">running…</span> : result?.answer && <Elapsed answer={result.answer} />}
          </div>
        </Panel>
        {result?.error && <p class="error" role="alert" data-testid="sql-error">{result.error}</p>}
        {result?.answer && <Panel title="Result"><Rows answer={result.answer} /></Panel>}
      </div>
    </div>
  );
}

function Elapsed({ answer }: { answer: SqlAnswer }) {
  return (
    <span class="dim" role="status" data-testid="elapsed">
      {count(answer.rows.length)} rows{answer.truncated && <b class="warn"> (the first of more; CSV has all)</b>} in {(answer.elapsed_us / 1000).toFixed(1)} ms
    </span>
  );
}

function CsvButton({ sql }: { sql: string | null }) {
  const [state, setState] = useState<string | null>(null);
  const save = async () => {
    setState("preparing…");
    try {
      const url = URL.createObjectURL(await csvOf(sql!));
      const anchor = document.createElement("a");
      anchor.href = url;
      anchor.download = "taptrail.csv";
      anchor.click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
      setState(null);
    } catch (error) {
      setState((error as Error).message);
    }
  };
  return (
    <>
      <button type="button" data-testid="csv" disabled={sql === null} onClick={() => void save()}>Download CSV</button>
      {state && <span class="dim">{state}</span>}
    </>
  );
}

const NUMBERS = new Set(["integer", "decimal", "float"]);

function shown(cell: Cell, type: string) {
  if (cell === null) return <span class="dim">null</span>;
  return type === "time" ? time(cell) : text(cell);
}

function Rows({ answer }: { answer: SqlAnswer }) {
  if (answer.columns.length === 0) return <p class="empty">The statement has no columns.</p>;
  return (
    <div class="scroll result">
      <table data-testid="result">
        <thead>
          <tr>{answer.columns.map(({ name, type }) => <th class={NUMBERS.has(type) ? "r" : undefined}>{name}<small>{type}</small></th>)}</tr>
        </thead>
        <tbody>
          {answer.rows.map((row) => (
            <tr>{row.map((cell, index) => {
              const type = answer.columns[index].type;
              return <td class={`mono ${NUMBERS.has(type) ? "r" : ""} ${type === "bytes" ? "value" : ""}`}>{shown(cell, type)}</td>;
            })}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Reference({ insert }: { insert: (word: string) => void }) {
  const { data } = useApi<Tables>("/api/tables");
  return (
    <aside class="reference" aria-label="Tables">
      <h2>Tables</h2>
      {data?.tables.map((table) => (
        <details>
          <summary title={table.doc}>{table.name}</summary>
          <p class="dim">{table.doc}</p>
          {table.columns.map((column) => (
            <button type="button" title={`${column.type}${column.nullable ? "" : ", never null"}: ${column.doc}`} onClick={() => insert(column.name)}>
              {column.name}
            </button>
          ))}
        </details>
      ))}
      <h2>Views</h2>
      {data?.views.map((view) => (
        <details>
          <summary title={view.doc}>{view.name}</summary>
          <p class="dim">{view.doc}</p>
          <pre>{view.sql}</pre>
        </details>
      ))}
    </aside>
  );
}
