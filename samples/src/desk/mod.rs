//! The trading firm: feed handler, bus, strategies, risk gateway, drop copy.
//!
//! ```text
//! feed ─► handler ─► bus ─► strategies ─FIX─► gateway ─OUCH─► exchange
//!                                               │
//!                                               └─FIX─► drop copy
//! ```

pub mod bus;
pub mod fix_session;
pub mod gateway;
pub mod handler;
pub mod messages;
pub mod reports;
pub mod soup_session;
pub mod strategy;
