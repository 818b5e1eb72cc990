//! Where the parts of a message are: found by one walk, kept for all messages
//! that are alike.
//!
//! ```text
//! message   fixed │ n │ leg ... │ leg ... │ total
//! decides           ▔   its bytes, and how long the message is
//! outline   leg at 9, row 0 · leg at 31, row 1 · total at 53, all rows
//! ```
//!
//! A walk goes by the bytes that it reads and by the size of the message. Where
//! both are the same again, so is all that it finds. Feeds and sessions have few
//! kinds of messages in this sense, so that most are never walked.

use crate::fixed::bytes::Body;
use crate::fixed::parts::Again;
use crate::fixed::place::{Parts, SLOTS_MAX};
use crate::fixed::protocol::{FixedProtocol, ROWS_MAX};
use crate::fixed::walk::{self, Event, Shape, Step, TextTo, Visitor, What};
use crate::fixed::wire::Trim;
use crate::kind::flags;
use std::ops::Range;

/// Outlines that are kept, and their parts, about (512 KB): with more of them
/// all are forgotten.
const OUTLINES_MAX: usize = 1 << 11;
const PARTS_MAX: usize = 1 << 15;

/// Outlines found before any of them is decoded.
const AHEAD_MAX: usize = 1 << 16;

/// In the place of an outline's number: the message has none.
pub const NO_OUTLINE: u32 = u32::MAX;

/// In the place of a range of rows: all that the message has.
const ALL: Range<u16> = 0..u16::MAX;

/// The part of a message behind its fixed part.
#[derive(Clone, Copy, Debug)]
pub struct Outline {
    layout: u16,
    /// Bytes of the message.
    size: u32,
    /// Its rows: one, or one for each entry that makes one.
    pub rows: u16,
    /// Whole entries that make rows.
    pub entries: u32,
    /// What is wrong with the message.
    pub flags: u32,
    /// Whether its parts must be decoded in the order in which they stand.
    pub by_itself: bool,
    /// What decides, as far as two words have it, and the rest.
    decides: [Word; 2],
    more: Span,
    parts: Span,
    texts: Span,
    lessons: Span,
}

/// A part of a message.
#[derive(Clone, Copy, Debug)]
pub struct PartAt {
    /// Its number among the protocol's.
    pub part: u32,
    /// Its first byte.
    pub at: u32,
    /// Where the places of others begin that it needs.
    pub bases: u32,
    first: u16,
    end: u16,
}

/// A text of varying length.
#[derive(Clone, Copy, Debug)]
pub struct TextAt {
    /// How many parts stand before it.
    pub before: usize,
    /// Its first byte.
    pub at: usize,
    /// Its bytes.
    pub len: usize,
    /// Its padding.
    pub trim: Trim,
    /// Where it goes.
    pub to: TextTo,
    first: u16,
    end: u16,
}

/// A part that teaches.
#[derive(Clone, Copy, Debug)]
pub struct LessonAt {
    /// Its number among the protocol's.
    pub part: u32,
    /// Its first byte.
    pub at: usize,
    bases: u32,
}

/// Bytes that a walk goes by.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    at: u32,
    mask: u64,
    value: u64,
}

/// Some of a list's items.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    from: u32,
    end: u32,
}

/// All outlines of a protocol's messages that a decoder has met.
#[derive(Debug)]
pub struct Outlines {
    /// The number of the first one that is kept.
    first: u32,
    kept: Vec<Outline>,
    words: Vec<Word>,
    parts: Vec<PartAt>,
    texts: Vec<TextAt>,
    lessons: Vec<LessonAt>,
    bases: Vec<u32>,
    homes: Vec<Home>,
    /// By layout: the bytes that lead to a home.
    keys: Vec<[Word; 2]>,
    /// By part: the last one.
    last: Vec<u32>,
    walked: Walked,
    /// Whether every message is walked and decoded by itself.
    plainly: bool,
}

/// Where an outline may be found.
#[derive(Clone, Copy, Debug)]
struct Home {
    tag: u32,
    outline: u32,
}

/// Many more than outlines: most stand in the first place that is looked at.
const HOMES: usize = 1 << HOME_BITS;
const HOME_BITS: u32 = 12;

