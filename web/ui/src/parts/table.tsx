import type { ComponentChildren } from "preact";
import type { Row } from "../api";

export interface Column {
  head: ComponentChildren;
  /** A column that answers are sorted by. */
  sort?: string;
  right?: boolean;
  title?: string;
  cell: (row: Row) => ComponentChildren;
}

export interface Sorting {
  column: string;
  direction: "asc" | "desc";
  set: (column: string) => void;
}

interface Props {
  columns: Column[];
  rows: Row[];
  empty: string;
  id?: string;
  open?: (row: Row) => void;
  sorting?: Sorting;
}

/** A table whose rows can be opened by mouse and keyboard. */
export function Table({ columns, rows, empty, id, open, sorting }: Props) {
  if (rows.length === 0) return <p class="empty" data-testid={id}>{empty}</p>;
  return (
    <div class="scroll">
      <table data-testid={id} class={open ? "opens" : undefined}>
        <thead>
          <tr>{columns.map((column) => <Head column={column} sorting={sorting} />)}</tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr
              tabIndex={open ? 0 : undefined}
              onClick={open && (() => open(row))}
              onKeyDown={open && ((event) => {
                if (event.key === "Enter") open(row);
                step(event);
              })}
            >
              {columns.map((column) => <td class={column.right ? "r" : undefined}>{column.cell(row)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Arrow keys go from row to row. */
export function step(event: KeyboardEvent) {
  const row = event.currentTarget as HTMLElement;
  const next = event.key === "ArrowDown" ? row.nextElementSibling : event.key === "ArrowUp" ? row.previousElementSibling : null;
  if (next instanceof HTMLElement) {
    event.preventDefault();
    next.focus();
  }
}

function Head({ column, sorting }: { column: Column; sorting?: Sorting }) {
  const { head, right, sort, title } = column;
  if (!sort || !sorting) return <th class={right ? "r" : undefined} title={title}>{head}</th>;
  const on = sorting.column === sort;
  const sorted = on ? (sorting.direction === "asc" ? "ascending" : "descending") : "none";
  return (
    <th class={right ? "r" : undefined} aria-sort={sorted} title={title}>
      <button type="button" onClick={() => sorting.set(sort)} data-testid={`sort-${sort}`}>
        {head}<span class="arrow">{on ? (sorting.direction === "asc" ? "↑" : "↓") : ""}</span>
      </button>
    </th>
  );
}
