//! Packets with a time and a point.
//!
//! ```text
//! pcap, pcapng file (plain or gzip) | standard input | live interface
//!        │  record
//!        ▼
//! [`trailer`]: the time a tap stamped, where a point is configured so
//!        │  Packet {ts, ts_record, bytes, lengths, link type}
//!        ▼
//! [`packet::PacketBatch`], given out by a [`source::PacketSource`]
//! ```
//!
//! This crate knows neither Arrow nor protocols: whoever takes its batches
//! decides what the bytes mean.
#![deny(missing_docs)]

pub mod packet;
pub mod point;
pub mod source;
pub mod time;