/// How many places are looked at.
const WAYS: usize = 4;

const FREE: Home = Home { tag: 0, outline: NO_OUTLINE };

impl PartAt {
    /// The rows that it belongs to, of a message with so many from `first` on.
    #[inline(always)]
    pub fn rows(&self, first: u32, rows: u32) -> Range<u32> {
        range(self.first, self.end, first, rows)
    }
}

impl TextAt {
    /// See [`PartAt::rows`].
    pub fn rows(&self, first: u32, rows: u32) -> Range<u32> {
        range(self.first, self.end, first, rows)
    }
}

#[inline(always)]
fn range(from: u16, end: u16, first: u32, rows: u32) -> Range<u32> {
    first.saturating_add(from.into())..first.saturating_add(rows.min(end.into()))
}

impl Span {
    #[inline(always)]
    fn of<T>(self, all: &[T]) -> &[T] {
        all.get(self.from as usize..self.end as usize).unwrap_or_default()
    }

    fn since<T>(from: u32, all: &[T]) -> Self {
        Self { from, end: all.len() as u32 }
    }
}

impl Word {
    #[inline(always)]
    fn holds(&self, body: &[u8]) -> bool {
        self.read(body) == self.value
    }

    #[inline(always)]
    fn read(&self, body: &[u8]) -> u64 {
        u64::from_le_bytes(body.eight(self.at as usize)) & self.mask
    }
}

impl Outlines {
    /// None yet.
    pub fn new(protocol: &FixedProtocol) -> Self {
        Self {
            first: 0,
            kept: Vec::new(),
            words: Vec::new(),
            parts: Vec::new(),
            texts: Vec::new(),
            lessons: Vec::new(),
            bases: Vec::new(),
            homes: vec![FREE; HOMES + WAYS],
            keys: vec![<[Word; 2]>::default(); protocol.layouts.len()],
            last: vec![u32::MAX; protocol.parts.len()],
            walked: Walked::default(),
            plainly: false,
        }
    }

    /// Walks every message, and has each decoded by itself.
    #[cfg(test)]
    pub fn take_the_plain_way(&mut self) {
        self.plainly = true;
    }

    /// The outline with this number, if it is still kept.
    #[inline(always)]
    pub fn get(&self, number: u32) -> Option<&Outline> {
        self.kept.get(number.wrapping_sub(self.first) as usize)
    }

    /// Its parts, in the order in which they stand.
    #[inline(always)]
    pub fn parts(&self, outline: &Outline) -> &[PartAt] {
        outline.parts.of(&self.parts)
    }

    /// Whether a message of so many rows is more than parts that can be put to
    /// their like.
    #[inline(always)]
    pub fn is_special(&self, outline: &Outline, rows: u32) -> bool {
        let has_texts = outline.texts.from != outline.texts.end;
        outline.by_itself | has_texts | (outline.flags != 0) | (outline.entries > rows)
    }

    /// Its texts.
    #[inline(always)]
    pub fn texts(&self, outline: &Outline) -> &[TextAt] {
        outline.texts.of(&self.texts)
    }

    /// Its parts that teach, with the places of all parts so far.
    pub fn lessons(&self, outline: &Outline) -> impl Iterator<Item = (&LessonAt, &[u32])> {
        let lessons = outline.lessons.of(&self.lessons).iter();
        lessons.map(|lesson| (lesson, self.bases(lesson.bases, SLOTS_MAX)))
    }

    /// The places of so many parts.
    #[inline(always)]
    pub fn bases(&self, from: u32, slots: usize) -> &[u32] {
        let bases = self.bases.get(from as usize..).unwrap_or_default();
        bases.get(..slots).unwrap_or(bases)
    }

    /// The number of the outline of a message: `known` where that is still kept.
    #[inline]
    pub fn of(&mut self, protocol: &FixedProtocol, layout: u16, body: &[u8], known: u32) -> u32 {
        if self.get(known).is_some_and(|outline| outline.layout == layout) {
            return known;
        }
        self.find(layout, body).unwrap_or_else(|| self.walk(protocol, layout, body))
    }

    /// The same for a message that is decoded later.
    #[inline]
    pub fn ahead(&mut self, protocol: &FixedProtocol, layout: u16, body: &[u8]) -> u32 {
        if self.kept.len() > AHEAD_MAX {
            self.forget();
        }
        self.of(protocol, layout, body, NO_OUTLINE)
    }

