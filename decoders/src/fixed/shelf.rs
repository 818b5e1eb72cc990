//! Protocols that are compiled when they are first needed.
//!
//! ```text
//! protocol file ── at first sight ─▶ id, framings, the codes of its messages    at every start
//!       └───────── compile ────────▶ FixedProtocol     when a message has one of the codes
//! ```
//!
//! There are many protocol files and a capture has messages of a few. What
//! recognition asks of a protocol first is whether a message has a code of its
//! and is long enough: that stands in the file's table headers and is read
//! without the layouts.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::fixed::bytes::Window;
use crate::fixed::compile;
use crate::fixed::error::{Fault, SpecError};
use crate::fixed::protocol::{About, FixedProtocol};
use crate::fixed::source::{self, Text};
use crate::kind::Sender;

/// A protocol that is perhaps not compiled yet. Threads share it.
#[derive(Debug)]
pub struct ShelvedProtocol {
    about: About,
    /// `None` where it came compiled.
    heading: Option<(Heading, &'static str)>,
    compiled: OnceLock<Option<Arc<FixedProtocol>>>,
}

/// A message as table headers name it: who sends it and its code.
type Named = (Option<Sender>, String);

/// What a file says at first sight.
#[derive(Debug)]
struct Heading {
    code: Window,
    /// Of every message the least bytes it may have.
    messages: BTreeMap<Named, u32>,
    /// The same by code, sorted.
    codes: Vec<(u64, u32)>,
}

impl From<Arc<FixedProtocol>> for ShelvedProtocol {
    fn from(protocol: Arc<FixedProtocol>) -> Self {
        let about = protocol.about.clone();
        Self { about, heading: None, compiled: OnceLock::from(Some(protocol)) }
    }
}

impl ShelvedProtocol {
    /// Reads what a shipped file says at first sight.
    ///
    /// # Errors
    /// What is wrong in its `[protocol]`.
    pub fn new(file_name: &str, toml: &'static str) -> Result<Self, SpecError> {
        Self::read(toml).map_err(|fault| fault.in_file(file_name))
    }

    fn read(toml: &'static str) -> Result<Self, Fault> {
        let table = protocol_table(toml);
        let file = source::parse(table)?;
        let about = compile::about(&file, Text(table))?;
        let (code, is_text) = compile::code_field(&file, Text(table))?;
        let width = code.end().saturating_sub(file.protocol.code.get_ref().at);
        let messages = messages(toml, file)?;
        let number = |((_, code), size): (&Named, &u32)| {
            Some((compile::code_number(code, width, is_text)?, *size))
        };
        let mut codes: Vec<(u64, u32)> = messages.iter().filter_map(number).collect();
        codes.sort_unstable();
        codes.dedup_by_key(|(code, _)| *code);
        let heading = Heading { code, messages, codes };
        Ok(Self { about, heading: Some((heading, toml)), compiled: OnceLock::new() })
    }

    /// Id, title and origin.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The protocol's id.
    pub fn id(&self) -> &str {
        &self.about.id
    }

    /// Ids of the framings that carry it.
    pub fn framings(&self) -> &[String] {
        &self.about.framings
    }

    /// How many messages it has.
    pub fn message_count(&self) -> usize {
        match &self.heading {
            Some((heading, _)) => heading.messages.len(),
            None => self.compiled().map_or(0, |protocol| protocol.messages().count()),
        }
    }

    /// Whether it has messages that only a client sends.
    pub fn has_requests(&self) -> bool {
        let is_client = |sender: Option<Sender>| sender == Some(Sender::Client);
        match &self.heading {
            Some((heading, _)) => heading.messages.keys().any(|(sender, _)| is_client(*sender)),
            None => {
                let layouts = self.compiled().map_or(&[][..], |protocol| &protocol.layouts);
                layouts.iter().any(|layout| is_client(layout.sender))
            }
        }
    }

    /// The protocol, compiled now where it is not yet. `None` only where a
    /// shipped file is refused: a test holds that none is.
    #[inline]
    pub fn compiled(&self) -> Option<&Arc<FixedProtocol>> {
        match self.compiled.get() {
            Some(compiled) => compiled.as_ref(),
            None => self.compile(),
        }
    }

    #[cold]
    fn compile(&self) -> Option<&Arc<FixedProtocol>> {
        let compile = || {
            let (_, toml) = self.heading.as_ref()?;
            FixedProtocol::parse(self.id(), toml).ok().map(Arc::new)
        };
        self.compiled.get_or_init(compile).as_ref()
    }

    /// See [`FixedProtocol::knows`]. Where none of its messages has the code, or
    /// all that have it are longer, it is not compiled for that.
    pub fn knows(&self, body: &[u8], sender: Option<Sender>) -> bool {
        self.asked(body).is_some_and(|protocol| protocol.knows(body, sender))
    }

    /// See [`FixedProtocol::agrees`]; for messages that it knows.
    pub fn agrees(&self, body: &[u8], sender: Option<Sender>) -> bool {
        self.compiled().is_none_or(|protocol| protocol.agrees(body, sender))
    }

    /// See [`FixedProtocol::size_of`]; likewise.
    pub fn size_of(&self, rest: &[u8], sender: Option<Sender>) -> Option<usize> {
        self.asked(rest)?.size_of(rest, sender)
    }

    fn asked(&self, body: &[u8]) -> Option<&Arc<FixedProtocol>> {
        let is_new = self.compiled.get().is_none();
        if is_new && self.excludes(body, body.len()) { None } else { self.compiled() }
    }

