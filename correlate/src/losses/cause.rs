//! Why messages are missing, and what told it.

use crate::points::{PointIx, Points};

/// Why messages are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// Lost on the way between two points.
    Network,
    /// Passed the point, the capture missed it.
    Capture,
    /// Lost before the first point.
    Upstream,
    /// Missing on every line.
    BothLines,
    /// Nothing tells.
    Unknown,
}

impl Cause {
    /// The text in tables.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Capture => "capture",
            Self::Upstream => "upstream",
            Self::BothLines => "both_lines",
            Self::Unknown => "unknown",
        }
    }
}

/// What told the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A point behind saw it.
    SeenBehind(PointIx),
    /// A point before saw it, and points behind would have.
    SeenBefore(PointIx),
    /// A point before saw it; no point is behind.
    LastSeen(PointIx),
    /// Another line had it.
    OtherLine,
    /// TCP delivers what a point saw.
    Reliable(PointIx),
    /// No line had it from a point on.
    NoLine,
    /// Numbers that nobody saw, though several points would have.
    Nowhere,
    /// Numbers missing at the only point of their stream.
    OnlyPoint,
    /// Later bytes of the stream were captured.
    Bytes,
}

impl Told {
    /// Whether something else has to tell the cause.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::LastSeen(_) | Self::OnlyPoint)
    }

    /// As evidence.
    pub fn text(self, points: &Points) -> String {
        match self {
            Self::SeenBehind(p) => format!("seen behind it at {}", points.name(p)),
            Self::SeenBefore(p) => {
                format!("seen at {}, at no point from here on", points.name(p))
            }
            Self::LastSeen(p) => format!(
                "seen at {}; no point behind this one to tell network from capture",
                points.name(p)
            ),
            Self::OtherLine => "at no point on this line, seen on another".to_owned(),
            Self::Reliable(p) => {
                format!("seen at {}; TCP delivers every byte, so it passed here", points.name(p))
            }
            Self::NoLine => "on no line here nor behind".to_owned(),
            Self::Nowhere => "sequence numbers seen at no point on no line".to_owned(),
            Self::OnlyPoint => {
                "sequence numbers missing at the only point; nothing tells whether they came"
                    .to_owned()
            }
            Self::Bytes => "later bytes of the TCP stream were captured".to_owned(),
        }
    }
}

/// What the captures at a point say of their own drops in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// So many packets were dropped.
    Dropped(u64),
    /// None was.
    Nothing,
}

/// What tells the cause where no other point does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Proof {
    /// The capture counted drops at that time.
    Dropped(u64),
    /// The capture counted none.
    NothingDropped,
    /// Later messages name it: somebody got it.
    Named(PointIx),
    /// Every line lost it here at once, and nothing speaks against the capture.
    AllLines,
    /// As many as usual of the runs missing were reacted to: of how many, how many.
    ReactedAsUsual(u64, u64),
    /// Nobody reacted to any, where so many were to be expected.
    NoReaction(u64),
}

impl Proof {
    /// As evidence.
    pub fn text(self, points: &Points) -> String {
        match self {
            Self::Dropped(packets) => {
                format!("this capture counted {packets} packets dropped then")
            }
            Self::NothingDropped => "this capture counted no drop then".to_owned(),
            Self::Named(point) => {
                format!("a later message at {} names one of them: they passed", points.name(point))
            }
            Self::AllLines => {
                "all lines of one capture miss them at once, a point before had them on each"
                    .to_owned()
            }
            Self::ReactedAsUsual(missing, named) => format!(
                "of {missing} such losses here, {named} were reacted to, as usual for messages that came"
            ),
            Self::NoReaction(expected) => {
                format!("nobody reacted to any such loss here, where about {expected} were usual")
            }
        }
    }
}
