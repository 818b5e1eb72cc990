//! A compiled protocol: which layout a message has.

use crate::fixed::bytes::Window;
use crate::fixed::clock::Clock;
use crate::fixed::compile;
use crate::fixed::error::SpecError;
use crate::fixed::explain;
use crate::fixed::parts::Part;
use crate::fixed::program::{CodeTable, FactorTable, FieldDef, Layout, Op, TextAt};
use crate::fixed::text::NameSpec;
use crate::fixed::tlv::TlvSpec;
use crate::fixed::walk::{self, Nothing};
use crate::fixed::wire::Trim;
use crate::kind::Sender;
use chrono::DateTime;
use chrono_tz::Tz;
use std::collections::{BTreeSet, HashMap};

/// In the place of a layout: none.
const NO_LAYOUT: u16 = u16::MAX;

/// A protocol file, compiled. Immutable; decoders share it.
#[derive(Debug)]
pub struct FixedProtocol {
    /// Id, title and origin.
    pub about: About,
    /// Where the code is.
    pub code: Window,
    /// Its offset, where it is one byte.
    pub code_byte: Option<usize>,
    /// Its bytes.
    pub code_width: u32,
    /// Whether the code is text.
    pub code_is_text: bool,
    /// Every size of every message.
    pub layouts: Vec<Layout>,
    /// The fields that every message begins with.
    pub common: Vec<FieldDef>,
    /// Whether any message may make more than one row.
    pub has_rows: bool,
    /// The layouts by code and sender.
    pub codes: Codes,
    /// What decoding does with the parts behind fixed ones, by their number.
    pub parts: Vec<Part>,
    /// Clocks that layouts name.
    pub clocks: Vec<Clock>,
    /// Vocabularies that layouts name.
    pub code_tables: Vec<CodeTable>,
    /// Codes of scales that layouts name.
    pub factor_tables: Vec<FactorTable>,
    /// Kinds of names that layouts have.
    pub name_specs: Vec<NameSpec>,
    /// Learned tables and the names of their values.
    pub tables: Vec<TableSpec>,
    /// Element lists that layouts have.
    pub tlvs: Vec<TlvSpec>,
}

/// What a protocol is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// `venue.product.version`.
    pub id: String,
    /// Name for people.
    pub title: String,
    /// The document the layouts were read in.
    pub source: String,
    /// MICs of the venues that speak it.
    pub venues: Vec<String>,
    /// Ids of the framings that carry it.
    pub framings: Vec<String>,
    /// Whether others that know the same messages are guessed before it.
    pub rare: bool,
    /// Time zone whose midnight ends a trading day, where the file says one.
    pub tz: Option<Tz>,
    /// Name of the field that says the release.
    pub release: Option<String>,
}

/// A learned table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSpec {
    /// Its name in the file.
    pub name: String,
    /// Names of its values, and whether each is a text.
    pub values: Vec<(String, bool)>,
}

/// How well a layout fits a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// To the byte.
    Exact,
    /// The message has bytes after it.
    Longer,
    /// The message ends before it.
    Shorter,
}

/// A message's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Index into [`FixedProtocol::layouts`].
    pub layout: usize,
    /// How well it fits.
    pub fit: Fit,
}

/// The layouts of every code, by who sent the message.
#[derive(Debug)]
pub struct Codes {
    /// By [`by`] and [`home`](Self::home): what most messages are.
    first: Box<[[First; HOMES]; 3]>,
    /// Leads from a code to its home.
    factor: u32,
    /// By code and [`by`]: all candidates.
    all: HashMap<u64, [Vec<u16>; 3]>,
}

/// Places for first candidates.
const HOMES: usize = 1 << HOME_BITS;
const HOME_BITS: u32 = 10;

/// What messages with a code are at first sight.
#[derive(Clone, Copy, Debug)]
struct First {
    code: u32,
    layout: u16,
    /// Bytes of the message, or the least that tell it where it varies.
    size: u16,
    /// Whether it varies.
    varies: bool,
}

const NOTHING: First = First { code: 0, layout: NO_LAYOUT, size: u16::MAX, varies: false };

/// Most rows of one message; a group with more entries is cut short.
pub const ROWS_MAX: usize = 4096;

