//! JSON API and dashboard over a store.
//!
//! ```text
//! browser ──HTTP──> guard (Host, headers, size) ──> routes ──> api/*  ──SQL──> store session
//!                                                      └─────> assets (the dashboard, embedded)
//! ```
//!
//! Everything is read only: no request can change the store. Every answer is
//! one or a few SQL statements over the store's tables; what a page shows can
//! be asked again on the SQL page.
#![deny(missing_docs)]

mod api;
mod assets;
mod buckets;
pub mod error;
mod guard;
mod health;
pub mod hub;
mod json;
mod listener;
pub mod monitor;
mod openapi;
mod query;
mod routes;
pub mod s3;
pub mod server;
mod state;
