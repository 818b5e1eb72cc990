//! Packets with a time and a point.
//!
//! ```text
//! pcap, pcapng, ERF, FMADIO (plain or gzip) | stdin      live interface
//!        │ [`file`]                                         │ [`live`]
//!        ▼                                                  ▼
//! [`trailer`]: the time a tap stamped into the frame, where the point is
//!        │     configured for it or the packets tell
//!        │  Packet {ts, ts_record, bytes, lengths, link type}
//!        ▼
//! [`packet::PacketBatch`], given out by a [`source::PacketSource`]
//!        │  [`fault::FaultSource`] wraps any of them: loss, reordering, skew
//!        ▼
//! whoever takes the batches; [`pcap_writer`] and [`pcapng_writer`] write them
//! ```
//!
//! This crate knows neither Arrow nor protocols: whoever takes its batches
//! decides what the bytes mean.
//!
//! What every source keeps to:
//! - Packets read before any trouble are given, then the trouble is told: a
//!   [`source::Warning`] where reading ends or goes on in good order (a cut
//!   record, a bad length), a [`source::CaptureError`] where it does not (not
//!   a capture, a read error, damaged gzip data). Both name the byte offset.
//! - Nothing is allocated by a length that was read: a file passes through a
//!   window of 512 KiB, a packet is at most [`packet::CAPLEN_MAX`].
//! - Times are exact. A time finer than a nanosecond is rounded to the nearest;
//!   one that does not fit is 0 and flagged ([`packet::ts_flags`]).
//! - What was lost is counted by cause, and unknown is not zero
//!   ([`source::LossCounters`]).
//!
//! ```no_run
//! use taptrail_capture::{file, packet::PacketBatch, point::TimestampFrom};
//! use taptrail_capture::source::{CaptureError, PacketSource, Progress};
//!
//! fn main() -> Result<(), CaptureError> {
//!     let mut source = file::open("P1.pcapng.gz".as_ref(), TimestampFrom::Record)?;
//!     let mut batch = PacketBatch::new();
//!     loop {
//!         let progress = source.next_batch(&mut batch)?;
//!         for packet in batch.iter() {
//!             println!("{} {} bytes", packet.meta.ts, packet.data.len());
//!         }
//!         if progress == Progress::End {
//!             break;
//!         }
//!     }
//!     for warning in source.take_warnings() {
//!         eprintln!("{warning}");
//!     }
//!     Ok(())
//! }
//! ```
#![deny(missing_docs)]

pub mod account;
pub mod adapter;
pub mod clock;
pub mod fault;
pub mod file;
pub mod live;
pub mod node;
pub mod open_segment;
pub mod packet;
pub mod packet_blocks;
pub mod pcap_writer;
pub mod pcapng_writer;
pub mod point;
pub mod replay;
#[cfg(target_os = "linux")]
pub mod ring;
pub mod segment_id;
pub mod source;
pub mod system;
pub mod time;
pub mod trailer;