/// Place of a sender among the candidates.
fn by(sender: Option<Sender>) -> usize {
    match sender {
        None => 0,
        Some(Sender::Client) => 1,
        Some(Sender::Server) => 2,
    }
}

/// Whether a complete list of codes has others than this, which is not blank.
fn is_unlisted<T>(code: u64, listed: Option<&Vec<(u64, T)>>) -> bool {
    let listed = listed.filter(|_| code != u64::from(b' '));
    listed.is_some_and(|listed| listed.binary_search_by_key(&code, |(code, _)| *code).is_err())
}

impl Codes {
    /// Sorts layouts by code and sender; those of one message stand together,
    /// the full size first.
    pub fn new(layouts: &[Layout]) -> Self {
        let first = Box::new([[NOTHING; HOMES]; 3]);
        let factor = factor(layouts);
        let mut codes = Self { first, factor, all: HashMap::new() };
        for (at, layout) in layouts.iter().enumerate() {
            let all = codes.all.entry(layout.code).or_default();
            for sender in [None, Some(Sender::Client), Some(Sender::Server)] {
                if sender.is_none() || layout.sender.is_none() || layout.sender == sender {
                    all[by(sender)].push(at as u16);
                }
            }
        }
        // In order: where two codes have one home, the first one is there.
        for layout in layouts {
            for (by, candidates) in codes.all.get(&layout.code).into_iter().flatten().enumerate() {
                let new = first_of(layout.code, candidates, layouts);
                let home = &mut codes.first[by][home(layout.code as u32, factor)];
                if let Some(new) = new.filter(|_| home.layout == NO_LAYOUT) {
                    *home = new;
                }
            }
        }
        codes
    }
}

/// What messages with a code are at first sight.
fn first_of(code: u64, candidates: &[u16], layouts: &[Layout]) -> Option<First> {
    let code = u32::try_from(code).ok()?;
    let at = *candidates.first()?;
    let layout = layouts.get(usize::from(at))?;
    let varies = layout.varies();
    let others = candidates.iter().skip(1).filter_map(|&at| layouts.get(usize::from(at)));
    // A longer message than all others are can only be the one that varies.
    let others = others.map(|other| if other.varies() { u32::MAX } else { other.size });
    let longest = if varies { others.max().map_or(0, |size| size.saturating_add(1)) } else { 0 };
    let size = u16::try_from(layout.size.max(longest)).unwrap_or(u16::MAX);
    Some(First { code, layout: at, size, varies })
}

/// The place of a code among the first candidates: for one byte the code.
#[inline(always)]
fn home(code: u32, factor: u32) -> usize {
    (code.wrapping_mul(factor) >> (u32::BITS - HOME_BITS)) as usize
}

/// A factor that leads few codes to a home that another one has.
fn factor(layouts: &[Layout]) -> u32 {
    // The lowest bits as they are: codes are often numbers in a row.
    const PLAIN: u32 = 1 << (u32::BITS - HOME_BITS);
    let mixed = (1..32u32).map(|i| 0x9E37_79B1u32.wrapping_mul(2 * i + 1));
    let crowded = |factor: &u32| {
        let codes: BTreeSet<u64> = layouts.iter().map(|layout| layout.code).collect();
        let homes: BTreeSet<usize> = codes.iter().map(|&c| home(c as u32, *factor)).collect();
        codes.len() - homes.len()
    };
    std::iter::once(PLAIN).chain(mixed).min_by_key(crowded).unwrap_or(PLAIN)
}

impl FixedProtocol {
    /// Reads and checks a protocol file; `file_name` is only for errors.
    pub fn parse(file_name: &str, toml: &str) -> Result<Self, SpecError> {
        compile::compile(toml).map_err(|fault| fault.in_file(file_name))
    }

    /// The protocol's id, e.g. `nasdaq.totalview-itch.5.0`.
    pub fn id(&self) -> &str {
        &self.about.id
    }

    /// Ids of the framings that carry it.
    pub fn framings(&self) -> &[String] {
        &self.about.framings
    }

    /// Its messages at their full size, in the order of the file's codes.
    pub fn messages(&self) -> impl Iterator<Item = &Layout> {
        self.layouts.iter().filter(|layout| layout.full)
    }