    /// Forgets all where they are too many.
    pub fn make_room(&mut self) {
        if self.kept.len() > OUTLINES_MAX || self.parts.len() > PARTS_MAX {
            self.forget();
        }
    }

    #[cold]
    fn forget(&mut self) {
        self.first = self.first.wrapping_add(self.kept.len() as u32);
        self.kept.clear();
        self.words.clear();
        self.parts.clear();
        self.texts.clear();
        self.lessons.clear();
        self.bases.clear();
        self.homes.fill(FREE);
        self.last.fill(u32::MAX);
    }

    #[inline]
    fn find(&self, layout: u16, body: &[u8]) -> Option<u32> {
        let (home, tag) = self.home(layout, body);
        let homes = self.homes.get(home..home + WAYS)?;
        let homes = homes.iter().take_while(|home| home.outline != NO_OUTLINE);
        let mut numbers = homes.filter(|home| home.tag == tag).map(|home| home.outline);
        numbers.find(|number| {
            self.get(*number).is_some_and(|outline| {
                let [first, second] = outline.decides;
                let is_it = (outline.layout == layout)
                    & (outline.size as usize == body.len())
                    & first.holds(body)
                    & second.holds(body);
                is_it && outline.more.of(&self.words).iter().all(|word| word.holds(body))
            })
        })
    }

    /// The home of a message and what tells it from others there.
    #[inline(always)]
    fn home(&self, layout: u16, body: &[u8]) -> (usize, u32) {
        let key = self.keys.get(usize::from(layout)).copied().unwrap_or_default();
        let [first, second] = key.map(|word| word.read(body));
        let size = (body.len() as u64) << 16 | u64::from(layout);
        let mixed = (size ^ first).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 32) ^ second).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        ((mixed >> (u64::BITS - HOME_BITS)) as usize, (mixed >> 16) as u32)
    }

    #[inline(never)]
    fn walk(&mut self, protocol: &FixedProtocol, at: u16, body: &[u8]) -> u32 {
        let Some(layout) = protocol.layouts.get(usize::from(at)) else { return NO_OUTLINE };
        let mut from = [0; 4];
        let lens = [self.words.len(), self.parts.len(), self.texts.len(), self.lessons.len()];
        from.iter_mut().zip(lens).for_each(|(from, len)| *from = len as u32);
        let [words, parts, texts, lessons] = from;
        let mut walked = std::mem::take(&mut self.walked);
        walked.begin(layout.has_rows, layout.in_order || self.plainly, parts);
        let end = walk::walk(
            layout,
            body,
            &mut Outlining { protocol, body, outlines: self, walked: &mut walked },
        );
        walked.flags |= match end {
            Ok(end) if end == body.len() => 0,
            Ok(_) => flags::IRREGULAR,
            Err(_) => flags::DECODE_ERROR,
        };
        decide(&mut walked.reads, body, &mut self.words, words as usize);
        let first = |i: u32| self.words.get((words + i) as usize).copied().unwrap_or_default();
        let decides = [first(0), first(1)];
        let words = (words + 2).min(self.words.len() as u32);
        let rows = if layout.has_rows { walked.whole.clamp(1, ROWS_MAX as u32) } else { 1 };
        let outline = Outline {
            layout: at,
            size: body.len() as u32,
            rows: rows as u16,
            entries: walked.whole,
            flags: walked.flags,
            by_itself: walked.by_itself,
            decides,
            more: Span::since(words, &self.words),
            parts: Span::since(parts, &self.parts),
            texts: Span::since(texts, &self.texts),
            lessons: Span::since(lessons, &self.lessons),
        };
        self.walked = walked;
        self.keep(outline, body)
    }

    /// Keeps an outline, and gives its number.
    fn keep(&mut self, outline: Outline, body: &[u8]) -> u32 {
        let number = self.first.wrapping_add(self.kept.len() as u32);
        self.kept.push(outline);
        if let Some(key) = self.keys.get_mut(usize::from(outline.layout)) {
            // The first ones are those of most messages.
            for (known, word) in key.iter_mut().zip(outline.decides) {
                if known.mask == 0 {
                    *known = word;
                }
            }
        }
        let (home, tag) = self.home(outline.layout, body);
        let homes = self.homes.get_mut(home..home + WAYS).filter(|_| !self.plainly);
        let homes = homes.unwrap_or_default();
        let free = homes.iter().position(|home| home.outline == NO_OUTLINE).unwrap_or(0);
        if let Some(home) = homes.get_mut(free) {
            *home = Home { tag, outline: number };
        }
        number
    }
}

