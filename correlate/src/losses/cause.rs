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
    /// Another line had it, at the only point of this one.
    OnlySeen,
    /// Later bytes of the stream were captured.
    Bytes,
}

impl Told {
    /// Whether something else has to tell the cause.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::LastSeen(_) | Self::OnlyPoint | Self::OnlySeen)
    }

    /// What it was where it never came.
    pub const fn passed_by(self) -> Cause {
        match self {
            Self::OnlyPoint | Self::OnlySeen => Cause::Upstream,
            _ => Cause::Network,
        }
    }

    /// The point that saw it.
    pub const fn seen_at(self) -> Option<PointIx> {
        match self {
            Self::SeenBehind(p) | Self::SeenBefore(p) | Self::LastSeen(p) => Some(p),
            _ => None,
        }
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
            Self::OnlySeen => {
                "seen on another line; no other point on this one to tell upstream from capture"
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

/// A cause and how sure it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The likelier cause.
    pub cause: Cause,
    /// The chance that it is the one, 0 to 1.
    pub chance: f64,
    /// What tells it.
    pub proof: Proof,
}

impl Verdict {
    /// Of the chance that the capture missed what else `passed_by` took. What
    /// another point saw and nothing else tells of never came.
    pub fn of(capture: f64, passed_by: Cause, proof: Proof) -> Self {
        let capture = capture.clamp(0.0, 1.0);
        if capture > 0.5 {
            Self { cause: Cause::Capture, chance: capture, proof }
        } else {
            Self { cause: passed_by, chance: 1.0 - capture, proof }
        }
    }

    /// Whether nothing tells why: numbers missing at the only point of their
    /// stream, of a capture that counts no drops, where nothing is known of
    /// losses elsewhere nor reactions to be expected.
    pub fn is_blind(&self, told: Told) -> bool {
        let Proof::Usual(Usually { known, reacted, .. }) = self.proof else { return false };
        let silent = reacted.is_none_or(|(_, _, expected)| expected < 0.5);
        told == Told::OnlyPoint && known.is_none() && silent
    }
}

/// A cause at least as sure as this counts as sure in the report, others as
/// likely.
pub const SURE: f32 = 0.95;

/// What tells the cause where no other point does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Proof {
    /// The capture counted so many drops at that time, of which other losses
    /// explain so many, and so many packets are missing beside these.
    Dropped {
        /// Packets that the capture counted.
        packets: u64,
        /// Of them, those known to be missed for other reasons.
        explained: u64,
        /// Packets missing then that nothing else explains.
        missing: u64,
    },
    /// The capture counted none.
    NothingDropped,
    /// Later messages name it: somebody got it.
    Named(PointIx),
    /// What is usual.
    Usual(Usually),
}

/// What losses are like where their cause is known, and what was reacted to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usually {
    /// Runs of the same look at points that others tell of: the capture's, the
    /// network's.
    pub known: Option<(u64, u64)>,
    /// Runs missing here on all lines, those of them that were reacted to, and
    /// how many would be had all passed.
    pub reacted: Option<(u64, u64, f64)>,
    /// Whether all lines miss it at once.
    pub all_lines: bool,
}

impl Usually {
    fn text(self) -> String {
        let mut parts = Vec::new();
        if let Some((capture, network)) = self.known {
            parts.push(format!(
                "of such losses at points that others tell of, {capture} were the capture's and {network} the network's"
            ));
        } else if self.all_lines {
            parts.push("all lines miss it at once, which take ways of their own".to_owned());
        }
        if let Some((runs, named, expected)) = self.reacted {
            parts.push(format!(
                "of {runs} here {named} were reacted to, where {expected:.1} would be had all passed"
            ));
        }
        if parts.is_empty() {
            "nothing speaks for a miss of the capture".to_owned()
        } else {
            parts.join("; ")
        }
    }
}

impl Proof {
    /// As evidence.
    pub fn text(self, points: &Points) -> String {
        match self {
            Self::Dropped { packets, explained: 0, missing: _ } => {
                format!("this capture counted {packets} packets dropped then")
            }
            Self::Dropped { packets, explained, missing } => format!(
                "this capture counted {packets} packets dropped then; {explained} are explained, {missing} more are missing"
            ),
            Self::NothingDropped => "this capture counted no drop then".to_owned(),
            Self::Named(point) => {
                format!("a later message at {} names one of them: they passed", points.name(point))
            }
            Self::Usual(usually) => usually.text(),
        }
    }
}
