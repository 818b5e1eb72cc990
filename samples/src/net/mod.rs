//! The wires: how bytes get from sender to receiver past the points.
//!
//! ```text
//! sender ─delay─► tap ─delay─► tap ─delay─► receiver
//!                  │            │
//!                  └─ a copy, stamped by the point's clock, to its capture
//! ```

pub mod addresses;
pub mod delay;
pub mod feed_line;
pub mod ranges;
pub mod stream;
pub mod tap;
