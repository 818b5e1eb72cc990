//! Streams: what one sequence of messages belongs to.
//!
//! ```text
//! stream 1: nasdaq.totalview-itch.5.0, session "S1", feed
//! stream 2: nasdaq.ouch.5.0, session "PORT1", to the venue     ┐ one
//! stream 3: nasdaq.ouch.5.0, session "PORT1", from the venue   ┘ conversation
//! ```
//!
//! The groups of a feed that names no session are streams of their own until
//! [`crate::twins`] finds that they say the same; so are the connections of sessions
//! without a name, whose addresses are other ones behind a translation.

use crate::event::StreamIx;
use crate::observation::{Observation, Way, stable_hash};
use crate::text::{TextId, Texts};
use crate::twins::Twins;
use hashbrown::HashMap;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

/// Most streams of a run; messages of further ones share the last.
pub const STREAMS_MAX: usize = 1 << 20;

/// A stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Protocol id.
    pub protocol: TextId,
    /// Session.
    pub session: TextId,
    /// Both directions' common name.
    pub conversation: TextId,
    /// Which way its messages go; `None` until one tells.
    pub way: Option<Way>,
    /// Whether it runs over a connection that delivers everything.
    pub reliable: bool,
    /// Whether its sequence numbers are counted by the decoder and not on the
    /// wire, as SoupBinTCP has it.
    pub counted: bool,
    /// Known by its addresses only: its protocol, channel and way, by a number.
    group_of: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StreamKey {
    protocol: TextId,
    session: TextId,
    channel: Option<u32>,
    way: Option<Way>,
}

impl Hash for StreamKey {
    /// In whole words, as it is looked up for every observation.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let pair = |a: u32, b: u32| u64::from(a) << 32 | u64::from(b);
        state.write_u64(pair(self.protocol.number(), self.session.number()));
        let way = self.way.map_or(0, |way| 1 + way as u32);
        state.write_u64(pair(self.channel.unwrap_or(u32::MAX), way));
    }
}

/// Whether it is an address and a port.
fn is_end(name: &str) -> bool {
    let ip = |(address, port): (&str, &str)| {
        address.parse::<IpAddr>().is_ok() && port.parse::<u16>().is_ok()
    };
    name.rsplit_once(':').is_some_and(ip)
}

/// Groups that are other groups' feed: protocol, channel and name to the
/// other's name.
pub type SameFeeds = HashMap<(TextId, Option<u32>, TextId), TextId>;

/// The streams of a run.
#[derive(Debug, Default)]
pub struct Streams {
    streams: Vec<Stream>,
    /// Conversations that a rule of the user found to be part of another.
    joined: HashMap<TextId, TextId>,
    index: HashMap<StreamKey, StreamIx>,
    /// The stream of what observations say, each way of a session by itself.
    seen: HashMap<StreamKey, StreamIx>,
    twins: Twins,
    same_feeds: SameFeeds,
}

impl Streams {
    /// No streams yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, knowing which groups are one feed.
    pub fn with_feeds(mut self, same_feeds: SameFeeds) -> Self {
        self.same_feeds = same_feeds;
        self
    }

    /// Which groups turned out to be one feed.
    pub fn same_feeds(&self) -> &SameFeeds {
        &self.same_feeds
    }

    /// The stream of an observation, made where it is new.
    pub fn of(&mut self, observation: &Observation, texts: &mut Texts) -> StreamIx {
        let seen = StreamKey {
            protocol: observation.protocol,
            session: observation.session,
            channel: observation.channel,
            way: observation.way(),
        };
        let ix = match self.seen.get(&seen) {
            Some(&ix) => ix,
            None => self.first_seen(seen, texts),
        };
        match self.get(ix).and_then(|stream| stream.group_of) {
            Some(channel) if self.twins.looks_at(channel) => {
                self.compared(ix, channel, observation)
            }
            _ => ix,
        }
    }

