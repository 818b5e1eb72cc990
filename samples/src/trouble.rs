//! What can go wrong once and on purpose, beside what [`Faults`] let happen
//! at random: named, so that each can be looked at alone.
//!
//! [`Faults`]: crate::config::Faults

use std::collections::BTreeSet;
use std::str::FromStr;

/// Something that happens to the site, or how it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// One clock is set anew in the middle of the day.
    ClockStep,
    /// One clock counts TAI and says UTC: 37 s ahead.
    TaiClock,
    /// The feed ends its session in the middle of the day and begins another,
    /// and a FIX session starts its numbers again.
    SessionReset,
    /// TCP sequence numbers pass 2^32 early.
    SequenceWrap,
    /// One capture keeps the first bytes of each packet only.
    Snaplen,
    /// The gateway passes requests on at fixed intervals, many at once.
    Batching,
    /// The gateway holds requests back to a rate.
    Throttling,
    /// One update moves a strategy to several orders.
    Baskets,
    /// The captures behind which nobody else looks count what they drop.
    DropCounts,
    /// The exchange is another one, which publishes Cboe's PITCH.
    OtherVenue,
}

/// Bytes of a packet kept under [`Trouble::Snaplen`].
pub const SNAPLEN: usize = 256;

impl Trouble {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::ClockStep,
        Self::TaiClock,
        Self::SessionReset,
        Self::SequenceWrap,
        Self::Snaplen,
        Self::Batching,
        Self::Throttling,
        Self::Baskets,
        Self::DropCounts,
        Self::OtherVenue,
    ];

    /// As the command line writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClockStep => "clock-step",
            Self::TaiClock => "tai-clock",
            Self::SessionReset => "session-reset",
            Self::SequenceWrap => "sequence-wrap",
            Self::Snaplen => "snaplen",
            Self::Batching => "batching",
            Self::Throttling => "throttling",
            Self::Baskets => "baskets",
            Self::DropCounts => "drop-counts",
            Self::OtherVenue => "other-venue",
        }
    }
}

impl FromStr for Trouble {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|trouble| trouble.name() == text);
        found.ok_or_else(|| format!("{text:?} is none of {}", names()))
    }
}

/// The troubles of a run.
pub type Troubles = BTreeSet<Trouble>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for trouble in Trouble::ALL {
            assert_eq!(trouble.name().parse(), Ok(trouble));
        }
        assert!("rain".parse::<Trouble>().is_err_and(|e| e.contains("clock-step, tai-clock")));
    }
}
