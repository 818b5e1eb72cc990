//! Which steps of a message are there, told at once by the fields that decide.
//!
//! ```text
//! steps            a ? x = 2   b ? x = 3   c   d ? y = 1   e ? rest > 0
//! x = 3 leaves         ·           b       c       d            e
//! y = 0 leaves         a           b       c       ·            e
//! both leave           ·           b       c       ·            e: asked when it is met
//! ```

use crate::fixed::place::{NumberAt, Parts, Ref};
use crate::fixed::walk::{Condition, Decides, Step, Test};

/// Most steps that are told at once: the bits of a word.
const STEPS_MAX: usize = 64;

/// Most values that are looked through.
const VALUES_MAX: usize = 8;

/// The fields that decide about the steps of a part.
#[derive(Clone, Debug, Default)]
pub struct Switches {
    fields: Vec<Switch>,
    /// All steps.
    all: u64,
    /// Steps whose condition is for the walk to ask.
    asked: u64,
}

/// What one field decides.
#[derive(Clone, Debug)]
struct Switch {
    of: Ref,
    /// The steps that each value leaves: of one byte all values ...
    bytes: Option<Box<[u64; 256]>>,
    /// ... of others those that any step names ...
    values: Vec<(u64, u64)>,
    /// ... and what any other value leaves, or none.
    other: u64,
}

impl Switches {
    /// For the steps of a part with this slot. What stands in it, or around it,
    /// is there before they begin.
    pub fn new(slot: u8, steps: &[Step]) -> Option<Self> {
        if steps.len() > STEPS_MAX || steps.iter().all(|step| step.when.is_none()) {
            return None;
        }
        let all = u64::MAX.checked_shr((STEPS_MAX - steps.len()) as u32).unwrap_or(0);
        let mut switches = Self { fields: Vec::new(), all, asked: 0 };
        let conditions =
            || steps.iter().enumerate().filter_map(|(i, step)| Some((i, step.when.as_ref()?)));
        for (i, condition) in conditions() {
            let Some(of) = decider(condition).filter(|of| of.slot <= slot) else {
                switches.asked |= 1 << i;
                continue;
            };
            if switches.fields.iter().any(|switch| switch.of == of) {
                continue;
            }
            let same = conditions().filter(|(_, other)| decider(other) == Some(of));
            let same: Vec<_> = same.map(|(i, condition)| (1 << i, &condition.test)).collect();
            match Switch::new(of, &same, all) {
                Some(switch) => switches.fields.push(switch),
                None => switches.asked |= same.iter().fold(0, |bits, (bit, _)| bits | bit),
            }
        }
        (!switches.fields.is_empty()).then_some(switches)
    }

    /// The fields.
    pub fn fields(&self) -> impl Iterator<Item = &Ref> {
        self.fields.iter().map(|field| &field.of)
    }

    /// The steps that are there as far as these fields tell, and those of them
    /// that must be asked.
    #[inline]
    pub fn steps(&self, parts: Parts<'_>) -> (u64, u64) {
        let left = self.fields.iter().fold(self.all, |left, field| left & field.leaves(parts));
        (left, self.asked)
    }
}

/// The field that decides, where it is a plain number.
fn decider(condition: &Condition) -> Option<Ref> {
    match condition.of {
        Decides::Field(of) => matches!(of.at, NumberAt::Plain { signed: false, .. }).then_some(of),
        Decides::Length | Decides::Rest => None,
    }
}

impl Switch {
    fn new(of: Ref, steps: &[(u64, &Test)], all: u64) -> Option<Self> {
        let other = steps.iter().fold(all, |left, (bit, _)| left & !bit);
        let leaves = |value: u64| {
            let holds = steps.iter().filter(|(_, test)| test.holds(value.into()));
            holds.fold(other, |left, (bit, _)| left | bit)
        };
        let NumberAt::Plain { at, .. } = of.at else { return None };
        if at.is_byte() {
            let mut bytes = Box::new([0; 256]);
            (0..).zip(bytes.iter_mut()).for_each(|(value, mask)| *mask = leaves(value));
            return Some(Self { of, bytes: Some(bytes), values: Vec::new(), other });
        }
        let mut values = Vec::new();
        for (_, test) in steps {
            let Test::In(named) = test else { return None };
            values.extend(named.iter().filter_map(|value| u64::try_from(*value).ok()));
        }
        values.sort_unstable();
        values.dedup();
        let values: Vec<_> = values.into_iter().map(|value| (value, leaves(value))).collect();
        (values.len() <= VALUES_MAX).then_some(Self { of, bytes: None, values, other })
    }

    #[inline]
    fn leaves(&self, parts: Parts<'_>) -> u64 {
        let Some(value) = parts.count(&self.of) else { return self.other };
        if let Some(bytes) = &self.bytes {
            return bytes[usize::from(value as u8)];
        }
        let found = self.values.iter().find(|(named, _)| *named == value);
        found.map_or(self.other, |(_, left)| *left)
    }
}
