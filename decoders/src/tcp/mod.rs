//! Bytes of a TCP direction in order, each with the packet that brought it.
//!
//! ```text
//! segments   [10..30) [50..60) [30..40)          sequence space, any order
//! ready      10..40                              in order: goes to the framing
//! pending           50..60                       waits behind the hole 40..50
//! origins    10: packet 7, 30: packet 9          who brought what
//! ```
//!
//! The first copy of a byte wins. A hole that outlasts one of the limits is
//! given up: it becomes a gap, and reading goes on behind it.

pub mod origin;
pub mod pending;
pub mod reassembly;
#[cfg(test)]
mod tests;
