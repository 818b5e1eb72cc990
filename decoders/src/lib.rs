//! Packets become rows of `messages`.
//!
//! ```text
//! frame ─ headers ─► flow ─┬─ UDP ─────────┬─ framing ─ recognise ─┬─ fixed ┐
//!                          └─ TCP in order ┘                       ├─ fix   ├─► rows, fields
//!                                                                  ├─ fast  │
//!                                                                  └─ sbe   ┘
//! ```
//!
//! [`decoder::Decoder`] makes rows, [`explain::Explainer`] takes every byte
//! apart for people; both go the same way. Decoding does no I/O; protocol
//! files and templates are read once, by [`library::Library`].
#![deny(missing_docs)]

pub mod batch;
mod columns;
pub mod config;
pub mod decoder;
pub mod explain;
pub mod fast;
pub mod field;
pub mod fix;
pub mod fixed;
pub mod flow;
pub mod framing;
pub mod headers;
pub(crate) mod hidden;
pub mod kind;
pub mod learning;
pub mod library;
pub mod names;
pub mod pipeline;
pub mod protocol_set;
pub mod recognise;
pub mod sbe;
pub mod tcp;
#[cfg(test)]
pub(crate) mod testing;
pub mod typed;