/// Puts bytes together that a walk has read.
fn decide(reads: &mut Vec<Range<u32>>, body: &[u8], words: &mut Vec<Word>, from: usize) {
    reads.sort_unstable_by_key(|read| read.start);
    for read in reads.drain(..) {
        let (mut at, end) = (read.start, read.end.min(body.len() as u32));
        while at < end {
            let last = words.len().checked_sub(1).filter(|last| *last >= from);
            let covers = |word: &&mut Word| (word.at..word.at.saturating_add(8)).contains(&at);
            let Some(word) = last.and_then(|last| words.get_mut(last)).filter(covers) else {
                let last_whole = (body.len() as u32).saturating_sub(8);
                words.push(Word { at: at.min(last_whole), mask: 0, value: 0 });
                continue;
            };
            word.mask |= 0xFF_u64.checked_shl(8 * (at - word.at)).unwrap_or(0);
            at += 1;
        }
    }
    words.iter_mut().skip(from).for_each(|word| word.value = word.read(body));
}

/// What a walk has met so far. The memory serves the next one too.
#[derive(Debug, Default)]
struct Walked {
    reads: Vec<Range<u32>>,
    /// Fields of groups around the entries that make rows: for each row that
    /// begins inside.
    around: Vec<(u32, usize)>,
    /// For every open part, how many of those there were before it, and
    /// whether it is of a group.
    open: Vec<(usize, bool)>,
    /// Whether entries make rows.
    has_rows: bool,
    /// Entries that made a row so far, whether the last one is open, and how
    /// many are whole.
    entries: u32,
    is_open: bool,
    whole: u32,
    flags: u32,
    by_itself: bool,
    /// The outline's first part.
    parts: u32,
}

impl Walked {
    fn begin(&mut self, has_rows: bool, by_itself: bool, parts: u32) {
        let Self { mut reads, mut around, mut open, .. } = std::mem::take(self);
        reads.clear();
        around.clear();
        open.clear();
        *self = Self { reads, around, open, has_rows, by_itself, parts, ..Self::default() };
    }

    fn in_group(&self) -> bool {
        self.has_rows && self.open.iter().any(|(_, of_group)| *of_group)
    }

    /// The rows that the next fields belong to.
    fn targets(&self) -> Range<u16> {
        if self.is_open {
            let row = self.entries.saturating_sub(1).min(ROWS_MAX as u32) as u16;
            return row..(row + 1).min(ROWS_MAX as u16);
        }
        if self.in_group() { 0..0 } else { ALL }
    }
}

/// Makes an outline from a walk.
struct Outlining<'w> {
    protocol: &'w FixedProtocol,
    body: &'w [u8],
    outlines: &'w mut Outlines,
    walked: &'w mut Walked,
}

