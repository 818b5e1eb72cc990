//! Against the decodes of other authors: the FAST 1.1 appendix's examples and
//! 2,500 messages of the Moscow Exchange. Skipped with a word where the data
//! is not there.

use std::io::Read;
use std::path::PathBuf;

use serde_json::Value as Json;

use super::super::preamble::Preamble;
use super::*;
use crate::batch::{DecimalCol, EnumCol, IntCol, NameCol, TextCol, TimeCol};
use crate::kind::{Kind, Side};

/// A file of the test data.
pub(super) fn data(path: &str) -> Option<PathBuf> {
    let named = std::env::var_os("TAPTRAIL_DATA").map(PathBuf::from);
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let around = manifest.ancestors().map(|dir| dir.join("shared/data")).collect::<Vec<_>>();
    let found =
        named.into_iter().chain(around).map(|dir| dir.join(path)).find(|file| file.exists());
    if found.is_none() {
        println!("skipped: no {path}");
    }
    found
}

/// (path, value) of each leaf of the other decoders' answer.
fn flatten(prefix: &str, fields: &Json, out: &mut Vec<(String, Value)>) {
    for field in fields.as_array().unwrap() {
        let name = field.get("name").or(field.get("template_ref")).unwrap().as_str().unwrap();
        if let Some(inner) = field.get("group").or(field.get("fields")) {
            flatten(&format!("{prefix}{name}."), inner, out);
        } else if let Some(entries) = field.get("sequence") {
            assert_eq!(
                field["sequence_length"].as_u64(),
                entries.as_array().map(|e| e.len() as u64)
            );
            for (at, entry) in entries.as_array().unwrap().iter().enumerate() {
                flatten(&format!("{prefix}{name}[{at}]."), &entry["item"], out);
            }
        } else {
            out.push((format!("{prefix}{name}"), value(&field["value"])));
        }
    }
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::String(text) => Value::Text(text.clone()),
        Json::Number(number) => Value::Int(number.as_i128().unwrap()),
        json => match json.get("hex") {
            Some(text) => Value::Bytes(hex(text.as_str().unwrap())),
            None => {
                let part = |name: &str| json[name].as_i64().unwrap();
                decimal(part("mantissa").into(), part("exponent") as i32)
            }
        },
    }
}

/// Our fields in the same form; sequence lengths are checked apart.
fn ours(fields: &[Field], lengths: &[&str]) -> Vec<(String, Value)> {
    let skip = |field: &&Field| {
        let name = field.name.as_str();
        !["pmap", "template_id", "length"].contains(&name) && !lengths.contains(&name)
    };
    fields.iter().filter(skip).map(|field| (field.path.clone(), field.value.clone())).collect()
}

/// In this vector the two decoders disagree; by section 6.3.8 an empty
/// previous value makes an optional tail absent.
const DISPUTED: &str = "e08c80";

#[test]
fn the_vectors() {
    let Some(file) = data("fast/vectors.jsonl") else { return };
    let folder = file.parent().unwrap().to_path_buf();
    let lengths = ["NoOuterSequence", "NoInnerSequence", "NoNextOuterSequence"];
    let mut vectors = 0;
    for line in std::fs::read_to_string(&file).unwrap().lines() {
        let vector: Json = serde_json::from_str(line).unwrap();
        let template_file = vector["template_file"].as_str().unwrap();
        let xml = std::fs::read_to_string(folder.join(template_file)).unwrap();
        let templates = Arc::new(Templates::parse(template_file, &xml).unwrap());
        let mut pair = Pair::new(&templates, ResetPolicy::Never);
        let messages = vector["messages_hex"].as_array().unwrap();
        for (at, message) in messages.iter().enumerate() {
            let bytes = hex(message.as_str().unwrap());
            let result = pair.decode(&bytes);
            let Some(truth) = vector["decoded"].get(at) else {
                assert!(result.is_err(), "{line}");
                continue;
            };
            let (fields, len) = result.unwrap();
            assert_eq!(len, bytes.len());
            let mut expected = Vec::new();
            flatten("", &truth["fields"], &mut expected);
            if messages[0] == DISPUTED && at == 1 {
                expected[0].1 = Value::Null;
            }
            assert_eq!(ours(&fields, &lengths), expected, "message {at} of {line}");
        }
        vectors += 1;
    }
    assert_eq!(vectors, 37);
}

