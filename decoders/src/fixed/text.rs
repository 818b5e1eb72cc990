//! Short texts as names, without hashing a text twice.
//!
//! A field of up to 8 bytes is read as one number; a hash table leads from that
//! number to the interned name. Only a number that is new is trimmed and looked
//! up in [`Names`].

use crate::fixed::wire::Trim;
use crate::names::Names;

/// In the place of a name's number: there is none (blank, or refused).
pub const NO_NAME: u32 = u32::MAX;

/// Marks a slot nothing was put in.
const EMPTY: u32 = u32::MAX - 1;

/// Slots at first, and most slots (2 MB); a table that would have to grow
/// further begins anew.
const SLOTS_MIN: usize = 1 << 8;
const SLOTS_MAX: usize = 1 << 17;

/// How the bytes of a field become a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameSpec {
    /// Bytes, 1 to 8.
    pub width: u32,
    /// The number as decimal text instead of the bytes as text.
    pub decimal: bool,
    /// Padding of a text.
    pub trim: Trim,
    /// Words for codes, sorted by code; an empty word is no value. Codes
    /// without a word stay what they are.
    pub words: Vec<(u64, String)>,
    /// Whether the field never has another code.
    pub complete: bool,
}

/// The names of one kind of field.
#[derive(Debug)]
pub struct NameCache {
    spec: NameSpec,
    slots: Vec<Slot>,
    shift: u32,
    used: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    raw: u64,
    name: u32,
}

impl NameSpec {
    /// The text of a raw value; `None` where it is blank.
    pub fn text_of(&self, raw: u64) -> Option<Vec<u8>> {
        if let Ok(at) = self.words.binary_search_by_key(&raw, |(code, _)| *code) {
            let word = self.words.get(at).map(|(_, word)| word.clone().into_bytes());
            return word.filter(|word| !word.is_empty());
        }
        if self.decimal {
            return Some(raw.to_string().into_bytes());
        }
        let eight = raw.to_be_bytes();
        let bytes = eight.get(8usize.saturating_sub(self.width as usize)..).unwrap_or_default();
        let trimmed = self.trim.apply(bytes);
        (!trimmed.is_empty()).then(|| trimmed.to_vec())
    }
}

const FREE: Slot = Slot { raw: 0, name: EMPTY };

impl NameCache {
    /// An empty cache.
    pub fn new(spec: NameSpec) -> Self {
        Self { spec, slots: vec![FREE; SLOTS_MIN], shift: shift(SLOTS_MIN), used: 0 }
    }

    /// The number of the name of a raw value, or [`NO_NAME`].
    #[inline(always)]
    pub fn name_of(&mut self, raw: u64, names: &mut Names) -> u32 {
        let at = home(raw, self.shift);
        match self.slots.get(at) {
            Some(slot) if slot.raw == raw && slot.name != EMPTY => slot.name,
            _ => self.search(at, raw, names),
        }
    }

    /// Looks in the slots after the first one; puts a new value there.
    #[inline(never)]
    fn search(&mut self, home: usize, raw: u64, names: &mut Names) -> u32 {
        let (before, after) = self.slots.split_at(home.min(self.slots.len()));
        let mut slots = after.iter().chain(before);
        match slots.find(|slot| slot.raw == raw || slot.name == EMPTY) {
            Some(slot) if slot.name != EMPTY => slot.name,
            _ => self.add(raw, names),
        }
    }

    #[cold]
    fn add(&mut self, raw: u64, names: &mut Names) -> u32 {
        let text = self.spec.text_of(raw);
        let name = text.and_then(|text| names.intern(&text)).map_or(NO_NAME, |name| name.0);
        if self.used >= self.slots.len() / 2 {
            self.grow();
        }
        self.put(Slot { raw, name });
        name
    }

    fn put(&mut self, slot: Slot) {
        let at = home(slot.raw, self.shift);
        let (before, after) = self.slots.split_at_mut(at);
        if let Some(free) = after.iter_mut().chain(before).find(|slot| slot.name == EMPTY) {
            *free = slot;
            self.used += 1;
        }
    }

    fn grow(&mut self) {
        let doubled = self.slots.len().saturating_mul(2);
        let room = if doubled > SLOTS_MAX { SLOTS_MIN } else { doubled };
        let old = std::mem::replace(&mut self.slots, vec![FREE; room]);
        (self.used, self.shift) = (0, shift(room));
        if doubled <= SLOTS_MAX {
            old.into_iter().filter(|slot| slot.name != EMPTY).for_each(|slot| self.put(slot));
        }
    }
}

/// The first slot to look in.
#[inline(always)]
fn home(raw: u64, shift: u32) -> usize {
    ((raw ^ (raw >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (shift & 63)) as usize
}

/// What leaves of a hash the number of a slot; `slots` is a power of two.
fn shift(slots: usize) -> u32 {
    64 - slots.trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Name;

    fn symbols() -> NameCache {
        let (trim, words) = (Trim::Right, vec![]);
        NameCache::new(NameSpec { width: 8, decimal: false, trim, words, complete: false })
    }

    #[test]
    fn colliding_symbols_keep_their_own_names() {
        let (mut cache, mut names) = (symbols(), Names::new());
        for round in 0..2 {
            for i in 0..80_000u64 {
                let raw = u64::from_be_bytes(*b"        ") ^ (i << 32);
                let name = cache.name_of(raw, &mut names);
                let want = NameSpec::text_of(&cache.spec, raw);
                let found = names.text(Name(name)).to_owned();
                let latin = want.map(|w| crate::names::latin1(&w)).unwrap_or_default();
                assert_eq!(if name == NO_NAME { String::new() } else { found }, latin, "{round}");
            }
        }
    }

    #[test]
    fn blanks_have_no_name_and_zero_is_not_mistaken_for_empty() {
        let (mut cache, mut names) = (symbols(), Names::new());
        assert_eq!(cache.name_of(u64::from_be_bytes([b' '; 8]), &mut names), NO_NAME);
        assert_eq!(cache.name_of(0, &mut names), NO_NAME);
        assert!(names.texts().is_empty());
    }

    #[test]
    fn codes_with_words_become_words_and_others_stay() {
        let words = vec![(u64::from(b'H'), "halted".into()), (u64::from(b'N'), String::new())];
        let trim = Trim::Right;
        let spec = NameSpec { width: 1, decimal: false, trim, words, complete: false };
        assert_eq!(spec.text_of(u64::from(b'H')), Some(b"halted".to_vec()));
        assert_eq!(spec.text_of(u64::from(b'N')), None);
        assert_eq!(spec.text_of(u64::from(b'Z')), Some(b"Z".to_vec()));
    }
}
