//! How messages are cut out of payloads, and what a framing says of them.
//!
//! ```text
//! UDP payload │ moldudp64 header │ len │ message │ len │ message │ …
//! TCP stream  │ len │ type │ message │ len │ type │ …               soupbintcp
//! ```
//!
//! A framing knows bytes and sequence numbers; which engine reads the messages
//! is none of its business.

pub mod fields;
pub mod moldudp64;
pub mod sequence;
pub mod soupbintcp;
