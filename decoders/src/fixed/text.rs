//! Short texts as names, without hashing a text twice.
//!
//! A field of up to 8 bytes is read as one number; a direct-mapped cache leads
//! from that number to the interned name. Only what is not in its slot is
//! trimmed and looked up in [`Names`].

use crate::fixed::wire::Trim;
use crate::names::Names;

/// In the place of a name's number: there is none (blank, or refused).
pub const NO_NAME: u32 = u32::MAX;

/// Marks a slot nothing was put in.
const EMPTY: u32 = u32::MAX - 1;

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
}

/// The names of one kind of field.
#[derive(Debug)]
pub struct NameCache {
    spec: NameSpec,
    slots: Vec<Slot>,
    shift: u32,
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

    /// Slots that hold what a busy market shows at once: every byte, some
    /// thousand firms, some ten thousand symbols.
    fn slot_bits(&self) -> u32 {
        match self.width {
            1 => 8,
            2..=4 => 10,
            _ => 14,
        }
    }
}

impl NameCache {
    /// An empty cache.
    pub fn new(spec: NameSpec) -> Self {
        let bits = spec.slot_bits();
        let slots = vec![Slot { raw: 0, name: EMPTY }; 1 << bits];
        Self { spec, slots, shift: 64 - bits }
    }

    /// The number of the name of a raw value, or [`NO_NAME`].
    #[inline(always)]
    pub fn name_of(&mut self, raw: u64, names: &mut Names) -> u32 {
        let at = (raw.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize;
        match self.slots.get(at) {
            Some(slot) if slot.raw == raw && slot.name != EMPTY => slot.name,
            _ => self.fill(at, raw, names),
        }
    }

    #[cold]
    fn fill(&mut self, at: usize, raw: u64, names: &mut Names) -> u32 {
        let text = self.spec.text_of(raw);
        let name = text.and_then(|text| names.intern(&text)).map_or(NO_NAME, |name| name.0);
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot { raw, name };
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Name;

    fn symbols() -> NameCache {
        NameCache::new(NameSpec { width: 8, decimal: false, trim: Trim::Right, words: vec![] })
    }

    #[test]
    fn colliding_symbols_keep_their_own_names() {
        let (mut cache, mut names) = (symbols(), Names::new());
        for round in 0..2 {
            for i in 0..40_000u64 {
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
        let spec = NameSpec { width: 1, decimal: false, trim: Trim::Right, words };
        assert_eq!(spec.text_of(u64::from(b'H')), Some(b"halted".to_vec()));
        assert_eq!(spec.text_of(u64::from(b'N')), None);
        assert_eq!(spec.text_of(u64::from(b'Z')), Some(b"Z".to_vec()));
    }
}
