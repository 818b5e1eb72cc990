//! Packets become rows of `messages`.
#![deny(missing_docs)]

pub mod batch;
pub mod fast;
pub mod field;
pub mod fix;
pub mod fixed;
pub mod framing;
pub mod headers;
pub mod kind;
pub mod names;
pub mod tcp;
#[cfg(test)]
pub(crate) mod testing;
