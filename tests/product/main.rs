//! Whole-product tests: the real binary from the outside, fast ones first.
//! One test binary, a file each subject.

mod bad_input;
mod browser;
mod bucket;
mod capture;
mod demo;
mod follow;
mod golden;
mod kills;
mod layout;
mod live;
mod malformed;
mod network;
mod opaque;
mod score;
mod ship;
mod structure;
mod support;
mod typed;
mod wire;
