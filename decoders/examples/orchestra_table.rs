//! Compiles a FIX Orchestra file into the compact table that the FIX engine
//! embeds.
//!
//! ```text
//! cargo run -p taptrail-decoders --example orchestra_table -- FILE.xml > decoders/dictionaries/fix.4.4.tsv
//! ```
//!
//! A line a fact, columns parted by a tab:
//!
//! ```text
//! V  version
//! F  tag  name  type  [tag of the field that holds its length]
//! C  id   members                  a component
//! G  id   count tag   members      a repeating group
//! M  type name  members            a message
//! ```
//!
//! Members are parted by a space: `44` a field, `c1003` a component, `g2032` a
//! group. Only names, numbers and structure are read, no sentence of the file.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;

use roxmltree::{Document, Node};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: orchestra_table FILE.xml");
        return ExitCode::from(2);
    };
    match std::fs::read_to_string(&path).map_err(|e| e.to_string()).and_then(|xml| table(&xml)) {
        Ok(text) => print!("{text}"),
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The whole table of one Orchestra file.
fn table(xml: &str) -> Result<String, String> {
    let document = Document::parse(xml).map_err(|e| e.to_string())?;
    let root = document.root_element();
    let version = root.attribute("version").unwrap_or_default();
    let mut lines = vec![format!("V\t{version}")];
    lines.extend(fields(&root));
    lines.extend(blocks(&root, "component", 'C'));
    lines.extend(blocks(&root, "group", 'G'));
    lines.extend(messages(&root));
    lines.push(String::new());
    Ok(lines.join("\n"))
}

fn fields(root: &Node) -> Vec<String> {
    let code_sets: HashMap<&str, &str> = named(root, "codeSet")
        .into_iter()
        .filter_map(|set| Some((set.attribute("name")?, set.attribute("type")?)))
        .collect();
    let mut facts = BTreeMap::new();
    for field in named(root, "field") {
        let Some((tag, name, declared)) = field_facts(&field) else { continue };
        facts.insert(tag, (name, *code_sets.get(declared).unwrap_or(&declared)));
    }
    let by_name: HashMap<&str, u32> = facts.iter().map(|(&tag, &(name, _))| (name, tag)).collect();
    let line = |(&tag, &(name, kind)): (&u32, &(&str, &str))| match length_tag(&by_name, name, kind)
    {
        Some(length) => format!("F\t{tag}\t{name}\t{kind}\t{length}"),
        None => format!("F\t{tag}\t{name}\t{kind}"),
    };
    facts.iter().map(line).collect()
}

fn field_facts<'a>(field: &Node<'a, '_>) -> Option<(u32, &'a str, &'a str)> {
    Some((field.attribute("id")?.parse().ok()?, field.attribute("name")?, field.attribute("type")?))
}

/// The length field of a data field. Their names are one rule in every
/// version; the attribute that says so is empty or wrong in some files.
fn length_tag(by_name: &HashMap<&str, u32>, name: &str, kind: &str) -> Option<u32> {
    if !matches!(kind, "data" | "XMLData") {
        return None;
    }
    let candidates = [format!("{name}Len"), format!("{name}Length")];
    candidates.iter().find_map(|name| by_name.get(name.as_str()).copied())
}

fn blocks(root: &Node, element: &str, letter: char) -> Vec<String> {
    let line = |block: Node| {
        let id = block.attribute("id")?;
        let count = block.children().find(|c| c.has_tag_name_local("numInGroup"));
        let count = count.and_then(|c| c.attribute("id")).map(|c| format!("\t{c}"));
        Some(format!("{letter}\t{id}{}\t{}", count.unwrap_or_default(), members(&block)))
    };
    named(root, element).into_iter().filter_map(line).collect()
}

fn messages(root: &Node) -> Vec<String> {
    let line = |message: Node| {
        let structure = message.children().find(|c| c.has_tag_name_local("structure"))?;
        let (code, name) = (message.attribute("msgType")?, message.attribute("name")?);
        Some(format!("M\t{code}\t{name}\t{}", members(&structure)))
    };
    named(root, "message").into_iter().filter_map(line).collect()
}

fn members(block: &Node) -> String {
    let member = |child: Node| {
        let id = child.attribute("id")?;
        match child.tag_name().name() {
            "fieldRef" => Some(id.to_owned()),
            "componentRef" => Some(format!("c{id}")),
            "groupRef" => Some(format!("g{id}")),
            _ => None,
        }
    };
    block.children().filter_map(member).collect::<Vec<_>>().join(" ")
}

/// Elements of a name whatever the file's namespace, which changed over time.
fn named<'a, 'b: 'a>(root: &Node<'a, 'b>, name: &str) -> Vec<Node<'a, 'b>> {
    root.descendants().filter(|node| node.has_tag_name_local(name)).collect()
}

/// Compares an element's name without its namespace.
trait LocalName {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl LocalName for Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}