    /// Whether the message has a known code and exactly a size of its.
    pub fn knows(&self, body: &[u8], sender: Option<Sender>) -> bool {
        self.choose(body, sender).is_some_and(|choice| choice.fit == Fit::Exact)
    }

    /// Whether no field of a known message's fixed part says what the file
    /// excludes: a code of one byte that a complete list does not have, a time
    /// of day beyond two days, or another release. Blank codes say nothing.
    pub fn agrees(&self, body: &[u8], sender: Option<Sender>) -> bool {
        let layout = self.layout_of(body, sender);
        let layout = layout.and_then(|layout| self.layouts.get(usize::from(layout)));
        layout.is_none_or(|layout| {
            !layout.ops.iter().any(|op| self.is_excluded(op, body))
                && !self.is_other_release(layout, body)
        })
    }

    fn is_other_release(&self, layout: &Layout, body: &[u8]) -> bool {
        let Some(name) = &self.about.release else { return false };
        let field = layout.fields.iter().find(|field| field.name == *name);
        let says = field.and_then(|field| {
            let start = field.offset as usize;
            body.get(start..start.checked_add(field.size() as usize)?)
        });
        let own = self.about.id.splitn(3, '.').nth(2).unwrap_or_default();
        says.is_some_and(|says| Trim::Right.apply(says) != own.as_bytes())
    }

    fn is_excluded(&self, op: &Op, body: &[u8]) -> bool {
        match op {
            Op::Code { at, codes, .. } => {
                let table = self.code_tables.get(*codes).filter(|table| table.complete);
                let listed = table.map(|table| &table.wide);
                at.is_byte() && is_unlisted(at.unsigned(body), listed)
            }
            Op::Name { from: TextAt::Short { at, cache }, .. } => {
                let spec = self.name_specs.get(*cache).filter(|spec| spec.complete);
                let listed = spec.map(|spec| &spec.words);
                at.is_byte() && is_unlisted(at.unsigned(body), listed)
            }
            Op::Time { at, clock, .. } => {
                self.clocks.get(*clock).is_some_and(|clock| !clock.may_show(at.unsigned(body)))
            }
            _ => false,
        }
    }

    /// Whether a message of `len` bytes that begins with `start` may be known,
    /// as far as its code and its fixed part tell.
    pub fn may_know(&self, start: &[u8], len: usize, sender: Option<Sender>) -> bool {
        let Some(code) = self.code_of(start) else { return true };
        let candidates = self.codes.all.get(&code).and_then(|all| all.get(by(sender)));
        let layouts = candidates.into_iter().flatten();
        let mut layouts = layouts.filter_map(|&at| self.layouts.get(usize::from(at)));
        layouts.any(|layout| match layout.size as usize {
            size if layout.steps.is_empty() => size == len,
            size => size <= len,
        })
    }

    /// Whether any message has the code of this one.
    pub fn knows_code(&self, body: &[u8], sender: Option<Sender>) -> bool {
        let all = self.code_of(body).and_then(|code| self.codes.all.get(&code));
        all.and_then(|all| all.get(by(sender))).is_some_and(|found| !found.is_empty())
    }

    /// The message's code; `None` where it is too short for one.
    #[inline(always)]
    pub fn code_of(&self, body: &[u8]) -> Option<u64> {
        if let Some(at) = self.code_byte {
            return body.get(at).map(|&byte| byte.into());
        }
        (body.len() >= self.code.end() as usize).then(|| self.code.unsigned(body))
    }

    /// The trading day of a time, ns since the epoch, as `2026-01-05`: what
    /// messages teach holds for one.
    pub fn trading_day(&self, ts_ns: i64) -> String {
        let of_clock = self.clocks.iter().find_map(Clock::zone);
        let zone = self.about.tz.or(of_clock).unwrap_or(Tz::UTC);
        DateTime::from_timestamp_nanos(ts_ns).with_timezone(&zone).date_naive().to_string()
    }

    /// Table and slot of a learned value.
    pub fn learned_place(&self, table: &str, value: &str) -> Option<(usize, usize)> {
        let at = self.tables.iter().position(|known| known.name == table)?;
        let slot = self.tables.get(at)?.values.iter().position(|(name, _)| name == value)?;
        Some((at, slot))
    }