    /// The stream of a feed's message: another one where its group says the
    /// same as that.
    fn compared(&mut self, ix: StreamIx, channel: u64, observation: &Observation) -> StreamIx {
        // Numbers of sessions may be the decoder's own count.
        let key = match self.way(ix) {
            Way::Feed => observation.seq.map(|seq| (seq, observation.msg_ix)),
            _ => Some((observation.content(), 0)),
        };
        let Some(key) = key else { return ix };
        let Some(other) = self.twins.compare(channel, ix, key, observation) else { return ix };
        let (kept, gone) = (ix.min(other), ix.max(other));
        let names = self.get(kept).zip(self.get(gone));
        let Some((kept_name, gone_name)) = names.map(|(k, g)| (k.session, g.session)) else {
            return ix;
        };
        let joined: Vec<StreamKey> =
            self.seen.iter().filter(|(_, ix)| **ix == gone).map(|(key, _)| *key).collect();
        for key in joined {
            self.seen.insert(key, kept);
            self.same_feeds.insert((key.protocol, key.channel, key.session), kept_name);
        }
        for name in self.same_feeds.values_mut().filter(|name| **name == gone_name) {
            *name = kept_name;
        }
        self.index.values_mut().filter(|ix| **ix == gone).for_each(|ix| *ix = kept);
        self.join(kept, gone);
        self.twins.joined(channel, gone, kept);
        kept
    }

    fn first_seen(&mut self, seen: StreamKey, texts: &mut Texts) -> StreamIx {
        // A session name that says the direction does so for every message.
        let directed = texts.text(seen.session).contains('>');
        let feed = (seen.protocol, seen.channel, seen.session);
        let session = self.same_feeds.get(&feed).copied().unwrap_or(seen.session);
        let key = StreamKey { session, way: seen.way.filter(|_| !directed), ..seen };
        let known = self.index.get(&key).copied();
        let ix = known.unwrap_or_else(|| self.add(key, texts));
        if let (Some(stream), Some(way)) = (self.streams.get_mut(ix as usize), seen.way) {
            stream.way.get_or_insert(way);
            stream.reliable = true;
            stream.counted = !directed;
        }
        if self.streams.len() < STREAMS_MAX {
            self.seen.insert(seen, ix);
        }
        ix
    }

    fn add(&mut self, key: StreamKey, texts: &mut Texts) -> StreamIx {
        if self.streams.len() >= STREAMS_MAX {
            return self.streams.len() as StreamIx - 1;
        }
        let ix = self.streams.len() as StreamIx;
        self.index.insert(key, ix);
        // Messages that name no session are known by where they are sent.
        let name = texts.text(key.session);
        let is_addresses = match key.way {
            None => is_end(name),
            Some(_) => name.split_once(' ').is_some_and(|(a, b)| is_end(a) && is_end(b)),
        };
        let group_of = is_addresses.then(|| {
            let channel = key.channel.map_or(u64::MAX, u64::from);
            let way = key.way.map_or(0, |way| 1 + way as u64);
            stable_hash(&[u64::from(key.protocol.number()), channel, way])
        });
        if let Some(channel) = group_of {
            self.twins.appears(channel);
        }
        let conversation = texts.conversation(key.session);
        self.streams.push(Stream {
            protocol: key.protocol,
            session: key.session,
            conversation,
            way: None,
            reliable: false,
            counted: false,
            group_of,
        });
        ix
    }

    /// Both streams carry the same messages: the second's conversation is the
    /// first's.
    pub fn join(&mut self, first: StreamIx, second: StreamIx) {
        if first == second {
            return;
        }
        let of = |ix| self.get(ix).map(|stream| self.conversation(stream.conversation));
        if let (Some(first), Some(second)) = (of(first), of(second))
            && first != second
            && self.joined.len() < STREAMS_MAX
        {
            self.joined.insert(second, first);
        }
    }

    /// The name of a conversation under all the names it goes by.
    pub fn conversation(&self, name: TextId) -> TextId {
        let mut name = name;
        // Only names that are no other's are joined, so that there is no ring.
        while let Some(&other) = self.joined.get(&name) {
            name = other;
        }
        name
    }

    /// The stream with this number.
    pub fn get(&self, ix: StreamIx) -> Option<&Stream> {
        self.streams.get(ix as usize)
    }

    /// Whether its sequence numbers are only the decoder's count.
    pub fn is_counted(&self, ix: StreamIx) -> bool {
        self.get(ix).is_some_and(|stream| stream.counted)
    }

    /// Which way its messages go: market data where nothing else is known.
    pub fn way(&self, ix: StreamIx) -> Way {
        self.get(ix).and_then(|stream| stream.way).unwrap_or(Way::Feed)
    }
}
