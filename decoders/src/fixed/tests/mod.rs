//! Tests over whole messages, with bytes made by hand.

mod any_bytes;
mod behind;
mod boe;
mod encoded;
mod exchange;
mod hsvf;
mod itch;
mod learning;
mod ouch;
pub mod rows;
mod spec_faults;
mod ways;

mod wire_bytes;
