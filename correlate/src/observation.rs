//! An observation: a message at a point, with the columns that rules read.
//!
//! ```text
//! row of `messages`  ──interned──>  Observation (about 280 bytes, Copy)
//! ```

use crate::matching::keys::OwnKey;
use crate::points::PointIx;
use crate::text::TextId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use taptrail_decoders::kind::{Kind, Sender, SeqUnit, Side, flags};

/// Copies of an earlier message: never the start or end of a link.
pub const COPY_FLAGS: u32 = flags::DUPLICATE | flags::RETRANSMIT | flags::POSS_DUP;

/// Columns may be wrong or missing, so that they prove no difference.
const UNSURE_FLAGS: u32 =
    flags::TRUNCATED | flags::MAYBE_BAD_STATE | flags::DECODE_ERROR | flags::UNKNOWN_TYPE;

/// A number x 10^9, or none, in half the room of an `Option`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Amount(i128);

impl Amount {
    /// No number. What stands for it is far outside of what 38 digits hold.
    pub const NONE: Self = Self(i128::MIN);

    /// The number.
    pub fn get(self) -> Option<i128> {
        Some(self.0).filter(|_| self != Self::NONE)
    }
}

/// As an `Option`, of which most are short.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Option::deserialize(from).map(Self::from)
    }
}

impl From<Option<i128>> for Amount {
    fn from(number: Option<i128>) -> Self {
        number.map_or(Self::NONE, Self)
    }
}

/// A message at a point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Where.
    pub point: PointIx,
    /// Feed line.
    pub line: TextId,
    /// Time as stamped, ns since the epoch.
    pub ts: i64,
    /// The same time on the reference clock; the engine sets it.
    pub at: i64,
    /// Capture.
    pub capture_id: u64,
    /// Packet in the capture.
    pub packet_ix: u32,
    /// Message in the packet.
    pub msg_ix: u16,
    /// Entry in the message.
    pub entry: u16,
    /// Protocol id.
    pub protocol: TextId,
    /// Session, else the flow: the name the sequence and the ids live under.
    pub session: TextId,
    /// Feed channel.
    pub channel: Option<u32>,
    /// Sequence number.
    pub seq: Option<u64>,
    /// What it counts.
    pub seq_unit: Option<SeqUnit>,
    /// What happened.
    pub kind: Kind,
    /// Native type.
    pub msg_type: TextId,
    /// Symbol.
    pub symbol: TextId,
    /// Side.
    pub side: Option<Side>,
    /// Price x 10^9.
    pub price: Amount,
    /// Quantity x 10^9.
    pub qty: Amount,
    /// Quantity taken off by this event x 10^9.
    pub qty_delta: Amount,
    /// Quantity left x 10^9.
    pub qty_leaves: Amount,
    /// Quantity executed so far x 10^9.
    pub qty_cum: Amount,
    /// The venue's number of the order.
    pub order_id: Option<u64>,
    /// Its number before a replace.
    pub orig_order_id: Option<u64>,
    /// The venue's number of the match.
    pub match_id: Option<u64>,
    /// The feed sequence this message says it comes from.
    pub trigger_seq: Option<u64>,
    /// The venue's id of the order as text.
    pub order_id_txt: TextId,
    /// Client order id.
    pub cl_ord_id: TextId,
    /// Client order id of the version before.
    pub orig_cl_ord_id: TextId,
    /// Execution id.
    pub exec_id: TextId,
    /// Account.
    pub account: TextId,
    /// Whether the venue says that the client asked for this cancel.
    pub asked: Option<bool>,
    /// Bytes of the message; of a gap, bytes missing.
    pub raw_len: u32,
    /// Bits of [`flags`].
    pub flags: u32,
    /// Which end of a connection sent it; absent for datagrams.
    pub sender: Option<Sender>,
    /// Whether the sequence number was counted by the decoder, not read from
    /// the message: captures with different holes count differently, so that
    /// it says nothing at another point. The engine sets it.
    pub seq_counted: bool,
    /// The key that a rule of the user gives it. The engine sets it.
    pub own_key: Option<OwnKey>,
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Way {
    /// From the venue to everybody.
    Feed,
    /// Towards the venue: requests.
    ToVenue,
    /// From the venue or its gateway: answers.
    FromVenue,
}

/// Whether a kind is a request.
pub fn is_request(kind: Kind) -> bool {
    matches!(kind as u8, 30..=34)
}

/// Whether a kind is an answer to one.
pub fn is_report(kind: Kind) -> bool {
    matches!(kind as u8, 40..=47)
}

