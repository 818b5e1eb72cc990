//! The exchange: instruments, book, matching, private answers and the feed.

pub mod book;
pub mod dialect;
pub mod engine;
pub mod frame;
pub mod others;
pub mod public;
pub mod publisher;
pub mod symbols;
