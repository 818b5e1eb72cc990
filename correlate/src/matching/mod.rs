//! The rules that join observations, one file each.
//!
//! ```text
//! same     observations -> events, and the links between an event's sightings
//! orders   events -> orders, orders -> trades (a gateway's two sides, drop copies)
//! payload  the same for packets that nothing decodes, by a hash of their bytes
//! keys     key rules of the user, for same and relay
//! order    links inside one order: chain, ack, fill, done
//! relay    links between the two sides of a gateway
//! public   links from the venue's answers to its feed
//! trigger  links from market data to requests that name it
//! resting  what resting orders are of, for feeds that tell it once
//! trade    orders that hang together
//! recent   the newest market data of each instrument
//! reaction which of it a request that names none reacted to
//! ```

pub mod keys;
pub mod order;
pub mod orders;
pub mod payload;
pub mod public;
pub mod reaction;
pub mod recent;
pub mod relay;
pub mod resting;
pub mod same;
pub mod trade;
pub mod trigger;
