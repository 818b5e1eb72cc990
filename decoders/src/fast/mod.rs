//! FAST (FIX Adapted for STreaming) 1.1: template-driven, state-carrying
//! market data.
//!
//! ```text
//! templates.xml ── [`compile`] ──> [`templates::Templates`]: flat arrays of ops,
//!                                  each with its dictionary slot and its column
//! datagram ── [`preamble`] ──> messages ── [`machine`] ─> rows ([`rows`])
//!                                  │                      or fields ([`explain`])
//!                    [`decode`]: message after message
//!                    [`wire`]: stop bits, presence maps
//!                    [`slots`]: previous values, undefined / empty / assigned
//!                    [`measure`]: where a message ends that does not say it
//! ```
//!
//! Written from the FAST Specification 1.1 (FIX Protocol Ltd, 2006); sections
//! named in the modules are its sections, and `D2`, `R1` … its error codes
//! (appendix 4).

pub mod compile;
pub mod decode;
mod element;
pub mod error;
pub mod explain;
pub mod feed;
pub mod machine;
pub mod mapping;
pub mod measure;
pub mod packet_header;
pub mod preamble;
pub mod profiles;
pub mod rows;
pub mod slots;
pub mod templates;
pub mod times;
pub mod typed;
pub mod wire;

#[cfg(test)]
mod tests;
