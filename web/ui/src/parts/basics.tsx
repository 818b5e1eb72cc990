import type { ComponentChildren } from "preact";
import { type Cell, type Light, text } from "../api";
import type { Asked } from "../hooks";
import { DASH } from "../format";

/** An answer, or why there is none yet. */
export function Answer<T>({ of, children }: { of: Asked<T>; children: (data: T) => ComponentChildren }) {
  if (of.error) return <p class="error" role="alert">{of.error}</p>;
  if (of.data === undefined) return <p class="empty" aria-busy="true">Loading…</p>;
  return <>{children(of.data)}</>;
}

export function Panel({ title, note, children, id, actions }: {
  title: string;
  note?: ComponentChildren;
  children: ComponentChildren;
  id?: string;
  actions?: ComponentChildren;
}) {
  return (
    <section class="panel" data-testid={id}>
      <div class="panel-head">
        <h2>{title}</h2>
        {note && <span class="note">{note}</span>}
        <span class="grow" />
        {actions}
      </div>
      {children}
    </section>
  );
}

const SIGNS: Record<Light, string> = { ok: "●", warn: "▲", bad: "■", unknown: "○" };

export function Lamp({ light }: { light: Light }) {
  return <span class={`lamp ${light}`} aria-hidden="true">{SIGNS[light]}</span>;
}

export function Point({ name }: { name: Cell | undefined }) {
  return <span class="point">{text(name)}</span>;
}

export function Kind({ kind }: { kind: Cell | undefined }) {
  const name = text(kind);
  return name ? <span class="kind"><i class={`dot k-${name}`} />{name}</span> : <span class="dim">{DASH}</span>;
}

const STATES: Record<string, string> = {
  filled: "ok", acked: "info", partially_filled: "info", new: "info", replaced: "info",
  canceled: "mute", done: "mute", rejected: "bad",
};

export function State({ state }: { state: Cell | undefined }) {
  const name = text(state);
  return <span class={`tag ${STATES[name] ?? "mute"}`}>{name.replace(/_/g, " ")}</span>;
}

export function Side({ side }: { side: Cell | undefined }) {
  const name = text(side);
  return <span class={name.startsWith("buy") ? "buy" : name.startsWith("sell") ? "sell" : "dim"}>{name.replace(/_/g, " ") || DASH}</span>;
}

/** A cell of text, or a dash. */
export function T({ of }: { of: Cell | undefined }) {
  const shown = text(of);
  return shown === "" ? <span class="dim">{DASH}</span> : <>{shown}</>;
}
