//! Feeds whose packets name no session: which groups carry the same numbers.
//!
//! ```text
//! 224.0.62.2:30501    7 add 55801   8 fill 55777     ┐ same numbers, same content:
//! 233.209.92.11:30501 7 add 55801   8 fill 55777     ┘ two lines of one feed
//! 224.0.62.9:30501    7 delete 12   8 add 90001        another feed of the protocol
//! ```
//!
//! A session names its sequence wherever it is seen. A feed without one
//! (PITCH, MDP 3) has a unit or a channel at most, which other venues of the
//! protocol have as well, and its groups are other ones on each line and
//! behind an address translation. So the groups are compared: those of one
//! protocol and channel that say the same under the same numbers are one
//! stream. So are connections of a protocol, one way each, that say the same: what
//! they say names orders, which is number enough.

use crate::event::StreamIx;
use crate::observation::{Amount, Observation};
use hashbrown::HashMap;
use std::collections::VecDeque;

/// Newest numbers of a protocol's channel that are compared.
pub const COMPARED_MAX: usize = 1 << 12;

/// Most pairs of groups that are compared at once.
pub const PAIRS_MAX: usize = 1 << 14;

/// So many equal messages make two groups one feed...
const EQUAL_MIN: u32 = 6;

/// ...where one of so many at most differs.
const EQUAL_TO_DIFFERENT: u32 = 8;

/// So many different ones end the comparison.
const DIFFERENT_MAX: u32 = 64;

/// A group that was compared so often with no other is left alone until
/// another of its channel appears.
const LOOKS_MAX: u32 = 1 << 16;

/// Protocol and channel, as a number.
type Channel = u64;

#[derive(Debug, Default)]
struct Compared {
    /// Who said what under a number, at a place in a packet.
    said: HashMap<(u64, u16), Vec<(StreamIx, u64)>>,
    order: VecDeque<(u64, u16)>,
    streams: usize,
    looks: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Twins {
    channels: HashMap<Channel, Compared>,
    pairs: HashMap<(StreamIx, StreamIx), (u32, u32)>,
}

impl Twins {
    /// A group of a channel appears.
    pub fn appears(&mut self, channel: Channel) {
        let compared = self.channels.entry(channel).or_default();
        compared.streams += 1;
        compared.looks = 0;
    }

    /// Whether messages of the channel still tell something.
    pub fn looks_at(&self, channel: Channel) -> bool {
        self.channels.get(&channel).is_some_and(|c| c.streams > 1 && c.looks < LOOKS_MAX)
    }

    /// Compares a message of a group, which others know by the same `key`; gives
    /// the group that turned out to be the same feed.
    pub fn compare(
        &mut self,
        channel: Channel,
        stream: StreamIx,
        key: (u64, u16),
        observation: &Observation,
    ) -> Option<StreamIx> {
        let telling = observation.order_id.is_some()
            || observation.match_id.is_some()
            || observation.price != Amount::NONE;
        if !telling || observation.is_unsure() || observation.is_copy() {
            return None;
        }
        let compared = self.channels.get_mut(&channel)?;
        compared.looks += 1;
        let said = compared.said.entry(key).or_default();
        if said.is_empty() {
            compared.order.push_back(key);
        }
        if said.iter().any(|(other, _)| *other == stream) {
            return None;
        }
        let content = observation.content();
        let others: Vec<(StreamIx, bool)> =
            said.iter().map(|(other, text)| (*other, *text == content)).collect();
        said.push((stream, content));
        if compared.order.len() > COMPARED_MAX
            && let Some(oldest) = compared.order.pop_front()
        {
            compared.said.remove(&oldest);
        }
        others.into_iter().find_map(|(other, equal)| {
            self.weigh((other.min(stream), other.max(stream)), equal).then_some(other)
        })
    }

    /// Whether a pair is one feed by now.
    fn weigh(&mut self, pair: (StreamIx, StreamIx), equal: bool) -> bool {
        if self.pairs.len() >= PAIRS_MAX && !self.pairs.contains_key(&pair) {
            return false;
        }
        let (same, different) = self.pairs.entry(pair).or_default();
        if *different >= DIFFERENT_MAX {
            return false;
        }
        *same += u32::from(equal);
        *different += u32::from(!equal);
        *same >= EQUAL_MIN && *same >= different.saturating_mul(EQUAL_TO_DIFFERENT)
    }

    /// A group has become part of another: what it said is the other's.
    pub fn joined(&mut self, channel: Channel, gone: StreamIx, kept: StreamIx) {
        let Some(compared) = self.channels.get_mut(&channel) else { return };
        compared.streams = compared.streams.saturating_sub(1);
        for said in compared.said.values_mut() {
            if said.iter().any(|(stream, _)| *stream == kept) {
                said.retain(|(stream, _)| *stream != gone);
            } else {
                said.iter_mut().filter(|(s, _)| *s == gone).for_each(|(s, _)| *s = kept);
            }
        }
        self.pairs.retain(|(a, b), _| *a != gone && *b != gone);
    }
}
