//! What resting orders are of: feeds that tell it once.
//!
//! ```text
//! add 55801 ALFA buy 300@10.02      remembered
//! fill 55801 100                    of ALFA, a buy at 10.02
//! ```
//!
//! PITCH and its like name the symbol, side and price of an order when it is
//! added, and afterwards only its number. Rules that ask what a message was
//! about need all of them. Only protocols that leave the symbol out are
//! remembered, and nothing is taken out on a delete: other points and lines
//! see it later.

use crate::event::StreamIx;
use crate::observation::{Amount, Observation};
use crate::text::TextId;
use hashbrown::{HashMap, HashSet};
use std::collections::VecDeque;
use taptrail_decoders::kind::Side;

/// Most orders remembered; the oldest are forgotten, counted.
pub const RESTING_MAX: usize = 1 << 20;

/// Protocols whose messages leave out what an order's number says.
pub type Brief = HashSet<TextId>;

#[derive(Clone, Copy, Debug)]
struct Terms {
    symbol: TextId,
    side: Option<Side>,
    price: Amount,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Resting {
    brief: Brief,
    orders: HashMap<(StreamIx, u64), Terms>,
    oldest: VecDeque<(StreamIx, u64)>,
    forgotten: u64,
}

impl Resting {
    /// Knows which protocols are brief.
    pub fn new(brief: Brief) -> Self {
        Self { brief, ..Self::default() }
    }

    /// Which protocols turned out to be brief.
    pub fn brief(&self) -> &Brief {
        &self.brief
    }

    /// Orders that were forgotten because of [`RESTING_MAX`].
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Notes whether a message leaves out what its order is of.
    pub fn note(&mut self, seen: &Observation) {
        if seen.order_id.is_some() && seen.symbol.is_none() {
            self.brief.insert(seen.protocol);
        }
    }

    /// The message with what is known of its order.
    pub fn complete(&mut self, seen: &Observation, stream: StreamIx) -> Observation {
        let Some(order_id) = seen.order_id else { return *seen };
        self.note(seen);
        if !self.brief.contains(&seen.protocol) {
            return *seen;
        }
        let before = seen.orig_order_id.unwrap_or(order_id);
        let known = self.orders.get(&(stream, before)).copied();
        let symbol = seen.symbol.some().or(known.map(|terms| terms.symbol)).unwrap_or_default();
        let side = seen.side.or(known.and_then(|terms| terms.side));
        let price = seen.price.get().or(known.and_then(|terms| terms.price.get())).into();
        let terms = Terms { symbol, side, price };
        let is_news =
            !symbol.is_none() && (known.is_none() || seen.price != Amount::NONE && !seen.is_copy());
        if is_news && adds_or_changes(seen) {
            self.remember((stream, order_id), terms);
        }
        Observation { symbol, side, price, ..*seen }
    }

    fn remember(&mut self, key: (StreamIx, u64), terms: Terms) {
        if self.orders.insert(key, terms).is_none() {
            self.oldest.push_back(key);
        }
        if self.orders.len() > RESTING_MAX
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.orders.remove(&oldest);
            self.forgotten += 1;
        }
    }
}

/// Whether the message says what its order is from now on. A fill's price may
/// be another than the order's.
fn adds_or_changes(seen: &Observation) -> bool {
    use taptrail_decoders::kind::Kind;
    matches!(seen.kind, Kind::OrderAdd | Kind::OrderModify | Kind::OrderReplace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Texts;
    use taptrail_decoders::kind::Kind;

    #[test]
    fn a_fill_is_of_what_was_added() {
        let mut texts = Texts::new();
        let (pitch, alfa) = (texts.intern("pitch"), texts.intern("ALFA"));
        let of = |kind, id| Observation {
            protocol: pitch,
            order_id: Some(id),
            ..Observation::empty(0, 1, kind)
        };
        let add = |id| Observation {
            symbol: alfa,
            side: Some(Side::Buy),
            price: Some(10).into(),
            ..of(Kind::OrderAdd, id)
        };
        let mut resting = Resting::default();
        // Not known to be brief yet: the first add is not remembered.
        resting.complete(&add(1), 0);
        assert_eq!(resting.complete(&of(Kind::OrderFill, 1), 0).symbol, TextId::NONE);
        resting.complete(&add(2), 0);
        let fill = resting.complete(&of(Kind::OrderFill, 2), 0);
        assert_eq!((fill.symbol, fill.side, fill.price), (alfa, Some(Side::Buy), Some(10).into()));
        let moved = Observation { price: Some(12).into(), ..of(Kind::OrderModify, 2) };
        assert_eq!(resting.complete(&moved, 0).symbol, alfa);
        assert_eq!(resting.complete(&of(Kind::OrderDelete, 2), 0).price, Some(12).into());
        assert_eq!(resting.complete(&of(Kind::OrderFill, 2), 1).symbol, TextId::NONE, "elsewhere");
    }
}