impl Observation {
    /// Nothing but a place, a time and a kind.
    pub fn empty(point: PointIx, ts: i64, kind: Kind) -> Self {
        Self {
            point,
            line: TextId::NONE,
            ts,
            at: ts,
            capture_id: 0,
            packet_ix: 0,
            msg_ix: 0,
            entry: 0,
            protocol: TextId::NONE,
            session: TextId::NONE,
            channel: None,
            seq: None,
            seq_unit: None,
            kind,
            msg_type: TextId::NONE,
            symbol: TextId::NONE,
            side: None,
            price: Amount::NONE,
            qty: Amount::NONE,
            qty_delta: Amount::NONE,
            qty_leaves: Amount::NONE,
            qty_cum: Amount::NONE,
            order_id: None,
            orig_order_id: None,
            match_id: None,
            trigger_seq: None,
            order_id_txt: TextId::NONE,
            cl_ord_id: TextId::NONE,
            orig_cl_ord_id: TextId::NONE,
            exec_id: TextId::NONE,
            account: TextId::NONE,
            asked: None,
            raw_len: 0,
            flags: 0,
            sender: None,
            seq_counted: false,
            own_key: None,
        }
    }

    /// The ids of its order and execution, absent ones among them.
    pub fn ids(&self) -> [TextId; 4] {
        [self.order_id_txt, self.cl_ord_id, self.orig_cl_ord_id, self.exec_id]
    }

    /// The same, to be changed.
    pub fn ids_mut(&mut self) -> [&mut TextId; 4] {
        [&mut self.order_id_txt, &mut self.cl_ord_id, &mut self.orig_cl_ord_id, &mut self.exec_id]
    }

    /// Whether the decoder marked it as a copy of an earlier message.
    pub fn is_copy(&self) -> bool {
        self.flags & COPY_FLAGS != 0
    }

    /// Which way it goes, where the kind or the sender tells; `None` is market
    /// data, or a message of a session whose sender is not known. Datagrams
    /// have no sender here: a feed is no session.
    pub fn way(&self) -> Option<Way> {
        match self.sender {
            _ if is_request(self.kind) => Some(Way::ToVenue),
            _ if is_report(self.kind) => Some(Way::FromVenue),
            Some(Sender::Client) => Some(Way::ToVenue),
            Some(Sender::Server) => Some(Way::FromVenue),
            None => None,
        }
    }

    /// A number that equal messages share and different ones practically
    /// never: of type, ids, price and quantity, not of what decoders learn
    /// elsewhere (symbol) or count (sequence).
    pub fn content(&self) -> u64 {
        let parts = [
            u64::from(self.msg_type.number()) | (u64::from(self.cl_ord_id.number()) << 32),
            u64::from(self.orig_cl_ord_id.number()) | (u64::from(self.exec_id.number()) << 32),
            self.order_id.unwrap_or(u64::MAX),
            self.match_id.unwrap_or(u64::MAX),
            self.price.get().map_or(u64::MAX, |price| price as u64),
            self.qty.get().map_or(u64::MAX, |qty| qty as u64),
            self.qty_delta.get().map_or(u64::MAX, |qty| qty as u64),
            self.side.map_or(0, |side| side as u64) | ((self.kind as u64) << 8),
        ];
        stable_hash(&parts)
    }

    /// Whether the columns may be wrong, so that other content proves nothing.
    pub fn is_unsure(&self) -> bool {
        self.flags & UNSURE_FLAGS != 0
    }

    /// Where the observation stands among others of the same time.
    pub fn place(&self) -> (i64, PointIx, u64, u32, u16, u16) {
        (self.at, self.point, self.capture_id, self.packet_ix, self.msg_ix, self.entry)
    }
}

/// A 64-bit hash that is the same on every machine and in every version, for
/// ids that are stored.
pub fn stable_hash(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |hash: u64, &part| {
        let mut mixed = (hash ^ part).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^= mixed >> 32;
        mixed = mixed.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        mixed ^ (mixed >> 29)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_quantities_apart() {
        let mut a = Observation::empty(0, 1, Kind::RptFill);
        let mut b = a;
        a.qty = Some(1).into();
        b.qty = Some(2).into();
        assert_ne!(a.content(), b.content());
        b.qty = Some(1).into();
        b.point = 3;
        assert_eq!(a.content(), b.content());
    }

    #[test]
    fn stored_hash_stays() {
        assert_eq!(stable_hash(&[1, 2, 3]), stable_hash(&[1, 2, 3]));
        assert_ne!(stable_hash(&[1, 2, 3]), stable_hash(&[3, 2, 1]));
    }
}
