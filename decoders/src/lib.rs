//! Packets become rows of `messages`.
#![deny(missing_docs)]

pub mod batch;
pub mod field;
pub mod kind;
pub mod names;
