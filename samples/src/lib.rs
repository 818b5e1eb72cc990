//! A simulated trading network with known truth.
//!
//! ```text
//! exchange ─feed A,B─ P1 ─ P2 ─ P3 ─ handler ─ P4 ─ strategies ─FIX─ P5 ─ gateway
//!    └───────OUCH──── P1 ────────────────── P6 ─────────────────────────────┤
//!                                           P7 ─ drop copy ─FIX─────────────┘
//! ```
//!
//! [`sim::simulate`] runs a trading day and gives out what a capture at each
//! of the seven points holds, and, apart from it, what really happened. The
//! encoders are written from the published layouts and share nothing with the
//! decoders, which are tested by what comes out of here. The same
//! configuration gives the same bytes.
#![deny(missing_docs)]

pub mod calendar;
pub mod captures;
pub mod clock;
pub mod config;
pub mod context;
pub mod desk;
pub mod encode;
pub mod event;
pub mod flood;
pub mod live;
pub mod net;
pub mod output;
pub mod points;
pub mod rng;
pub mod sim;
pub mod site_config;
pub mod trouble;
pub mod truth;
pub mod venue;
