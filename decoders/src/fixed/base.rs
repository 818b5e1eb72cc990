//! A version that differs from a shipped one in some tables.
//!
//! ```toml
//! [protocol]
//! id   = "eurex.eti.14.0"
//! base = "eurex.eti.14.1"       # every table of that file, but for …
//! drop = ["10327"]              # … messages that this version does not have
//!
//! [msg.10100]                   # … and tables that stand here
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::fixed::catalog;
use crate::fixed::error::Fault;
use crate::fixed::source::{self, File, Text};

/// Longest row of bases.
pub(super) const BASES_MAX: usize = 32;

/// A file with all that its bases say, and a text in which every span of it
/// has its place: the bases stand below.
pub fn whole(toml: &str) -> Result<(File, String), Fault> {
    let mut file = source::parse(toml)?;
    let mut text = toml.to_owned();
    let mut next = file.protocol.base.clone();
    let mut dropped: BTreeSet<String> = file.protocol.drop.iter().cloned().collect();
    for _ in 0..BASES_MAX {
        let Some(id) = next else { return Ok((file, text)) };
        let fault = |reason| Fault::new(Text(&text).line_of(&id), reason);
        let missing = || fault(format!("no file `{}.toml` is shipped", id.get_ref()));
        let base = shipped(id.get_ref()).ok_or_else(missing)?;
        let base_file = source::parse(&format!("{}\n{base}", blank(&text)))?;
        text = format!("{text}\n{base}");
        next = base_file.protocol.base.clone();
        merge(&mut file, base_file, &mut dropped);
    }
    Err(Fault::new(1, format!("more than {BASES_MAX} bases")))
}

/// The text of the shipped file with this id.
pub(super) fn shipped(id: &str) -> Option<&'static str> {
    let is_it = |(file, _): &&(&str, &str)| file.strip_suffix(".toml") == Some(id);
    catalog::FILES.iter().find(is_it).map(|(_, text)| *text)
}

/// A text of the same size and lines that says nothing.
fn blank(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// Adds what a base has and the file has not.
fn merge(file: &mut File, base: File, dropped: &mut BTreeSet<String>) {
    add(&mut file.clock, base.clock);
    add(&mut file.types, base.types);
    add(&mut file.enums, base.enums);
    add(&mut file.tlv, base.tlv);
    add(&mut file.bitfields, base.bitfields);
    add(&mut file.structs, base.structs);
    add(&mut file.mixin, base.mixin);
    file.common = file.common.take().or(base.common);
    let kept = |mut messages: BTreeMap<String, _>| {
        messages.retain(|code, _| !dropped.contains(code));
        messages
    };
    add(&mut file.msg, kept(base.msg));
    add(&mut file.client.msg, kept(base.client.msg));
    add(&mut file.server.msg, kept(base.server.msg));
    dropped.extend(base.protocol.drop);
}

fn add<T>(own: &mut BTreeMap<String, T>, base: BTreeMap<String, T>) {
    for (name, table) in base {
        own.entry(name).or_insert(table);
    }
}

/// A fault with the line of the file, or of the base that it lies in.
pub fn place(file: &File, text: Text<'_>, own_lines: usize, fault: Fault) -> Fault {
    let Some(base) = file.protocol.base.as_ref().filter(|_| fault.line > own_lines) else {
        return fault;
    };
    let reason = format!("in what `{}` brings: {}", base.get_ref(), fault.reason);
    Fault::new(text.line_of(base), reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::protocol::FixedProtocol;

    fn file(rest: &str) -> String {
        format!(
            "[protocol]\nid = \"test.base.1\"\ntitle = \"t\"\nsource = \"s\"\nvenues = []\n\
             framings = [\"moldudp64\"]\nendian = \"big\"\ncode = {{ at = 0, type = \"c1\" }}\n\
             {rest}"
        )
    }

    #[test]
    fn tables_of_the_base_are_there_but_for_those_written_or_dropped() {
        let own = "base = \"nasdaq.totalview-itch.5.0\"\ndrop = [\"X\"]\n\
                   [msg.D]\nname = \"gone\"\nkind = \"order.delete\"\nsize = 12\n\
                   layout = \"11 reason c1 -> reason_code\"\n";
        let protocol = FixedProtocol::parse("t.toml", &file(own)).unwrap();
        let base = catalog::by_id("nasdaq.totalview-itch.5.0").unwrap();
        let find = |code| protocol.messages().find(|layout| layout.code_text == code);
        assert_eq!(find("D").map(|layout| layout.size), Some(12));
        assert_eq!(find("X").map(|layout| layout.size), None);
        assert_eq!(find("A").map(|layout| layout.size), Some(36));
        assert_eq!(protocol.messages().count() + 1, base.messages().count());
    }

    #[test]
    fn a_fault_in_what_a_base_brings_is_told_where_it_is_named() {
        let own = "base = \"nasdaq.totalview-itch.5.0\"\n[common]\nlayout = \"0 code c1\"\n";
        let fault = FixedProtocol::parse("t.toml", &file(own)).unwrap_err();
        assert_eq!(fault.line, 9);
        assert!(fault.reason.contains("nasdaq.totalview-itch.5.0"), "{fault}");
        let fault = FixedProtocol::parse("t.toml", &file("base = \"no.such.file\"")).unwrap_err();
        assert_eq!(fault.line, 9);
    }
}
