import { useState } from "preact/hooks";
import { type OrderAnswer, type Row, num, text } from "../api";
import { bounds, clock, count, day, ns, price } from "../format";
import { link, useApi } from "../hooks";
import { Answer, Panel, Side, State, T } from "../parts/basics";
import { MessagePane } from "../parts/message";
import { type Column, Table } from "../parts/table";
import { Waterfall } from "../parts/waterfall";

export function OrderPage({ id }: { id: string }) {
  const answer = useApi<OrderAnswer>(`/api/orders/${encodeURIComponent(id)}`);
  return <Answer of={answer}>{(data) => <Order key={id} data={data} />}</Answer>;
}

function Order({ data }: { data: OrderAnswer }) {
  const { order, lineage, siblings } = data;
  const [chosen, setChosen] = useState(0);
  const observation = lineage.find((row) => num(row.ord) === chosen);
  return (
    <>
      <div class="title" data-testid="order-title">
        <h1><span class="mono"><T of={order.cl_ord_id ?? order.lineage_id} /></span></h1>
        <span class="what"><Side side={order.side} /> {count(order.qty)} <b>{text(order.symbol)}</b> @ {order.price === null ? "market" : price(order.price)}</span>
        <State state={order.state} />
        <span class="dim">{[order.session, order.account, order.order_id ?? order.order_id_txt].map(text).filter(Boolean).join(" · ")}</span>
      </div>
      <Stages order={order} />
      <Panel title="Waterfall" note={`${count(order.observations)} observations; choose one for its decoded fields`}>
        {lineage.length > 0 ? <Waterfall rows={lineage} chosen={chosen} choose={setChosen} /> : <p class="empty">No observation of this order is kept.</p>}
      </Panel>
      {observation && (
        <Panel title="Observation" id="observation-pane">
          <MessagePane capture={text(observation.capture_id)} packet={text(observation.packet_ix)} message={text(observation.msg_ix)} />
        </Panel>
      )}
      {siblings.length > 0 && (
        <Panel title="Other orders of the same trigger" id="siblings">
          <Table rows={siblings} columns={SIBLINGS} empty="" open={(row) => { location.hash = link(["order", text(row.lineage_id)]); }} />
        </Panel>
      )}
    </>
  );
}

function Stages({ order }: { order: Row }) {
  const figures: [string, string, string][] = [
    ["trigger", order.trigger_ts === null ? "none known" : clock(order.trigger_ts), "first copy near the strategy"],
    ["request", clock(order.request_ts), order.request_ts === null ? "" : day(text(order.request_ts))],
    ["tick to order", ns(order.tick_to_order_ns), bounds(order.tick_to_order_lo_ns, order.tick_to_order_hi_ns)],
    ["gateway", ns(order.relay_ns), ""],
    ["order to ack", ns(order.ack_ns), ""],
    ["order to first fill", ns(order.first_fill_ns), ""],
    ["executed", count(order.qty_cum), `${count(order.fills)} executions`],
  ];
  return (
    <div class="numbers">
      {figures.map(([name, value, note]) => (
        <div><span class="dim">{name}</span><strong class={value.length > 12 ? "long" : undefined}>{value}</strong><small class="dim">{note || "\u00a0"}</small></div>
      ))}
    </div>
  );
}

const SIBLINGS: Column[] = [
  { head: "Order", cell: (row) => <span class="mono"><T of={row.cl_ord_id ?? row.lineage_id} /></span> },
  { head: "Symbol", cell: (row) => <T of={row.symbol} /> },
  { head: "Side", cell: (row) => <Side side={row.side} /> },
  { head: "Qty", right: true, cell: (row) => count(row.qty) },
  { head: "Price", right: true, cell: (row) => price(row.price) },
  { head: "Tick to order", right: true, cell: (row) => ns(row.tick_to_order_ns) },
  { head: "State", cell: (row) => <State state={row.state} /> },
];
