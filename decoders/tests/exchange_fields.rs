//! Real exchange packets, field by field, against a dissector of other authors:
//! offset in the frame, size and bytes of every leaf field.
//!
//! `exchange_fields.tsv` beside this file is what was found: for every folder
//! of captures the protocol file, how many captures have every leaf, how many
//! leaves of the other dissector one of ours equals, and what the captures are
//! recognised as where nobody names the protocol. `UPDATE_GOLDEN=1` writes it
//! anew. What is not whole has a reason:
//!
//! - `B3/BinaryEntryPoint.v8.1`: the other dissector overlooks that the schema
//!   puts the investor's document at byte 4 of its composite, and what follows.
//! - `Memx/…MemiorDepth.v1.3`: one capture is ITCH over MoldUDP64.
//! - `Cboe/Options.OrderEntry.Boe.v2.10.5`: the other dissector reads the
//!   bitfields from the highest bit, so it takes the optional fields for others;
//!   and a password has no bytes here. The traffic is that of US equities.
//! - `Eurex/Eobi.T7.v6.0`: 2014 traffic of release 3.0, whose packet header the
//!   other dissector reads by a later layout.
//! - `Nasdaq/…NlsPlus.Itch.4.0`: release 3.0 on the wire; the other dissector
//!   overlooks the reserved byte of the trading action.
//! - `Miax/PearlEquities.Meo.v2.6`: in the login request it overlooks the number
//!   of matching engines and so reads the first one's entry a byte early.
//! - `Siac/Cts.Cta.v2.11.b`: it reads four of the eight bytes of the prior day's
//!   time, and what follows from there on.

mod common;

use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use taptrail_decoders::config::{DecodeConfig, DecoderConfig};
use taptrail_decoders::explain::ExplainedMessage;
use taptrail_decoders::flow::Recognised;
use taptrail_decoders::library::Library;