fn truths(path: &str) -> Option<Vec<Json>> {
    let file = std::fs::File::open(data(path)?).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn every_message_of_the_moscow_exchange() {
    let Some(truths) = truths("fast/moex/incremental.truth.jsonl.gz") else { return };
    let bytes = std::fs::read(data("fast/moex/incremental.dat").unwrap()).unwrap();
    let xml = std::fs::read_to_string(data("fast/moex/templates.xml").unwrap()).unwrap();
    let templates = Arc::new(Templates::parse("templates.xml", &xml).unwrap());
    let preamble = Preamble::parse(&["u32le seq"]).unwrap();
    let mut pair = Pair::new(&templates, ResetPolicy::Message);
    let mut at = 0;
    let mut messages = 0;
    for truth in &truths {
        let prefix = preamble.read(&bytes[at..]).unwrap();
        at += prefix.len;
        let first_row = if pair.batch.room() < 2000 { 0 } else { pair.batch.len() };
        let length = truth["length"].as_u64().unwrap() as usize;
        // As a datagram: the message and some bytes that are not its own.
        let datagram = &bytes[at..bytes.len().min(at + length + 9)];
        let (fields, len) = pair.decode(datagram).unwrap();
        assert_eq!((at as u64, len), (truth["offset"].as_u64().unwrap(), length));
        let mut expected = Vec::new();
        flatten("", &truth["fields"], &mut expected);
        assert_eq!(ours(&fields, &["NoMDEntries"]), expected, "message {messages}");
        assert_rows(&pair, first_row, &expected, prefix.seq.unwrap());
        at += len;
        messages += 1;
    }
    assert_eq!((messages, at), (2500, bytes.len()));
}

/// The columns say what the fields say.
fn assert_rows(pair: &Pair, first: usize, fields: &[(String, Value)], seq: u64) {
    let batch = &pair.batch;
    for row in first..batch.len() {
        let entry = format!("GroupMDEntries[{}].", row - first);
        let field = |name: &str| {
            let path = format!("{entry}{name}");
            &fields.iter().find(|(found, _)| *found == path).unwrap().1
        };
        let present = |bit: u64| batch.present()[row] & bit != 0;
        assert_eq!(batch.ints(IntCol::Seq)[row], seq);
        assert!(present(TimeCol::TsSend.bit()));
        assert_eq!(batch.kind()[row], Kind::Trade as u8);
        for (col, name) in [(DecimalCol::Price, "MDEntryPx"), (DecimalCol::Qty, "MDEntrySize")] {
            let Value::Decimal { mantissa, scale } = *field(name) else { panic!("{name}") };
            assert_eq!(batch.decimals(col)[row], mantissa * 10i128.pow((9 - scale) as u32));
        }
        let symbol = pair.names.text(Name(batch.names(NameCol::Symbol)[row]));
        assert_eq!(*field("Symbol"), text(symbol));
        let order_id = batch.ints(IntCol::OrderId)[row].to_string();
        assert_eq!(*field("MDEntryID"), text(&order_id));
        assert!(batch.text(row, TextCol::OrderIdTxt).is_none());
        let rpt_seq = batch.ints(IntCol::InstrumentSeq)[row];
        assert_eq!(*field("RptSeq"), int(rpt_seq.into()));
        let Value::Int(clock) = *field("MDEntryTime") else { panic!("MDEntryTime") };
        let exchange = chrono::DateTime::from_timestamp_nanos(batch.times(TimeCol::TsExch)[row]);
        assert_eq!(exchange.format("%-H%M%S%3f").to_string(), clock.to_string());
        let side = if *field("OrderSide") == text("B") { Side::Buy } else { Side::Sell };
        assert_eq!(batch.enums(EnumCol::Side)[row], side as u8);
    }
}

#[test]
fn further_template_files_are_read() {
    for name in [
        "forts_templates.xml",
        "spectra_templates_111220.xml",
        "asts_template_201224.xml",
        "FIX50SP2-2017-Mar.xml",
    ] {
        let Some(file) = data(&format!("fast/moex/{name}")) else { return };
        let xml = std::fs::read_to_string(file).unwrap();
        let templates = Templates::parse(name, &xml).unwrap_or_else(|error| panic!("{error}"));
        assert!(templates.list().count() > 1);
    }
}
