//! FIX tag=value: framing, dictionaries, repeating groups and columns.
//!
//! ```text
//! bytes ──scan──> one message ──fields──> (tag, value) ──groups──> entries ──columns──> rows
//!                                             │                      │
//!                                         dictionary: names, types, length/data pairs, groups
//! ```
//!
//! Sources: FIX tag=value encoding v1.1, FIX 4.0 to 5.0 SP2, FIXT 1.1 session
//! protocol; dictionaries from FIX Orchestra (see `NOTICE`).

pub mod columns;
pub mod decode;
pub mod dictionary;
pub mod explain;
pub mod fields;
pub mod framing;
pub mod groups;
pub mod kinds;
pub mod pass;
pub mod secrets;
pub mod sequence;
pub mod user;
pub mod values;
pub mod words;

/// The byte that ends a field.
pub const SOH: u8 = 1;

#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod user_tests;
