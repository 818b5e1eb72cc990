//! The exchange: instruments, book, matching, private answers and the feed.

pub mod book;
pub mod engine;
pub mod others;
pub mod publisher;
pub mod symbols;
