//! Links, losses, latencies, orders and reports from the messages.
//!
//! ```text
//! rows of `messages` ─> observation ─> event ─> order ─> trade
//!                           │            │        └────────┴─> links, orders, lineage
//!                           │            └─> same links, losses, lines
//!                           └─> clocks, topology            all links ─> hops ─> report
//! rows of `packets` ──> bursts, tcp, same links of what nothing decodes
//! ```
//!
//! Everything but [`run`], [`follow`], [`pass`], [`merge`], [`opaque`], [`shelf`],
//! [`wire::read`] and [`report::read`] is free of I/O.
#![deny(missing_docs)]

pub mod calibrate;
pub mod clock;
pub mod columns;
pub mod config;
pub mod dictionary;
pub mod early;
pub mod engine;
pub mod event;
pub mod follow;
pub mod hist;
pub mod hops;
pub mod lineage;
pub mod lines;
pub mod link;
pub mod losses;
pub mod matching;
pub mod merge;
pub mod observation;
pub mod observed;
pub mod opaque;
pub mod packed;
pub mod pass;
pub mod points;
pub mod report;
pub mod run;
pub mod sample;
pub mod scout;
pub mod shelf;
pub mod stream;
pub mod text;
pub mod told;
pub mod topology;
pub mod traffic;
pub mod twins;
pub mod wants;
pub mod wire;

#[cfg(test)]
mod shelf_tests;
#[cfg(test)]
mod testnet;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod venues_tests;
