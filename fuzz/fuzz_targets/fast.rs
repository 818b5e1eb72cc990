//! Any bytes as FAST messages of our own templates, or, where the first byte
//! says so, a text as templates and the rest as their messages. Rows and
//! explanations agree on what is whole and how long it is.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use taptrail_decoders::batch::{Head, MessageBatch};
use taptrail_decoders::fast::decode::{FastDecoder, ResetPolicy};
use taptrail_decoders::fast::packet_header::PacketHeader;
use taptrail_decoders::fast::templates::Templates;
use taptrail_decoders::names::{Name, Names};

const OWN: &str = r#"<templates>
<template name="PacketHeader" id="1"><uInt32 name="SenderCompID"/><byteVector name="PacketSeqNum"/></template>
<template name="All" id="2"><uInt32 name="a"><copy/></uInt32><int64 name="b" presence="optional"><delta/></int64>
<string name="c"><tail/></string><string name="d" presence="optional"><delta/></string>
<byteVector name="e" presence="optional"><copy/></byteVector><decimal name="f" presence="optional">
<exponent><default/></exponent><mantissa><delta/></mantissa></decimal><uInt64 name="g"><increment/></uInt64>
<group name="h" presence="optional"><decimal name="i"><delta/></decimal></group>
<sequence name="MDEntries"><length name="n"/><uInt32 name="MDUpdateAction" id="279"><copy/></uInt32>
<sequence name="k" presence="optional"><string name="l" charset="unicode"><copy/></string></sequence></sequence>
<templateRef/></template>
<template name="Free" id="3"><sequence name="s"><uInt32 name="z"><constant value="1"/></uInt32></sequence></template>
<template name="Reset" id="4" reset="Y"/></templates>"#;

static TEMPLATES: LazyLock<Arc<Templates>> =
    LazyLock::new(|| Arc::new(Templates::parse("own", OWN).expect("our own templates")));

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    let policies =
        [ResetPolicy::Never, ResetPolicy::Message, ResetPolicy::Datagram, ResetPolicy::Template];
    let policy = policies[usize::from(first) / 2 % 4];
    if first % 2 == 0 {
        return run(Arc::clone(&TEMPLATES), policy, rest);
    }
    let cut = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
    let (text, bytes) = rest.split_at(cut);
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(templates) = Templates::parse("fuzzed", text) {
        run(Arc::new(templates), policy, bytes);
    }
});

fn run(templates: Arc<Templates>, policy: ResetPolicy, mut bytes: &[u8]) {
    if let Some(header) = PacketHeader::find(&templates)
        && let Some(prefix) = header.read(bytes)
    {
        let covered: u32 = header.explain(bytes).iter().map(|field| field.size).sum();
        assert_eq!(covered as usize, prefix.len);
    }
    let decoder =
        || FastDecoder::new(Arc::clone(&templates), policy).with_implicit_reset(Some(120));
    let (mut rows, mut fields) = (decoder(), decoder());
    let (mut names, mut batch) = (Names::new(), MessageBatch::new());
    while !bytes.is_empty() {
        batch.clear();
        let row = rows.decode(bytes, &HEAD, &mut batch, &mut names);
        let explained = fields.explain(bytes).map(|(_, len)| len);
        assert_eq!(row, explained);
        let Ok(len) = row else { return };
        bytes = bytes.get(len.max(1)..).unwrap_or_default();
    }
}

const HEAD: Head = Head {
    ts: 1,
    ts_first: None,
    ts_send: None,
    packet_ix: 0,
    msg_ix: 0,
    flow_id: 0,
    protocol: Name(0),
    line: None,
    session: None,
    channel: None,
    seq: None,
    gap_before: None,
    flags: 0,
    raw_off: None,
    raw_len: 0,
    tcp_off: None,
    sender: None,
};
