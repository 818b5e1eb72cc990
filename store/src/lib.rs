//! Parquet segments, catalog and SQL.
//!
//! ```text
//! PacketBatch, MessageBatch ──arrays──> RecordBatch ──segment──> <store>/packets/point=P/date=../hour=..
//!                                                        │
//!                                       one manifest a capture, made visible by one rename
//!                                                        ▼
//!                                       catalog ──sql──> SELECT ... FROM messages
//! ```
#![deny(missing_docs)]

pub mod arrays;
pub mod catalog;
pub mod error;
pub mod explain;
pub mod identity;
pub mod import;
pub mod segment;
pub mod ship;
pub mod sql;
pub mod tables;
