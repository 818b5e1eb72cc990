//! A small trading network, made up row by row, in a real store.
//!
//! ```text
//! feed A,B ─ P1 ─ P2 ─ P3 ─ strategy ─FIX─ P5 ─ gateway ─OUCH─ P6 ─ venue
//! ```

pub mod http;
pub mod messages;
pub mod network;
pub mod tables;

use crate::support::network::Network;
use std::path::Path;
use taptrail_store::catalog::Store;

/// A store in `root` that holds a network with so many orders.
pub fn store(root: &Path, orders: u64) -> Store {
    let store = Store::open_or_create(root).unwrap();
    let network = Network::new(orders);
    messages::import(&store, &network);
    tables::correlate(&store, &network);
    store
}