impl Outlining<'_> {
    fn part(&mut self, number: u32, at: usize, parts: Parts<'_>) {
        let rows = self.walked.targets();
        let Some(part) = self.protocol.parts.get(number as usize) else { return };
        if rows.is_empty() {
            return;
        }
        self.again(number, part.again, &rows);
        let Outlines { bases, parts: kept, last, .. } = &mut *self.outlines;
        let (at, first_base) = (at as u32, bases.len() as u32);
        let slots = parts.bases.get(..part.slots).unwrap_or_default();
        // Fields around entries: those of the row before, for one more.
        let before = last.get(number as usize).and_then(|last| kept.get_mut(*last as usize));
        if let Some(before) = before.filter(|before| before.at == at && before.end == rows.start)
            && bases.get(before.bases as usize..).is_some_and(|bases| bases.starts_with(slots))
        {
            before.end = rows.end;
            return;
        }
        bases.extend(slots);
        if let Some(last) = last.get_mut(number as usize) {
            *last = kept.len() as u32;
        }
        let (first, end) = (rows.start, rows.end);
        kept.push(PartAt { part: number, at, bases: first_base, first, end });
    }

    /// Looks whether the rows of a part have it already.
    fn again(&mut self, number: u32, again: Again, rows: &Range<u16>) {
        let last = self.outlines.last.get(number as usize).copied();
        let last = last.filter(|last| *last >= self.walked.parts && !self.walked.by_itself);
        let last = last.and_then(|last| self.outlines.parts.get_mut(last as usize));
        let Some(last) = last.filter(|last| rows.start < last.end && last.first < rows.end) else {
            return;
        };
        match again {
            _ if (last.first..last.end) != *rows => self.walked.by_itself = true,
            Again::Adds => {}
            Again::Replaces => last.end = last.first,
            Again::Matters => self.walked.by_itself = true,
        }
    }

    fn fields(&mut self, shape: &Shape, at: usize, parts: Parts<'_>) {
        if !shape.learn.is_empty() {
            let (part, bases) = (shape.part, self.outlines.bases.len() as u32);
            self.outlines.bases.extend(parts.bases);
            self.outlines.lessons.push(LessonAt { part, at, bases });
        }
        if shape.ops.is_empty() {
            return;
        }
        if !self.walked.is_open && self.walked.in_group() {
            self.walked.around.push((shape.part, at));
        }
        self.part(shape.part, at, parts);
    }

    fn row(&mut self, parts: Parts<'_>) {
        self.walked.is_open = true;
        self.walked.entries = self.walked.entries.saturating_add(1);
        for i in 0..self.walked.around.len() {
            let Some(&(part, at)) = self.walked.around.get(i) else { break };
            self.part(part, at, parts);
        }
    }

    fn row_end(&mut self) {
        self.walked.is_open = false;
        self.walked.whole = self.walked.whole.saturating_add(1);
    }

    fn close(&mut self) {
        if let Some((before, _)) = self.walked.open.pop() {
            self.walked.around.truncate(before);
        }
    }

    fn text(&mut self, step: &Step, at: usize, len: usize) {
        let What::Text { trim, to, .. } = &step.what else { return };
        let Range { start: first, end } = self.walked.targets();
        let before = self.outlines.parts.len().saturating_sub(self.walked.parts as usize);
        let text = |to: &TextTo| TextAt { before, at, len, trim: *trim, to: *to, first, end };
        self.outlines.texts.extend(to.iter().map(text));
    }

    fn elements(&mut self, step: &Step, at: usize, len: usize, parts: Parts<'_>) {
        let What::Elements { tlv, .. } = step.what else { return };
        let protocol = self.protocol;
        let Some(tlv) = protocol.tlvs.get(tlv) else { return };
        let Some(list) = self.body.get(at..at + len) else { return };
        let Some(mut elements) = tlv.elements(list) else { return };
        loop {
            self.reads(at + elements.at(), tlv.head().min(len.saturating_sub(elements.at())));
            let Some(element) = elements.next() else { break };
            if let Some(spec) = tlv.element(element.tag, element.value.len()) {
                let start = at + elements.at() - element.value.len();
                self.part(spec.part, start, parts);
            }
        }
        if elements.at() != len {
            self.walked.flags |= flags::DECODE_ERROR;
        }
    }
}

impl<'l> Visitor<'l> for Outlining<'_> {
    const SKIPS: bool = true;

    fn reads(&mut self, at: usize, bytes: usize) {
        let (start, end) = (at as u32, at.saturating_add(bytes) as u32);
        self.walked.reads.push(start..end);
    }

    fn event(&mut self, event: Event<'l>, parts: Parts<'_>) {
        match event {
            Event::Open(_, i) => self.walked.open.push((self.walked.around.len(), i.is_some())),
            Event::Close => self.close(),
            Event::Row => self.row(parts),
            Event::RowEnd => self.row_end(),
            Event::Fields(shape, at) => self.fields(shape, at, parts),
            Event::Text(step, at, len) => self.text(step, at, len),
            Event::Elements(step, at, len) => self.elements(step, at, len, parts),
            Event::Bits(..) | Event::Unknown(..) => {}
        }
    }
}