    /// See [`FixedProtocol::may_know`].
    pub fn may_know(&self, start: &[u8], len: usize, sender: Option<Sender>) -> bool {
        match &self.heading {
            Some((heading, _)) if start.len() < heading.code_end() => true,
            _ if self.excludes(start, len) => false,
            _ => self.compiled().is_some_and(|protocol| protocol.may_know(start, len, sender)),
        }
    }

    /// Whether no message of `len` bytes that begins with `start` is known.
    fn excludes(&self, start: &[u8], len: usize) -> bool {
        self.heading.as_ref().is_some_and(|(heading, _)| !heading.may_have(start, len))
    }
}

impl Heading {
    fn code_end(&self) -> usize {
        self.code.end() as usize
    }

    fn may_have(&self, start: &[u8], len: usize) -> bool {
        let code = self.code.unsigned(start);
        let at = self.codes.binary_search_by_key(&code, |(code, _)| *code);
        let least = at.ok().and_then(|at| self.codes.get(at)).map(|(_, least)| *least as usize);
        start.len() >= self.code_end() && least.is_some_and(|least| least <= len)
    }
}

/// The table `[protocol]` of a file.
fn protocol_table(toml: &str) -> &str {
    let start = toml.find("[protocol]").unwrap_or(0);
    let table = toml.get(start..).unwrap_or_default();
    table.find("\n[").map_or(table, |end| table.get(..end).unwrap_or(table))
}

/// Every message of a file and of its bases, with its least bytes.
fn messages(toml: &str, mut file: source::File) -> Result<BTreeMap<Named, u32>, Fault> {
    let mut all = own_messages(toml);
    let mut dropped = Vec::new();
    for _ in 0..super::base::BASES_MAX {
        let Some(base) = file.protocol.base.take() else { break };
        let Some(text) = super::base::shipped(base.get_ref()) else { break };
        dropped.append(&mut file.protocol.drop);
        for (named, least) in own_messages(text) {
            if !dropped.contains(&named.1) {
                all.entry(named).or_insert(least);
            }
        }
        file = source::parse(protocol_table(text))?;
    }
    Ok(all)
}

/// The messages whose tables stand in a text. Layouts are texts of several
/// lines: none of their lines begins with a bracket or with these keys.
fn own_messages(toml: &str) -> BTreeMap<Named, u32> {
    let mut all = BTreeMap::new();
    let mut last: Option<Named> = None;
    for line in toml.lines() {
        if line.starts_with('[') {
            last = named(line);
        } else if let Some((named, least)) = last.as_ref().zip(least_size(line)) {
            let size = all.entry(named.clone()).or_insert(u32::MAX);
            *size = least.min(*size);
        }
    }
    all
}

/// The message of a table header: `[server.msg."A"]`.
fn named(line: &str) -> Option<Named> {
    let inside = line.strip_prefix('[')?.split(']').next()?;
    let senders = [
        ("msg.", None),
        ("client.msg.", Some(Sender::Client)),
        ("server.msg.", Some(Sender::Server)),
    ];
    let found = senders
        .iter()
        .find_map(|(prefix, sender)| inside.strip_prefix(prefix).map(|code| (*sender, code)));
    let (sender, code) = found?;
    Some((sender, code.trim_matches(['"', '\'']).to_owned()))
}

/// The least of the numbers of a line `size = 36` or `may_end_at = [6, 9]`.
fn least_size(line: &str) -> Option<u32> {
    let (key, value) = line.split_once('=')?;
    if !matches!(key.trim_end(), "size" | "may_end_at") {
        return None;
    }
    let value = value.split('#').next()?;
    let numbers = value.split(|c: char| !c.is_ascii_digit());
    numbers.filter_map(|number| number.parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::catalog::{self, FILES};
    use crate::fixed::encode::{Seeded, message};

    #[test]
    fn a_heading_says_what_the_compiled_file_says() {
        for (name, toml) in FILES {
            let shelved = ShelvedProtocol::new(name, toml).unwrap();
            let requests = shelved.has_requests();
            let (heading, _) = shelved.heading.as_ref().unwrap();
            let protocol = FixedProtocol::parse(name, toml).unwrap();
            assert_eq!((&shelved.about, heading.code), (&protocol.about, protocol.code), "{name}");
            let client =
                |layout: &crate::fixed::program::Layout| layout.sender == Some(Sender::Client);
            assert_eq!(requests, protocol.layouts.iter().any(client), "{name}");
            assert_eq!(shelved.message_count(), protocol.messages().count(), "{name}");
        }
    }

    #[test]
    fn what_a_heading_excludes_no_protocol_knows() {
        let headings: Vec<_> = catalog::shelf().iter().filter_map(|p| p.heading.as_ref()).collect();
        assert_eq!(headings.len(), FILES.len());
        let mut dice = Seeded(5);
        let (mut known, mut excluded) = (0, 0);
        for protocol in catalog::embedded() {
            for layout in protocol.messages() {
                let body = message(protocol, layout, &mut dice);
                for ((heading, _), other) in headings.iter().zip(catalog::embedded()) {
                    let may = heading.may_have(&body, body.len());
                    let knows = other.knows(&body, layout.sender);
                    assert!(may || !knows, "{} of {}", layout.name, other.id());
                    (known, excluded) = (known + usize::from(knows), excluded + usize::from(!may));
                }
            }
        }
        assert!(known > 1000 && excluded > 4 * known, "{known} known, {excluded} excluded");
    }
}
