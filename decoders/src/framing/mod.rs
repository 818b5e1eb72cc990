//! How messages are cut out of payloads, and what a framing says of them.
//!
//! ```text
//! UDP payload │ moldudp64 header │ len │ message │ len │ message │ …
//! UDP payload │ declared header  │ message │ message │ …            framings/*.toml
//! TCP stream  │ len │ type │ message │ len │ type │ …               framings/*.toml
//! ```
//!
//! A framing knows bytes and sequence numbers; which engine reads the messages
//! is none of its business.

pub mod catalog;
pub mod condition;
pub mod declared;
pub mod fields;
pub mod leaf;
pub mod moldudp64;
pub mod sequence;
pub mod source;
pub mod stream;
pub mod unpack;