/// Folders of captures, with the protocol that they are.
const FOLDERS: &[(&str, &str)] = &[
    ("Asx/Ntp.Itch.v1.05", "asx.ntp-itch.1.05"),
    ("B3/BinaryEntryPoint.v8.1", "b3.entrypoint"),
    ("B3/BinaryUmdf.v1.5", "b3.umdf"),
    ("B3/BinaryUmdf.v1.8", "b3.umdf"),
    ("Box", "box.hsvf.1.9"),
    ("Cboe/Byx.Equities.DepthOfBook.Pitch.v2.41", "cboe.pitch-us.2.41"),
    ("Cboe/Futures.DepthOfBook.Pitch.v1.1.6", "cboe.pitch-futures.1.1"),
    ("Cboe/Options.ComplexDepthOfBook.Pitch.v2.1.18", "cboe.pitch-complex.2.1"),
    ("Cboe/Options.DepthOfBook.Pitch.v2.39.4", "cboe.pitch-us.2.41"),
    ("Cboe/Options.OrderEntry.Boe.v2.10.5", "cboe.boe-options.2.10"),
    ("Cboe/Options.TopOfMarket.Csm.v1.4.4", "cboe.csm.1.4"),
    ("Cme/Mdp3.Sbe.v1.12", "cme.mdp3"),
    ("Cme/Mdp3.Sbe.v1.5", "cme.mdp3"),
    ("Cme/Mdp3.Sbe.v1.9", "cme.mdp3"),
    ("Cme/iLink3.Sbe.8.5", "cme.ilink3"),
    ("Coinbase/MarketDataApi.v1.2", "coinbase.derivatives-md"),
    ("Coinbase/OrderApi.v1.4", "coinbase.derivatives-orders"),
    ("Eurex/Eobi.T7.v6.0", "eurex.eobi.3.0"),
    ("Eurex/Eti.T7.v6.1", "eurex.eti.6.1"),
    ("Ice/Mdf.iMpact.v1.1.24", "ice.impact-mdf.1.1"),
    ("Ice/Mdf.iMpact.v1.1.33", "ice.impact-mdf.1.1"),
    ("Iex/Deep.IexTp.v1.0", "iex.deep.1.0"),
    ("Iex/DeepPlus.IexTp.1.0.2", "iex.deepplus.1.0"),
    ("Iex/Tops.IexTp.v1.5", "iex.tops.1.6"),
    ("Imperative/IntelligentCross.Mdf.v1.11", "intelligentcross.aspen.1.11"),
    ("Jnx/JnxEquities.Pts.Itch.v1.6", "jnx.itch.1.6"),
    ("Jnx/JnxEquities.Pts.Ouch.v1.11", "jnx.ouch.1.11"),
    ("Memx/Equities.MemiorDepth.v1.3", "memx.memoir-depth"),
    ("Miax/MiaxOptions.cToM.v1.1", "miax.options-ctom.1.3"),
    ("Miax/OnyxFutures.ToM.v1.0", "miax.onyx-tom.1.0"),
    ("Miax/PearlEquities.Meo.v2.6", "miax.pearl-meo.2.6"),
    ("Nasdaq/Bx.Equities.TotalView.Itch.v5.0", "nasdaq.totalview-itch.5.0"),
    ("Nasdaq/Bx.Equities.TotalView.Itch.v5.0.20230822", "nasdaq.totalview-itch.5.0"),
    ("Nasdaq/Ise.OrderComboFeed.v1.1", "nasdaq.order-combo.1.1"),
    ("Nasdaq/Ise.TopComboQuoteFeed.v1.0", "nasdaq.top-combo.1.0"),
    ("Nasdaq/Nasdaq.Equities.Bbo.Itch.v2.1.20241105", "nasdaq.bbo.2.1"),
    ("Nasdaq/Nasdaq.Equities.NlsPlus.Itch.4.0.20241105", "nasdaq.nlsplus.3.0"),
    ("Nasdaq/Nasdaq.Equities.TotalView.Itch.v5.0", "nasdaq.totalview-itch.5.0"),
    ("Nasdaq/Nasdaq.Equities.TotalView.Itch.v5.0.20230822", "nasdaq.totalview-itch.5.0"),
    ("Nasdaq/Nasdaq.Nsm.Ouch.v5.0", "nasdaq.ouch.5.0"),
    ("Nasdaq/Psx.Equities.TotalView.Itch.v5.0.20230822", "nasdaq.totalview-itch.5.0"),
    ("Nasdaq/Uqdf.Output.Utp.v1.5", "utp.uqdf.3.0"),
    ("Nyse/Arca.Options.TopFeed.Pillar.1.2.c", "nyse.options-top.1.2"),
    ("Nyse/Bbo.Xdp.v2.3a", "nyse.bbo-pillar.2.5"),
    ("Nyse/Equities.BinaryGateway.Pillar.v5.8", "nyse.pillar-gateway.5.17"),
    ("Nyse/ImbalancesFeed.Xdp.v2.1.f", "nyse.imbalances-pillar.2.2"),
    ("Nyse/IntegratedFeed.Pillar.v2.5", "nyse.integrated-pillar.2.5"),
    ("Nyse/IntegratedFeed.Xdp.v2.1", "nyse.integrated-xdp.2.1"),
    ("Nyse/National.Equities.Bbo.Pillar.v2.5", "nyse.bbo-pillar.2.5"),
    ("Nyse/Nyse.Equities.OpenBook.Ultra.2.1.b", "nyse.openbook-ultra.2.1"),
    ("Otc/Ats.Headers", "otc.link.4.3"),
    ("Otc/Multicast.Ats.v4.3", "otc.link.4.3"),
    ("Siac/Cqs.Cta.v2.10.a", "siac.cqs.2.10"),
    ("Siac/Cts.Cta.v1.91", "siac.cts.2.11"),
    ("Siac/Cts.Cta.v2.11.b", "siac.cts.2.11"),
    ("Siac/Cts.Cta.v2.9", "siac.cts.2.11"),
    ("Siac/Opra.Recipient.v6.2", "siac.opra.6.2"),
    ("Tmx/Mx.Sola.1.14", "mx.hsvf.1.14"),
    ("Tmx/Tmx.TsxTsxvLevel2.Xmt.v2.1", "tmx.tsx-level2.2.1"),
    ("Txse/OrderEntry.Seed.v0.7", "txse.seed.1.0"),
];

/// What is shipped, with the exchanges' SBE schemas.
fn library(data: &Path) -> Arc<Library> {
    static LIBRARY: OnceLock<Arc<Library>> = OnceLock::new();
    let load = || {
        let schemas = Some(data.join("schemas/sbe").display().to_string());
        let decode = DecodeConfig { schemas, ..DecodeConfig::default() };
        let config = DecoderConfig { decode, ..DecoderConfig::default() };
        Arc::new(Library::load(&config, Path::new("")).unwrap_or_else(|faults| {
            panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        }))
    };
    Arc::clone(LIBRARY.get_or_init(load))
}

