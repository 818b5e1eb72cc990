//! Every route with what it means: the router and the OpenAPI document are
//! both made from this one list.

use crate::api::{
    events, health, hops, lines, message, metrics, nodes, order, orders, sql, summary, tables,
};
use crate::state::App;
use crate::{assets, openapi};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get, post};

/// Bytes that a request's body may have.
pub(crate) const BODY_MAX: usize = 64 << 10;

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum In {
    Path,
    Query,
}

/// A parameter: where it stands, its name, what it means.
pub(crate) struct Param(pub In, pub &'static str, pub &'static str);

/// A route.
pub(crate) struct Route {
    pub path: &'static str,
    pub method: &'static str,
    pub summary: &'static str,
    pub params: &'static [Param],
    pub handler: fn() -> MethodRouter<App>,
}

use In::{Path, Query};

const HOP: [Param; 4] = [
    Param(Query, "link_kind", "same, trigger, relay, ack, fill, done, chain or public"),
    Param(Query, "message_kind", "kind of the message at the start, or all (the default)"),
    Param(Query, "from_point", "point of the start"),
    Param(Query, "to_point", "point of the end"),
];

/// Every route but those of the dashboard's own files.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        path: "/healthz",
        method: "get",
        summary: "200 when the server answers and the store can be read",
        params: &[],
        handler: || get(health::healthz),
    },
    Route {
        path: "/metrics",
        method: "get",
        summary: "Counters of the store as Prometheus text",
        params: &[],
        handler: || get(metrics::metrics),
    },
    Route {
        path: "/api/openapi.json",
        method: "get",
        summary: "This document",
        params: &[],
        handler: || get(openapi::document),
    },
    Route {
        path: "/api/state",
        method: "get",
        summary: "version: text that changes whenever the store's contents do",
        params: &[],
        handler: || get(health::state),
    },
    Route {
        path: "/api/summary",
        method: "get",
        summary: "Health by area, capture counters by point, losses by cause, match quality by \
                  rule, order outcomes, latencies by stage, clocks",
        params: &[],
        handler: || get(summary::summary),
    },
    Route {
        path: "/api/points",
        method: "get",
        summary: "Each point's captures, flows and what was recognised in them",
        params: &[],
        handler: || get(summary::points),
    },
    Route {
        path: "/api/nodes",
        method: "get",
        summary: "The nodes that ship into this store: last seen, lag, spool, health",
        params: &[],
        handler: || get(nodes::nodes),
    },
    Route {
        path: "/api/events",
        method: "get",
        summary: "What /api/state says, as an event stream: now, and whenever it changes",
        params: &[],
        handler: || get(events::events),
    },
    Route {
        path: "/api/hops",
        method: "get",
        summary: "Latency of each hop by link kind and message kind",
        params: &[],
        handler: || get(hops::hops),
    },
    Route {
        path: "/api/hops/histogram",
        method: "get",
        summary: "Latencies of one hop in equal buckets, those beyond the last one apart",
        params: &HOP,
        handler: || get(hops::histogram),
    },
    Route {
        path: "/api/hops/series",
        method: "get",
        summary: "Latencies of one hop over time: n, p50, p99, max of each bucket",
        params: &HOP,
        handler: || get(hops::series),
    },
    Route {
        path: "/api/hops/slowest",
        method: "get",
        summary: "The slowest links of one hop",
        params: &HOP,
        handler: || get(hops::slowest),
    },
    Route {
        path: "/api/lines",
        method: "get",
        summary: "How each line of a redundant feed did at each point",
        params: &[],
        handler: || get(lines::lines),
    },
    Route {
        path: "/api/losses",
        method: "get",
        summary: "What is missing, where, and why, in order of time",
        params: &[
            Param(Query, "cause", "network, capture, upstream, both_lines or unknown"),
            Param(Query, "point", "point where it is missing"),
            Param(Query, "limit", "rows, at most 1000, 100 unless told"),
            Param(Query, "offset", "rows to leave out first"),
        ],
        handler: || get(lines::losses),
    },
    Route {
        path: "/api/orders",
        method: "get",
        summary: "Orders, searched and sorted, and how many there are in all",
        params: &[
            Param(
                Query,
                "q",
                "symbol, account, venue's order id, or the start of a client order id",
            ),
            Param(Query, "state", "new, acked, partially_filled, filled, canceled, rejected, .."),
            Param(Query, "symbol", "exactly this symbol"),
            Param(Query, "sort", "a column, request_ts unless told"),
            Param(Query, "direction", "asc or desc (the default); orders without a value last"),
            Param(Query, "limit", "rows, at most 1000, 100 unless told"),
            Param(Query, "offset", "rows to leave out first"),
        ],
        handler: || get(orders::orders),
    },
    Route {
        path: "/api/orders/{lineage_id}",
        method: "get",
        summary: "One order: its row, its observations in order of time, its links, and other \
                  orders of the same trigger",
        params: &[Param(Path, "lineage_id", "the order's lineage_id")],
        handler: || get(order::order),
    },
    Route {
        path: "/api/messages/{capture_id}/{packet_ix}/{msg_ix}",
        method: "get",
        summary: "One message: its rows, its decoded fields, and the packet that completed it",
        params: &[
            Param(Path, "capture_id", "the capture"),
            Param(Path, "packet_ix", "position of the packet in it"),
            Param(Path, "msg_ix", "place of the message in the packet"),
        ],
        handler: || get(message::message),
    },
    Route {
        path: "/api/tables",
        method: "get",
        summary: "Tables and views with their columns, types and meaning",
        params: &[],
        handler: || get(tables::tables),
    },
    Route {
        path: "/api/sql",
        method: "post",
        summary: "One statement that reads: {\"sql\": \"SELECT ..\", \"limit\": 1000}. 64-bit \
                  integers, decimals and times (ns since the epoch) come as text, bytes as hex",
        params: &[Param(
            Query,
            "format",
            "json (the default, at most 10000 rows) or csv (every row)",
        )],
        handler: || post(sql::sql),
    },
];

/// Requests to their handlers.
pub(crate) fn router(app: App) -> Router {
    let routes = ROUTES
        .iter()
        .fold(Router::new(), |router, route| router.route(route.path, (route.handler)()));
    routes
        .route("/api/{*rest}", axum::routing::any(assets::no_such_route))
        .fallback(assets::file)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(app)
}
