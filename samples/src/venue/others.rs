//! The flow of other participants, which makes most of the feed.
//!
//! Messages come in bursts: mostly one to four, now and then dozens, as when
//! a large order sweeps the book.

use crate::context::Context;
use crate::event::Event;
use crate::venue::book::{RESTING_MAX, Resting};
use crate::venue::engine::Venue;
use crate::venue::public::Public;
use crate::venue::symbols::SYMBOLS;

/// A book with fewer orders only grows.
const RESTING_MIN: usize = 30;
/// Percent of bursts in instruments the strategies watch.
const WATCHED_PERCENT: u64 = 45;
const MPIDS: [&str; 4] = ["NSDQ", "GSCO", "VIRT", "CDRG"];

impl Venue {
    /// One burst, and the time of the next.
    pub fn other_flow(&mut self, ctx: &mut Context) {
        if !self.trading || self.rate_msgs_per_s == 0 {
            return;
        }
        let messages = burst_size(ctx);
        let symbol = busy_symbol(ctx);
        for _ in 0..messages {
            self.other_message(ctx, symbol);
        }
        let mean_ns = messages as i64 * 1_000_000_000 / self.rate_msgs_per_s as i64;
        let gap_ns = ctx.rng.waiting(mean_ns);
        ctx.after(gap_ns, Event::OtherFlow);
    }

    fn other_message(&mut self, ctx: &mut Context, symbol: usize) {
        let resting = self.books[symbol].len();
        let roll = ctx.rng.below(100);
        let index = self.books[symbol].any(&mut ctx.rng);
        match (index, roll) {
            (None, _) => self.other_add(ctx, symbol),
            _ if resting < RESTING_MIN => self.other_add(ctx, symbol),
            (_, 0..=41) if resting < RESTING_MAX => self.other_add(ctx, symbol),
            (Some(index), 0..=77) => self.other_delete(ctx, symbol, index),
            (Some(index), 78..=86) => self.other_replace(ctx, symbol, index),
            (Some(index), 87..=93) => self.other_execution(ctx, symbol, index),
            (Some(index), 94..=97) => self.other_cancel(ctx, symbol, index),
            _ => self.hidden_trade(ctx, symbol),
        }
    }

    fn other_add(&mut self, ctx: &mut Context, symbol: usize) {
        let side = if ctx.rng.percent(50) { b'B' } else { b'S' };
        let price_e4 = self.books[symbol].passive_price(side, &mut ctx.rng);
        let shares = lots(ctx);
        let reference = self.new_reference();
        self.books[symbol].add(Resting { reference, side, shares, price_e4 });
        let mpid = ctx.rng.percent(10).then(|| *ctx.rng.pick(&MPIDS));
        let added = Public::Added { reference, side, shares, price_e4, mpid };
        self.publisher.take(ctx, added, Some(symbol));
    }

    fn other_delete(&mut self, ctx: &mut Context, symbol: usize, index: usize) {
        let reference = self.books[symbol].remove(index).reference;
        self.publisher.take(ctx, Public::Deleted { reference }, Some(symbol));
    }

    fn other_replace(&mut self, ctx: &mut Context, symbol: usize, index: usize) {
        let Resting { reference: original, side, .. } = *self.books[symbol].get_mut(index);
        let reference = self.reference_after(original);
        let price_e4 = self.books[symbol].passive_price(side, &mut ctx.rng);
        let shares = lots(ctx);
        *self.books[symbol].get_mut(index) = Resting { reference, side, shares, price_e4 };
        let replaced = Public::Replaced { original, reference, shares, price_e4 };
        self.publisher.take(ctx, replaced, Some(symbol));
    }

    fn other_execution(&mut self, ctx: &mut Context, symbol: usize, index: usize) {
        let Resting { reference, price_e4, shares: resting, .. } =
            *self.books[symbol].get_mut(index);
        let wanted = lots(ctx);
        let shares = self.books[symbol].take_shares(index, wanted);
        let match_number = self.new_match();
        let executed = if ctx.rng.percent(8) {
            let left = resting - shares;
            Public::ExecutedAt { reference, shares, left, match_number, price_e4 }
        } else {
            Public::Executed { reference, shares, match_number }
        };
        self.publisher.take(ctx, executed, Some(symbol));
    }

    /// A part of an order is canceled; one too small for that is deleted.
    fn other_cancel(&mut self, ctx: &mut Context, symbol: usize, index: usize) {
        let Resting { reference, shares, .. } = *self.books[symbol].get_mut(index);
        if shares < 2 {
            return self.other_delete(ctx, symbol, index);
        }
        let canceled = 1 + ctx.rng.below(u64::from(shares) - 1) as u32;
        self.books[symbol].take_shares(index, canceled);
        self.publisher.take(ctx, Public::Reduced { reference, shares: canceled }, Some(symbol));
    }

    fn hidden_trade(&mut self, ctx: &mut Context, symbol: usize) {
        let traded = Public::HiddenTrade {
            shares: lots(ctx),
            price_e4: self.books[symbol].middle_e4,
            match_number: self.new_match(),
        };
        self.publisher.take(ctx, traded, Some(symbol));
    }
}

fn burst_size(ctx: &mut Context) -> u64 {
    if ctx.rng.percent(1) {
        return 20 + ctx.rng.below(40);
    }
    1 + u64::from((ctx.rng.bits() | 1 << 6).trailing_zeros())
}

fn busy_symbol(ctx: &mut Context) -> usize {
    let watched = SYMBOLS.iter().filter(|symbol| symbol.watched).count() as u64;
    let others = SYMBOLS.len() as u64 - watched;
    // The watched ones are listed first.
    if ctx.rng.percent(WATCHED_PERCENT) {
        ctx.rng.below(watched) as usize
    } else {
        (watched + ctx.rng.below(others)) as usize
    }
}

/// A size in shares: mostly round lots.
fn lots(ctx: &mut Context) -> u32 {
    if ctx.rng.percent(15) {
        1 + ctx.rng.below(99) as u32
    } else {
        100 * (1 + ctx.rng.below(5) as u32)
    }
}