/// A leaf field: offset, size, hex.
type Leaf = (i64, u64, String);

fn captures(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "pcap"));
    paths.sort();
    paths
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    paths.retain(|path| path.is_dir());
    paths.sort();
    paths
}

/// A leaf field as the answers have it.
fn leaf(field: &Value) -> Option<Leaf> {
    let size = field["size"].as_u64()?;
    let hex = field["hex"].as_str()?.to_owned();
    (size > 0).then_some((field["pos"].as_i64()?, size, hex))
}

/// The answer beside a capture: the leaf fields of each packet, by its number.
fn answer(path: &Path) -> BTreeMap<u64, Vec<Leaf>> {
    let text = std::fs::read_to_string(path.with_extension("fields.json")).expect("answer");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let packets = answer["packets"].as_array().expect("packets");
    let leaves = |packet: &Value| {
        let fields = packet["fields"].as_array().expect("fields");
        (packet["frame"].as_u64().expect("frame"), fields.iter().filter_map(leaf).collect())
    };
    packets.iter().map(leaves).collect()
}

fn ours(messages: &[ExplainedMessage]) -> BTreeMap<u64, Vec<Leaf>> {
    let mut packets: BTreeMap<u64, Vec<Leaf>> = BTreeMap::new();
    for message in messages {
        for field in message.fields.iter().filter(|field| field.size > 0) {
            let hex = field.raw.iter().map(|byte| format!("{byte:02x}")).collect();
            let leaf = (field.offset, u64::from(field.size), hex);
            packets.entry(message.packet).or_default().push(leaf);
        }
    }
    packets.values_mut().for_each(|leaves| leaves.sort());
    packets
}

/// What a folder of captures came to.
#[derive(Default)]
struct Found {
    captures: usize,
    whole: usize,
    leaves: usize,
    equal: usize,
    /// What captures are recognised as, and how many of them.
    alone: BTreeMap<String, usize>,
}

fn folder(data: &Path, folder: &str, protocol: &str) -> Found {
    let mut found = Found::default();
    for path in captures(&data.join("exchange").join(folder)) {
        let ours = ours(&common::explain_by(library(data), &path, Some(protocol)));
        let (mut leaves, mut equal) = (0, 0);
        for (packet, theirs) in answer(&path) {
            let ours = ours.get(&packet).cloned().unwrap_or_default();
            leaves += theirs.len();
            equal += theirs.iter().filter(|leaf| is_ours(leaf, &ours)).count();
        }
        found.captures += 1;
        found.whole += usize::from(equal == leaves);
        found.leaves += leaves;
        found.equal += equal;
        *found.alone.entry(recognised(data, &path)).or_default() += 1;
    }
    found
}

/// Whether one of our fields is a leaf of theirs. Of single bits they give the
/// bit in the place of the bytes; of passwords we give no bytes.
fn is_ours(leaf: &Leaf, ours: &[Leaf]) -> bool {
    let (at, size, hex) = leaf;
    let is_bits = hex.len() as u64 != 2 * size;
    let is_secret = ours.contains(&(*at, *size, String::new()));
    ours.contains(leaf)
        || is_secret
        || is_bits && ours.iter().any(|own| (own.0, own.1) == (*at, *size))
}

/// What a capture is taken for where nobody says what it is.
fn recognised(data: &Path, path: &Path) -> String {
    let messages = common::explain_by(library(data), path, None);
    let of = |m: &ExplainedMessage| Some((m.protocol.clone()?, m.recognised?));
    let named: BTreeSet<String> = messages
        .iter()
        .filter(|message| message.msg_ix.is_some())
        .filter_map(of)
        .map(|(protocol, how)| format!("{protocol}:{}", how.text()))
        .collect();
    let named: Vec<String> = named.into_iter().collect();
    if named.is_empty() { "-".to_owned() } else { named.join("+") }
}

