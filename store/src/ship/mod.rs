//! Imports of a node at a hub: sent at least once, visible there once.
//!
//! ```text
//! node: manifest and files of an import ──offer──▶ hub: "missing: b" ─┐
//!          b, in chunks, from where it broke off ─▶ incoming/<node>/b  │ checked by size and hash
//!       ──the same offer again─────────────────────▶ "taken" ◀─────────┘ files first, manifest last
//! shipped.json: what was taken, written aside and renamed
//! ```
//!
//! Every step may be repeated: an offer of what the hub has is answered `known`,
//! a chunk that it has already is passed over. So a node, a hub or the link may
//! go at any moment. The hub never uses a path of the node's: a file's place is
//! made of its table, its point, its first time and its own hash.
//!
//! The same code serves both targets: a hub behind HTTPS, and a directory, which
//! is a store of its own (`taptrail sql --store` reads it).

pub mod accept;
mod check;
mod fault;
pub mod inbox;
pub mod ledger;
pub mod nodes;
pub mod offer;
pub mod send;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use std::fmt;

/// Number of what node and hub say to each other.
pub const PROTOCOL: u32 = 1;

/// Most bytes of a file in one request.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Most bytes of an offer, which is a manifest with the hashes of its files.
pub const OFFER_BYTES_MAX: usize = 4 << 20;

/// Most files of one import.
pub const FILES_MAX: usize = 4096;

/// Most nodes of a hub.
pub const NODES_MAX: usize = 256;

/// The longest name of a node: that of a label in the DNS.
pub const NODE_NAME_MAX: usize = 63;

/// A node's name: 1 to [`NODE_NAME_MAX`] of `a-z 0-9 -`, beginning with a letter
/// or digit. It stands in a certificate and in paths.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(String);

impl NodeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NodeName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let long = name.len() > NODE_NAME_MAX;
        if name.is_empty() || long || name.starts_with('-') || !name.chars().all(fits) {
            return Err(format!(
                "node name {name:?}: needs 1 to {NODE_NAME_MAX} of a-z, 0-9 and '-', the first \
                 no '-'"
            ));
        }
        Ok(Self(name))
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What of an import is shipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing.
    None,
    /// Everything but the packets.
    #[default]
    Messages,
    /// The packets too.
    All,
}

/// What a target says to an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Answer {
    /// The import is there now.
    Taken,
    /// It was there before, or something newer is.
    Known,
    /// It can be taken once these files have come.
    Missing {
        /// What is missing, in the offer's order.
        files: Vec<Held>,
    },
}

/// How much of a file a target has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The file, by its hash in hex.
    pub blake3: String,
    /// Bytes from its start.
    pub have: u64,
}

/// Why a target did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It does not want this import; the others may pass.
    #[error("refused: {0}")]
    Refused(String),
    /// It wants nothing of this node: another certificate or configuration is
    /// needed.
    #[error("{0}")]
    Denied(String),
    /// It cannot be reached or has no time or room now.
    #[error("{0}")]
    Unavailable(String),
}

impl TargetError {
    /// Names what the system refused.
    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |error| Self::Unavailable(format!("{}: {error}", path.display()))
    }
}

impl From<crate::error::StoreError> for TargetError {
    fn from(error: crate::error::StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Where imports go.
pub trait Target: Send {
    /// Offers an import.
    ///
    /// # Errors
    /// Where it is refused or the target cannot be reached.
    fn offer(&mut self, offer: &offer::Offer) -> Result<Answer, TargetError>;

    /// Gives bytes of a file, which begin at `offset` of `total`, and gives how
    /// many the target has now from the file's start. Where that is not what was
    /// expected, the sender goes on from there.
    ///
    /// # Errors
    /// As [`offer`](Self::offer).
    fn put(
        &mut self,
        blake3: &str,
        total: u64,
        offset: u64,
        bytes: &[u8],
    ) -> Result<u64, TargetError>;

    /// Says how the node is.
    ///
    /// # Errors
    /// As [`offer`](Self::offer).
    fn report(&mut self, report: &nodes::Report) -> Result<(), TargetError>;
}
