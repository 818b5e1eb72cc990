//! The answers, one file a subject.

pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod hops;
pub(crate) mod lines;
pub(crate) mod message;
pub(crate) mod metrics;
pub(crate) mod nodes;
pub(crate) mod order;
pub(crate) mod orders;
pub(crate) mod params;
pub(crate) mod sql;
pub(crate) mod summary;
pub(crate) mod tables;
