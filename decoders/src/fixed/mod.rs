//! The engine for fixed layouts: one TOML file a protocol, no code.
//!
//! ```text
//! protocols/*.toml ── source ─▶ layout lines ── compile ─▶ FixedProtocol      once, at load
//!                                                             │
//! block of messages ── bucket by layout ── op by op ──────────┴─▶ MessageBatch   per packet batch
//!   A D A U D E       AA DD U E            order_id of AA, …
//! ```
//!
//! A message's layout becomes a flat list of operations, each one field into
//! one column. A block of messages is sorted by layout, then every operation
//! runs over all messages of its layout at once, so the cost of interpreting
//! is paid once a bucket and not once a field; so are the parts of messages that
//! vary, in buckets of their own. `PROTOCOLS.md` says how a
//! protocol file is written. The engine reads its own format and no other.

pub mod alone;
pub mod base;
pub mod bitfields;
pub mod buckets;
pub mod bytes;
pub mod catalog;
pub mod clock;
pub mod compile;
pub mod decoder;
pub mod doubts;
pub mod encode;
pub mod error;
pub mod explain;
pub mod fill;
pub mod layout;
pub mod learned;
pub mod outline;
pub mod parts;
pub mod place;
pub mod program;
pub mod protocol;
pub mod radix;
pub mod run;
pub mod scale;
pub mod shapes;
pub mod shelf;
pub mod source;
pub mod switch;
pub mod tables;
pub mod targets;
pub mod text;
pub mod tlv;
pub mod value;
pub mod walk;
pub mod wire;

#[cfg(test)]
mod tests;
