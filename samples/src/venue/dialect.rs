//! Which of the published protocols the exchange speaks.
//!
//! ```text
//!          feed                        orders
//! Nasdaq   ITCH 5.0 over MoldUDP64     OUCH 5.0 over SoupBinTCP
//! Cboe     PITCH over unit headers     OUCH 5.0 over SoupBinTCP
//! ```

use crate::trouble::{Trouble, Troubles};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Nasdaq's.
    Nasdaq,
    /// That of Cboe's US equities exchanges, for the feed.
    Cboe,
}

impl Dialect {
    /// What the exchange of a run speaks.
    pub fn of(troubles: &Troubles) -> Self {
        if troubles.contains(&Trouble::OtherVenue) { Self::Cboe } else { Self::Nasdaq }
    }

    /// Protocol id of the feed, as in the decoders' rows.
    pub const fn feed_protocol(self) -> &'static str {
        match self {
            Self::Nasdaq => "nasdaq.totalview-itch.5.0",
            Self::Cboe => "cboe.pitch-us.2.41",
        }
    }

    /// What the decoders call messages of the feed's framing itself.
    pub const fn feed_framing(self) -> &'static str {
        match self {
            Self::Nasdaq => "moldudp64",
            Self::Cboe => "cboe-suh",
        }
    }

    /// Whether a replaced order keeps its number (PITCH, "Modify Order
    /// Message Fields"), or gets another one (ITCH, section 1.4.5).
    pub const fn keeps_reference(self) -> bool {
        matches!(self, Self::Cboe)
    }
}
