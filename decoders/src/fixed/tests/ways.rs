//! The quick ways give what the plain ones give: layouts chosen without a walk,
//! entries counted without one, fields of a part without the column loops,
//! parts put together over many messages.

use crate::fixed::catalog::{self, embedded};
use crate::fixed::decoder::Queued;
use crate::fixed::encode::{Dice, Seeded, message};
use crate::fixed::place::Parts;
use crate::fixed::protocol::{FixedProtocol, ROWS_MAX};
use crate::fixed::tests::rows::{Rows, head};
use crate::fixed::walk::{self, Event, Nothing, Visitor};
use crate::kind::{Sender, flags};
use crate::names::Name;
use std::sync::Arc;

/// Messages of a block.
const MIXED: usize = 120;

/// Meets every entry.
#[derive(Default)]
struct Met(usize);

impl<'l> Visitor<'l> for Met {
    fn event(&mut self, event: Event<'l>, _: Parts<'_>) {
        self.0 += usize::from(matches!(event, Event::RowEnd));
    }
}

/// Decodes a message both ways.
fn compare([quick, plain]: &mut [Rows; 2], body: &[u8], sender: Option<Sender>) {
    let protocol = &Arc::clone(quick.decoder.protocol());
    let what = format!("{} {body:02x?}", protocol.id());
    let choice = protocol.choose(body, sender);
    let layout = choice.and_then(|choice| protocol.layouts.get(choice.layout));
    let mut entries = 0;
    if let Some(layout) = layout {
        let mut met = Met::default();
        let end = walk::walk(layout, body, &mut met);
        assert_eq!(walk::walk(layout, body, &mut Nothing), end, "{what}");
        entries = met.0;
        // A message that ends in its fixed part has one row, whatever it counts.
        let rows = usize::from(quick.decoder.look(body, sender).rows);
        assert_eq!(rows, entries.clamp(1, ROWS_MAX), "{what}");
    }
    let messages = [(body.to_vec(), 0)];
    quick.batch.clear();
    plain.batch.clear();
    quick.decode(&messages, sender, 1);
    plain.decode(&messages, sender, 1);
    for row in 0..plain.batch.len() {
        assert_eq!(quick.cells(row), plain.cells(row), "{what}");
        let rest = plain.batch.flags()[row] & !flags::MAYBE_BAD_STATE;
        assert_eq!(quick.batch.flags()[row] & !flags::MAYBE_BAD_STATE, rest, "{what}");
    }
    let wrong = flags::IRREGULAR | flags::DECODE_ERROR | flags::UNKNOWN_TYPE;
    let is_right = quick.batch.flags()[0] & wrong == 0;
    if entries <= ROWS_MAX {
        assert_eq!(is_right, protocol.knows(body, sender), "{what}");
    }
}

#[test]
fn quick_and_plain_ways_agree_on_whole_and_damaged_messages() {
    for (seed, protocol) in (0..).zip(embedded()) {
        let mut dice = Seeded(seed);
        let both = &mut [(); 2].map(|()| Rows::new(Arc::clone(protocol)));
        both[1].decoder.take_the_plain_way();
        for layout in &protocol.layouts {
            let mut body = message(protocol, layout, &mut dice);
            compare(both, &body, layout.sender);
            let cut = dice.below(body.len() as u64 + 1) as usize;
            compare(both, &body[..cut], layout.sender);
            // Of one size, so that only their bytes tell that they are not alike.
            for _ in 0..4 {
                let mut flipped = body.clone();
                let at = dice.below(body.len() as u64) as usize;
                flipped[at] ^= 1 << dice.below(8);
                compare(both, &flipped, layout.sender);
            }
            compare(both, &body, layout.sender);
            body.push(0);
            compare(both, &body, layout.sender);
        }
    }
}

/// Messages of all kinds, some of them cut, flipped or with a byte too many.
fn mixed(protocol: &FixedProtocol, dice: &mut Seeded) -> Vec<(Vec<u8>, u32)> {
    let mixed = (0..MIXED).map(|_| {
        let at = dice.below(protocol.layouts.len() as u64) as usize;
        let mut body = message(protocol, &protocol.layouts[at], dice);
        match dice.below(8) {
            0 => body.truncate(dice.below(body.len() as u64 + 1) as usize),
            1 => {
                let at = dice.below(body.len() as u64) as usize;
                body[at] ^= 1 << dice.below(8);
            }
            2 => body.push(0),
            _ => {}
        }
        (body, dice.below(2) as u32)
    });
    mixed.collect()
}

#[test]
fn a_block_gives_what_its_messages_give_one_by_one() {
    for (seed, protocol) in (0..).zip(embedded()) {
        let messages = mixed(protocol, &mut Seeded(seed));
        let [mut whole, mut single] = [(); 2].map(|()| Rows::new(Arc::clone(protocol)));
        single.decoder.take_the_plain_way();
        whole.decode(&messages, None, messages.len());
        single.decode(&messages, None, 1);
        assert_eq!(whole.batch.len(), single.batch.len());
        for row in 0..whole.batch.len() {
            let what = format!("{} row {row}", protocol.id());
            assert_eq!(whole.cells(row), single.cells(row), "{what}");
            let seen =
                [&whole, &single].map(|rows| rows.batch.flags()[row] & !flags::MAYBE_BAD_STATE);
            assert_eq!(seen[0], seen[1], "{what}");
        }
    }
}

#[test]
fn what_was_seen_of_a_message_may_be_forgotten_before_it_is_decoded() {
    let protocol = catalog::by_id("cboe.boe-equities.2.3").expect("shipped");
    let dice = &mut Seeded(3);
    let mut rows = Rows::new(Arc::clone(&protocol));
    let layout = protocol.messages().find(|layout| layout.varies()).expect("one that varies");
    let body = message(&protocol, layout, dice);
    let seen = rows.decoder.look(&body, layout.sender);
    rows.decode(&[(body.clone(), 0)], layout.sender, 1);
    let want = rows.cells(0);
    for _ in 0..40 {
        rows.batch.clear();
        let others = || (message(&protocol, layout, dice), 0);
        let others: Vec<_> = std::iter::repeat_with(others).take(200).collect();
        rows.decode(&others, layout.sender, others.len());
    }
    rows.batch.clear();
    let row = rows.batch.push(&head(body.len()), 0, Name(0)).expect("room") as u32;
    let queued = Queued { row, body: &body, scope: 0, sender: layout.sender, seen };
    rows.decoder.decode(&[queued], &mut rows.batch, &mut rows.names);
    assert_eq!(rows.cells(0), want);
}
