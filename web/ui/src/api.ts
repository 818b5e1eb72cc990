// The JSON API. Every 64-bit integer, decimal and time is text there; a time
// is nanoseconds since the epoch.

export type Cell = string | number | boolean | null;
export type Row = Record<string, Cell>;

export type Light = "ok" | "warn" | "bad" | "unknown";

export interface Health {
  area: string;
  light: Light;
  text: string;
}

export interface Summary {
  health: Health[];
  range: Row | null;
  captures: Row[];
  flows: Row[];
  losses: Row[];
  matching: Row[];
  rules: Row[];
  states: Row[];
  stages: Row[];
  clocks: Row[];
}

export interface Histogram {
  hop: Row;
  start_ns?: string;
  width_ns?: string;
  count?: number;
  buckets: Row[];
  beyond: string;
}

export interface Series {
  start_ts: string;
  width_ns: string;
  count: number;
  buckets: Row[];
}

export interface OrderAnswer {
  order: Row;
  lineage: Row[];
  links: Row[];
  siblings: Row[];
}

export interface MessageAnswer {
  entries: Row[];
  packet: Row | null;
  fields: Row[];
  fields_error: string | null;
}

export interface SqlAnswer {
  columns: { name: string; type: string }[];
  rows: Cell[][];
  truncated: boolean;
  elapsed_us: number;
}

export interface TableDoc {
  name: string;
  doc: string;
  columns: { name: string; type: string; nullable: boolean; doc: string }[];
}

export interface Tables {
  tables: TableDoc[];
  views: { name: string; doc: string; sql: string }[];
}

async function failed(response: Response): Promise<Error> {
  const text = await response.text();
  try {
    return new Error(JSON.parse(text).error.message);
  } catch {
    return new Error(`the server answered ${response.status}: ${text.slice(0, 200)}`);
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(path, { signal });
  if (!response.ok) throw await failed(response);
  return response.json();
}

function statement(sql: string, more: object): RequestInit {
  return {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sql, ...more }),
  };
}

export async function runSql(sql: string, signal: AbortSignal): Promise<SqlAnswer> {
  const response = await fetch("/api/sql", { ...statement(sql, { limit: 2000 }), signal });
  if (!response.ok) throw await failed(response);
  return response.json();
}

export async function csvOf(sql: string): Promise<Blob> {
  const response = await fetch("/api/sql?format=csv", statement(sql, {}));
  if (!response.ok) throw await failed(response);
  return response.blob();
}

/** The query string of what is set. */
export function query(params: Record<string, string | number | undefined>): string {
  const set = Object.entries(params).filter(([, value]) => value !== undefined && value !== "");
  return "?" + new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString();
}

/** A number of a cell; NaN where there is none. Latencies and counts fit exactly. */
export function num(cell: Cell | undefined): number {
  return cell === null || cell === undefined || cell === "" ? NaN : Number(cell);
}

export function text(cell: Cell | undefined): string {
  return cell === null || cell === undefined ? "" : String(cell);
}
