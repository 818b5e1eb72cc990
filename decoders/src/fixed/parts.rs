//! The parts behind fixed parts: what decoding does with each, and which may
//! be put together with those of other messages.
//!
//! ```text
//! messages   fixed │ a │ b │ b        fixed │ b │ c
//! parts      a: a    b: b b b    c: c             in the order of their numbers
//! ```
//!
//! Parts have numbers in the order in which a message has them, so that of two
//! that fill one column the later one still wins. Where their order may be
//! another one in each message, the layout is decoded message by message.

use crate::fixed::bitfields::Bitfields;
use crate::fixed::place::{KeyAt, LearnedAt, Ref};
use crate::fixed::program::{ElsewhereAt, Layout, Learn, Op, ScaleAt};
use crate::fixed::tlv::TlvSpec;
use crate::fixed::walk::{Count, Shape, Step, TextTo, What};
use std::sync::Arc;

/// What decoding does with a part.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Its operations that need no other part ...
    pub near: Vec<Op>,
    /// ... and those that do.
    pub far: Vec<Op>,
    /// The columns' presence bits.
    pub bits: u64,
    /// Presence bits that are set before they run.
    pub presumed: u64,
    /// What it teaches.
    pub learn: Vec<Learn>,
    /// What becomes of one that a message has twice.
    pub again: Again,
    /// As many slots as tell it where the other parts are that it needs; 0
    /// where it needs none.
    pub slots: usize,
}

/// What becomes of a part that rows have already.
#[derive(Clone, Copy, Debug, Default)]
pub enum Again {
    /// Both are decoded, as each adds what it has.
    Adds,
    /// The last one has all columns: each is written or emptied by it.
    Replaces,
    /// The message must be decoded by itself.
    #[default]
    Matters,
}

impl Part {
    fn new(slot: u8, ops: &[Op], learn: &[Learn]) -> Self {
        let presumed = ops.iter().filter(|op| op.presumes()).fold(0, |bits, op| bits | op.bit());
        let slots = ops.iter().filter_map(|op| farthest(op, slot)).max();
        let slots = slots.map_or(0, |slot| usize::from(slot) + 1);
        let again = match (ops.iter().any(Op::presumes), ops.iter().all(Op::presumes)) {
            (false, _) => Again::Adds,
            (_, true) => Again::Replaces,
            _ => Again::Matters,
        };
        let is_near = |op: &Op| farthest(op, slot).is_none();
        let (near, far) = ops.iter().cloned().partition(is_near);
        Self { near, far, bits: bits(ops), presumed, learn: learn.to_vec(), again, slots }
    }
}

/// The highest slot but its own that an operation needs.
fn farthest(op: &Op, own: u8) -> Option<u8> {
    let of = |at: &Ref| (at.slot != own).then_some(at.slot);
    let told = |at: &ElsewhereAt| match at {
        ElsewhereAt::Field(at) => of(at),
        ElsewhereAt::Learned(learned) => key_slot(learned, own),
    };
    match op {
        Op::LookupBy { value, .. } => key_slot(value, own),
        Op::Moment { plus: Some(plus), .. } => told(&plus.at),
        Op::Scaled { scale, sign, .. } => {
            let scale = match scale {
                ScaleAt::Places(at) => told(at),
                ScaleAt::Code(at, _) => of(at),
                ScaleAt::Last(_) => None,
            };
            scale.max(sign.as_ref().and_then(of))
        }
        _ => None,
    }
}

fn key_slot(value: &LearnedAt, own: u8) -> Option<u8> {
    match &value.key {
        KeyAt::Only => None,
        KeyAt::Field(at) => (at.slot != own).then_some(at.slot),
        KeyAt::Learned(learned) => key_slot(learned, own),
    }
}

/// The parts of a protocol, by number.
pub fn table(
    layouts: &[Layout],
    tlvs: &[TlvSpec],
    lists: &[Arc<Bitfields>],
    count: u32,
) -> Vec<Part> {
    let mut parts = vec![Part::default(); count as usize];
    let mut put = |number: u32, part: Part| {
        if let Some(place) = parts.get_mut(number as usize) {
            *place = part;
        }
    };
    for (_, spec) in tlvs.iter().flat_map(|tlv| &tlv.elements) {
        put(spec.part, Part::new(0, &spec.ops, &[]));
    }
    for shape in lists.iter().flat_map(|list| list.shapes()) {
        put(shape.part, Part::new(shape.slot, &shape.ops, &shape.learn));
    }
    for layout in layouts {
        of_steps(&layout.steps, &mut put);
    }
    parts
}

fn of_steps(steps: &[Step], put: &mut impl FnMut(u32, Part)) {
    for step in steps {
        if let What::Once(shape) | What::Each { shape, .. } = &step.what {
            put(shape.part, Part::new(shape.slot, &shape.ops, &shape.learn));
            of_steps(&shape.steps, put);
        }
    }
}

/// Whether the parts of a layout's messages must be decoded in the order in
/// which each message has them.
pub fn order_matters(steps: &[Step], has_rows: bool, tlvs: &[TlvSpec]) -> bool {
    let mut writers =
        Writers { has_rows, tlvs, filled: 0, unordered: 0, inside: None, clash: false };
    writers.steps(steps, false);
    writers.clash
}

/// The columns that parts fill.
struct Writers<'t> {
    has_rows: bool,
    tlvs: &'t [TlvSpec],
    /// By any part so far ...
    filled: u64,
    /// ... and by one whose number says nothing of its place.
    unordered: u64,
    /// By the parts of a group of which a message, or a row, may have several.
    inside: Option<u64>,
    clash: bool,
}

impl Writers<'_> {
    fn steps(&mut self, steps: &[Step], in_row: bool) {
        for step in steps {
            match &step.what {
                What::Once(shape) => self.shape(shape, in_row),
                What::Each { count, rows, shape, .. } => {
                    let again = *count != Count::Fixed(1) && !rows && (!self.has_rows || in_row);
                    let around = self.inside;
                    self.inside = around.or(again.then_some(0));
                    self.shape(shape, in_row || *rows);
                    self.inside = around.and(self.inside);
                }
                What::Elements { tlv, .. } => {
                    let elements = self.tlvs.get(*tlv).map_or(&[][..], |tlv| &tlv.elements);
                    self.list(elements.iter().map(|(_, spec)| bits(&spec.ops)));
                }
                What::Chosen { fields, .. } => {
                    self.list(fields.shapes().map(|shape| bits(&shape.ops)));
                }
                What::Text { to, .. } => self.list(to.iter().map(|to| match to {
                    TextTo::Name(col) => col.bit(),
                    TextTo::Text(col) => col.bit(),
                })),
                What::Bits { .. } => {}
            }
        }
    }

    fn shape(&mut self, shape: &Shape, in_row: bool) {
        let bits = bits(&shape.ops);
        self.clash |= self.unordered & bits != 0;
        self.fill(bits);
        self.steps(&shape.steps, in_row);
    }

    /// Parts whose numbers say nothing of their order.
    fn list(&mut self, parts: impl Iterator<Item = u64>) {
        for bits in parts {
            self.clash |= self.filled & bits != 0;
            self.fill(bits);
            self.unordered |= bits;
        }
    }

    /// What comes again may be the last one again.
    fn fill(&mut self, bits: u64) {
        self.filled |= bits;
        if let Some(inside) = &mut self.inside {
            self.clash |= *inside & bits != 0;
            *inside |= bits;
        }
    }
}

fn bits(ops: &[Op]) -> u64 {
    ops.iter().fold(0, |bits, op| bits | op.bit())
}