    /// What a message is at first sight; how well a layout of varying size
    /// fits is for a walk to tell.
    #[inline(always)]
    fn at_first_sight(&self, body: &[u8], sender: Option<Sender>) -> Option<&First> {
        let firsts = &self.codes.first[by(sender)];
        let first = match self.code_byte {
            Some(at) => &firsts[home((*body.get(at)?).into(), self.codes.factor)],
            None => &firsts[home(self.code.unsigned(body) as u32, self.codes.factor)],
        };
        let code_is_right = match self.code_byte {
            Some(_) => true,
            None => u64::from(first.code) == self.code.unsigned(body),
        };
        let size = usize::from(first.size);
        let fits = size == body.len() || first.varies && size < body.len();
        (code_is_right && fits && first.size != u16::MAX).then_some(first)
    }

    /// The layout of a message that is known at first sight; how well it fits
    /// where its size varies is for a walk to tell.
    #[inline(always)]
    pub fn choose_quickly(&self, body: &[u8], sender: Option<Sender>) -> Option<u16> {
        self.at_first_sight(body, sender).map(|first| first.layout)
    }

    /// The layout of a message, without how well it fits; `None` where its code
    /// is not known or the message is shorter than all layouts of the code.
    pub fn layout_of(&self, body: &[u8], sender: Option<Sender>) -> Option<u16> {
        self.choose_quickly(body, sender).or_else(|| {
            let choice = self.choose(body, sender)?;
            (choice.fit != Fit::Shorter).then_some(choice.layout as u16)
        })
    }

    /// The layout of a message; `None` where its code is not known. Where the
    /// sender is not known either, the client's messages are tried first.
    pub fn choose(&self, body: &[u8], sender: Option<Sender>) -> Option<Choice> {
        match self.at_first_sight(body, sender) {
            Some(&First { layout, varies: false, .. }) => {
                Some(Choice { layout: layout.into(), fit: Fit::Exact })
            }
            _ => self.choose_slowly(self.code_of(body)?, body, sender),
        }
    }

    fn choose_slowly(&self, code: u64, body: &[u8], sender: Option<Sender>) -> Option<Choice> {
        let candidates = self.codes.all.get(&code)?.get(by(sender))?;
        let sized = |&at: &u16| Some((usize::from(at), self.layouts.get(usize::from(at))?));
        let layouts = || candidates.iter().filter_map(sized);
        let choice = |(layout, _): (usize, &Layout), fit| Choice { layout, fit };
        let exact = layouts().find(|(_, layout)| self.fits(layout, body));
        let longer = || {
            let within = layouts().filter(|(_, layout)| layout.size as usize <= body.len());
            within.max_by_key(|(_, layout)| layout.size)
        };
        let shorter = || layouts().min_by_key(|(_, layout)| layout.size);
        exact
            .map(|found| choice(found, Fit::Exact))
            .or_else(|| longer().map(|found| choice(found, Fit::Longer)))
            .or_else(|| shorter().map(|found| choice(found, Fit::Shorter)))
    }

    /// Whether a layout covers a message exactly.
    fn fits(&self, layout: &Layout, body: &[u8]) -> bool {
        if layout.steps.is_empty() {
            return body.len() == layout.size as usize;
        }
        let mut tiles = explain::Tiling { protocol: self, body, holds: true };
        let end = walk::walk(layout, body, &mut tiles);
        end == Ok(body.len()) && tiles.holds
    }

    /// Bytes of the message that `rest` begins with, by its code and what its
    /// own fields say; `None` where the code is not known or `rest` ends
    /// inside the message.
    pub fn size_of(&self, rest: &[u8], sender: Option<Sender>) -> Option<usize> {
        let candidates = self.codes.all.get(&self.code_of(rest)?)?.get(by(sender))?;
        let layout = self.layouts.get(usize::from(*candidates.first()?))?;
        walk::walk(layout, rest, &mut Nothing).ok()
    }

    /// A code as the tables have it.
    pub fn code_text(&self, code: u64) -> String {
        compile::code_text(code, self.code_width, self.code_is_text)
    }
}
