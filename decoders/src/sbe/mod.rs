//! SBE (Simple Binary Encoding) 1.0: messages of fixed blocks, repeating groups
//! and variable data, described by an XML schema that the venue gives its
//! members.
//!
//! ```text
//! schema.xml ── [`schema`] ──> blocks of leaves ─┐
//!                                                ├─ [`compile`] ─> [`protocol::SbeProtocol`]
//! VENUE.PRODUCT.toml ── [`overlay`] ─────────────┘   a list of operations a block
//!
//! header | root block | dimension entry entry … | length data | …
//!            └──── [`walk`] ── rows ([`decode`]), fields ([`explain`]), sizes
//! ```
//!
//! The schema says what is where, the overlay what it means in a row; the
//! venue's schema is the user's. Written from the FIX Simple Binary Encoding
//! 1.0 specification (FIX Trading Community, 2020).

pub mod catalog;
pub mod compile;
pub mod decode;
#[cfg(test)]
pub mod encode;
pub mod explain;
pub mod mapping;
pub mod overlay;
pub mod protocol;
pub mod run;
pub mod schema;
pub mod shape;
#[cfg(test)]
mod tests;
pub mod walk;
pub mod wire;