#[test]
fn every_leaf_field_is_where_another_dissector_sees_it() {
    let Some(data) = common::data() else { return };
    let mut table =
        "folder\tprotocol\tcaptures\twhole\tleaves\tequal\trecognised alone\n".to_owned();
    for (name, protocol) in FOLDERS {
        let found = folder(&data, name, protocol);
        let alone: Vec<String> =
            found.alone.iter().map(|(what, count)| format!("{count} {what}")).collect();
        let Found { captures, whole, leaves, equal, .. } = found;
        let alone = alone.join(", ");
        writeln!(table, "{name}\t{protocol}\t{captures}\t{whole}\t{leaves}\t{equal}\t{alone}")
            .expect("text");
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchange_fields.tsv");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &table).expect("writes");
    }
    let kept = std::fs::read_to_string(&golden).expect("table");
    assert!(kept == table, "tests/exchange_fields.tsv differs; found\n{table}");
}

/// Thousands of packets of two feeds, recognised alone: every leaf, and no byte
/// without a name.
#[test]
fn long_captures_match_leaf_by_leaf() {
    let Some(data) = common::data() else { return };
    for name in ["deep10_1-2000.pcap", "tops16_1-1500.pcap"] {
        let path = data.join("iex").join(name);
        let messages = common::explain(&path, None);
        let unknown = messages.iter().flat_map(|m| &m.fields).filter(|f| f.name == "unknown");
        assert_eq!(unknown.count(), 0, "{name}");
        let ours = ours(&messages);
        let truth = File::open(path.with_extension("pcap.truth.jsonl.gz")).expect("answer");
        let mut leaves = 0;
        for line in BufReader::new(GzDecoder::new(truth)).lines() {
            let packet: Value = serde_json::from_str(&line.expect("line")).expect("JSON");
            let number = packet["frame"].as_u64().expect("frame");
            let ours = ours.get(&number).cloned().unwrap_or_default();
            let fields = packet["fields"].as_array().expect("fields").iter();
            for leaf in fields.filter_map(leaf) {
                assert!(is_ours(&leaf, &ours), "{name} packet {number}: {leaf:?}");
                leaves += 1;
            }
        }
        assert!(leaves > 150_000, "{name}: {leaves}");
    }
}

/// Every venue's captures: what is certain is right, and every payload byte is
/// accounted for once.
#[test]
fn nothing_is_certain_and_wrong_and_no_byte_is_lost() {
    let Some(data) = common::data() else { return };
    let mut files = 0;
    for venue in folders(&data.join("exchange")) {
        for folder in folders(&venue) {
            for path in captures(&folder) {
                files += 1;
                let messages = common::explain_by(library(&data), &path, None);
                check_recognised(&folder, &path, &messages);
                check_payloads(&path, &messages);
            }
        }
    }
    assert!(files > 200, "{files} files");
}

/// What is certain to be a protocol is that one.
fn check_recognised(folder: &Path, path: &Path, messages: &[ExplainedMessage]) {
    let is = |name: &str| folder.ends_with(name);
    let named = FOLDERS.iter().find(|(name, _)| is(name)).map(|(_, protocol)| *protocol);
    // This capture holds packets of Nasdaq under another venue's name.
    let memx = folder.parent().is_some_and(|venue| venue.ends_with("Memx"));
    let mislabelled = memx && path.ends_with("StockTradingActionMessage.pcap");
    for message in messages.iter().filter(|m| m.msg_ix.is_some() && !mislabelled) {
        let certain = message.recognised >= Some(Recognised::Certain);
        let own = message.name.is_empty() || message.protocol.as_deref() == named;
        let framing = message.protocol.as_deref().is_some_and(|id| !id.contains('.'));
        assert!(!certain || own || framing, "{}: {message:#?}", path.display());
    }
}

/// The payload bytes the other dissector counts are those our fields cover.
fn check_payloads(path: &Path, messages: &[ExplainedMessage]) {
    let text = std::fs::read_to_string(path.with_extension("fields.json")).expect("answer");
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    for packet in answer["packets"].as_array().expect("packets") {
        let number = packet["frame"].as_u64().expect("frame");
        let (pos, len) = (packet["payload_pos"].as_i64(), packet["payload_len"].as_i64());
        let (Some(pos), Some(len)) = (pos, len) else { continue };
        let mut fields: Vec<(i64, i64)> = messages
            .iter()
            .filter(|message| message.packet == number)
            .flat_map(|message| &message.fields)
            .filter(|field| field.size > 0)
            .map(|field| (field.offset, i64::from(field.size)))
            .collect();
        fields.sort();
        let mut at = pos;
        for (offset, size) in fields {
            assert_eq!(offset, at, "{} packet {number}", path.display());
            at += size;
        }
        assert_eq!(at, pos + len, "{} packet {number}", path.display());
    }
}
