//! `orders`: one row an order, its times and latencies by stage.
//!
//! ```text
//! trigger_ts ──tick_to_order──> request_ts ──relay──> gateway_ts ──ack──> ack_ts ──> public_ts
//! ```

use crate::tables::row::{Decimal, I64, Name, Null, Plain, Text, Time, U32, U64, rows};

rows! {
    /// An order.
    OrderRow in "orders" {
        /// The trade it is the root of: a hash of the order's first observation.
        lineage_id: u64 as U64,
        /// Native symbol.
        symbol: Option<Text> as Null<Name>,
        /// buy, sell, sell_short, ...
        side: Option<Text> as Null<Name>,
        /// Limit price of the first version; null for market orders.
        price: Option<i128> as Null<Decimal>,
        /// Quantity of the first version.
        qty: Option<i128> as Null<Decimal>,
        /// new, acked, partially_filled, filled, canceled, rejected, replaced or done.
        state: Text as Name,
        /// Client order id of the first version.
        cl_ord_id: Option<Text> as Null<Plain>,
        /// The venue's number of the order.
        order_id: Option<u64> as Null<U64>,
        /// The venue's id of the order where it is not a number.
        order_id_txt: Option<Text> as Null<Plain>,
        /// Session of the first request.
        session: Option<Text> as Null<Name>,
        /// Account.
        account: Option<Text> as Null<Name>,
        /// Executions.
        fills: u32 as U32,
        /// Quantity executed.
        qty_cum: Option<i128> as Null<Decimal>,
        /// First copy of the market data that triggered it, at the point nearest the strategy.
        trigger_ts: Option<i64> as Null<Time>,
        /// The request's first sighting.
        request_ts: Option<i64> as Null<Time>,
        /// The gateway's request to the venue, first sighting.
        gateway_ts: Option<i64> as Null<Time>,
        /// The acknowledgement's first sighting.
        ack_ts: Option<i64> as Null<Time>,
        /// The order on the public feed, at the point nearest the venue.
        public_ts: Option<i64> as Null<Time>,
        /// The first execution's first sighting.
        first_fill_ts: Option<i64> as Null<Time>,
        /// The order's end, first sighting.
        done_ts: Option<i64> as Null<Time>,
        /// Trigger to request in ns, clock-corrected.
        tick_to_order_ns: Option<i64> as Null<I64>,
        /// Its lower bound in ns.
        tick_to_order_lo_ns: Option<i64> as Null<I64>,
        /// Its upper bound in ns.
        tick_to_order_hi_ns: Option<i64> as Null<I64>,
        /// Request to gateway request in ns.
        relay_ns: Option<i64> as Null<I64>,
        /// Request to acknowledgement in ns.
        ack_ns: Option<i64> as Null<I64>,
        /// Request to first execution in ns.
        first_fill_ns: Option<i64> as Null<I64>,
        /// Observations of the trade.
        observations: u32 as U32,
    }
}
