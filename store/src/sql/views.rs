//! Views: questions that are asked often, under a name.

use crate::error::StoreError;
use datafusion::datasource::ViewTable;
use datafusion::prelude::SessionContext;
use futures::executor::block_on;
use std::sync::Arc;

/// A view.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Name in SQL.
    pub name: &'static str,
    /// One sentence on its rows.
    pub doc: &'static str,
    /// What it stands for.
    pub sql: &'static str,
}

/// Every view.
pub const VIEWS: &[View] = &[
    View {
        name: "tick_to_trade",
        doc: "Orders that market data triggered, and how long each stage took.",
        sql: "SELECT lineage_id, session, symbol, side, price, qty, state, trigger_ts, \
              request_ts, tick_to_order_ns, tick_to_order_lo_ns, tick_to_order_hi_ns, relay_ns, \
              ack_ns, first_fill_ns, tick_to_order_ns + ack_ns AS tick_to_ack_ns, \
              tick_to_order_ns + first_fill_ns AS tick_to_fill_ns \
              FROM orders WHERE trigger_ts IS NOT NULL",
    },
    View {
        name: "gaps",
        doc: "Messages before which others are missing, and rows that stand for missing bytes.",
        sql: "SELECT point, line, ts, capture_id, packet_ix, protocol, session, channel, seq, \
              gap_before, kind, tcp_off, raw_len FROM messages \
              WHERE gap_before > 0 OR kind = 'gap'",
    },
    View {
        name: "executions",
        doc: "Executions as private reports and public feeds tell them.",
        sql: "SELECT point, line, ts, ts_exch, protocol, session, seq, kind, symbol, side, \
              price, qty, qty_delta, qty_leaves, qty_cum, order_id, order_id_txt, cl_ord_id, \
              exec_id, match_id, capture_id, packet_ix, msg_ix, entry FROM messages \
              WHERE kind IN ('rpt.fill', 'order.fill', 'trade', 'trade.cross')",
    },
];

/// Adds every view to a session.
pub(super) fn register(context: &SessionContext) -> Result<(), StoreError> {
    for view in VIEWS {
        // Planning a view reads schemas only, so nothing here waits.
        let plan = block_on(context.state().create_logical_plan(view.sql));
        let plan = plan.map_err(StoreError::query)?;
        let table = ViewTable::new(plan, Some(view.sql.to_owned()));
        context.register_table(view.name, Arc::new(table)).map_err(StoreError::query)?;
    }
    Ok(())
}
