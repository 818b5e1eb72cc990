import { type Cell, num, text } from "./api";

const THIN = "\u202f";
const DASH = "–";

/** Digits in groups of three. */
export function count(cell: Cell | undefined): string {
  const digits = text(cell);
  return digits === "" ? DASH : digits.replace(/\B(?=(\d{3})+$)/g, THIN);
}

const UNITS: [number, string][] = [
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
];

/** A duration in the unit that shows three to six digits. */
export function ns(cell: Cell | undefined): string {
  const value = num(cell);
  if (Number.isNaN(value)) return DASH;
  const size = Math.abs(value);
  if (size < 1e3) return `${minus(value.toString())} ns`;
  const [unit, name] = UNITS.find(([unit]) => size >= unit) ?? [1e3, "µs"];
  const scaled = value / unit;
  const places = Math.abs(scaled) >= 100 ? 1 : Math.abs(scaled) >= 10 ? 2 : 3;
  return `${minus(scaled.toFixed(places))} ${name}`;
}

/** An offset from a start, signed. */
export function since(cell: Cell | undefined): string {
  const value = num(cell);
  if (Number.isNaN(value)) return DASH;
  return value < 0 ? ns(value) : `+${ns(value)}`;
}

function minus(number: string): string {
  return number.replace("-", "−");
}

/** `[lo, hi]` in one unit with the digits that tell them apart. */
export function bounds(lo: Cell | undefined, hi: Cell | undefined): string {
  if (lo === null || lo === undefined || hi === null || hi === undefined) return "";
  return `[${ns(lo)}, ${ns(hi)}]`;
}

/** Date and time of day, UTC, to the nanosecond. */
export function time(cell: Cell | undefined): string {
  const digits = text(cell);
  if (digits === "") return DASH;
  return `${day(digits)} ${clock(digits)}`;
}

function split(digits: string): [Date, string] {
  const all = BigInt(digits);
  const second = 1_000_000_000n;
  let whole = all / second;
  if (all % second < 0n) whole -= 1n;
  const part = (all - whole * second).toString().padStart(9, "0");
  return [new Date(Number(whole) * 1000), part];
}

export function day(digits: string): string {
  return split(digits)[0].toISOString().slice(0, 10);
}

/** Time of day, UTC, to the nanosecond. */
export function clock(cell: Cell | undefined): string {
  const digits = text(cell);
  if (digits === "") return DASH;
  const [second, part] = split(digits);
  const grouped = part.replace(/(\d{3})(?=\d)/g, `$1${THIN}`);
  return `${second.toISOString().slice(11, 19)}.${grouped}`;
}

/** A price with at least two places, none of its own lost. */
export function price(cell: Cell | undefined): string {
  const digits = text(cell);
  if (digits === "") return DASH;
  const [whole, part = ""] = digits.split(".");
  return `${whole}.${part.padEnd(2, "0")}`;
}

/** A share as percent, never rounded up to all. */
export function percent(part: number, all: number): string {
  if (!(all > 0)) return DASH;
  const share = Math.floor((part / all) * 1e4) / 100;
  return `${share.toFixed(2)} %`;
}

export function confidence(cell: Cell | undefined): string {
  const value = num(cell);
  return Number.isNaN(value) ? DASH : value.toFixed(2);
}

const BYTES: [number, string][] = [
  [2 ** 30, "GiB"],
  [2 ** 20, "MiB"],
  [2 ** 10, "KiB"],
];

export function bytes(cell: Cell | undefined): string {
  const value = num(cell);
  if (Number.isNaN(value)) return DASH;
  const [unit, name] = BYTES.find(([unit]) => value >= unit) ?? [1, "B"];
  return unit === 1 ? `${value} B` : `${(value / unit).toFixed(1)} ${name}`;
}

export { DASH };
