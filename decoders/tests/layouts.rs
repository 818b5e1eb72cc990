//! Every message of every shipped file, made up by the encoder and taken apart:
//! where each field lies.
//!
//! `layouts.tsv` beside this file has a row a protocol: its messages, the
//! fields of one message of each type, and a fingerprint of their names, places
//! and sizes. So no layout changes unseen, whatever changes in the engine, in a
//! file that others are based on, or in the file itself. `UPDATE_GOLDEN=1`
//! writes it anew; look at the difference.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use taptrail_decoders::fixed::catalog;
use taptrail_decoders::fixed::encode::{Seeded, message};
use taptrail_decoders::fixed::explain::explain;
use taptrail_decoders::fixed::protocol::FixedProtocol;
use taptrail_decoders::framing;

/// Messages made up of each type: enough to meet every condition.
const ROUNDS: u64 = 12;

/// FNV-1a of 64 bits (Fowler, Noll, Vo): stays the same everywhere.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn row(id: &str, protocol: &FixedProtocol) -> String {
    let (mut text, mut fields, mut messages) = (String::new(), 0, BTreeSet::new());
    for layout in &protocol.layouts {
        let mut dice = Seeded(layout.code + 1);
        messages.insert((layout.code, format!("{:?}", layout.sender)));
        for round in 0..ROUNDS {
            let body = message(protocol, layout, &mut dice);
            let explained = explain(protocol, &body, layout.sender);
            fields += if round == 0 { explained.fields.len() } else { 0 };
            for field in &explained.fields {
                let (name, path) = (&layout.name, &field.path);
                writeln!(text, "{name} {path} {} {}", field.offset, field.size).unwrap();
            }
        }
    }
    format!("{id}\t{}\t{fields}\t{:016x}\n", messages.len(), fingerprint(&text))
}

#[test]
fn every_field_of_every_file_is_where_it_was() {
    let mut table = String::from("protocol\tmessages\tfields\tfingerprint\n");
    for protocol in catalog::embedded() {
        table.push_str(&row(protocol.id(), protocol));
    }
    for framing in framing::catalog::embedded() {
        if let Some(session) = &framing.session {
            table.push_str(&row(&format!("session of {}", framing.id), session));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/layouts.tsv");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let (known, found): (BTreeSet<_>, BTreeSet<_>) =
        (known.lines().collect(), table.lines().collect());
    let (gone, new): (Vec<_>, Vec<_>) =
        (known.difference(&found).collect(), found.difference(&known).collect());
    assert!(gone.is_empty() && new.is_empty(), "was {gone:#?}\nis {new:#?}");
}
