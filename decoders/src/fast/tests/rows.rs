//! What becomes of a message in the columns.

use super::*;
use crate::batch::{DecimalCol, EnumCol, IntCol, NameCol, SmallCol, TextCol, TimeCol};
use crate::kind::{Action, Kind, Side, flags};

const BOOK: &str = "
    <string name=\"MessageType\" id=\"35\"><constant value=\"X\"/></string>
    <uInt32 name=\"MsgSeqNum\" id=\"34\"/>
    <uInt64 name=\"SendingTime\" id=\"52\"/>
    <sequence name=\"Legs\"><length/><string name=\"LegNote\"/></sequence>
    <sequence name=\"MDEntries\"><length name=\"NoMDEntries\" id=\"268\"/>
      <uInt32 name=\"MDUpdateAction\" id=\"279\"><copy/></uInt32>
      <string name=\"MDEntryType\" id=\"269\"><copy/></string>
      <uInt32 name=\"SecurityID\" id=\"48\"><copy/></uInt32>
      <string name=\"Symbol\" id=\"55\" presence=\"optional\"><copy/></string>
      <uInt32 name=\"RptSeq\" id=\"83\"><increment/></uInt32>
      <uInt32 name=\"MDPriceLevel\" id=\"1023\" presence=\"optional\"><default/></uInt32>
      <decimal name=\"MDEntryPx\" id=\"270\"><exponent><default value=\"-2\"/></exponent><mantissa><delta/></mantissa></decimal>
      <int32 name=\"MDEntrySize\" id=\"271\"><delta/></int32>
    </sequence>
    <string name=\"Status\" id=\"326\" presence=\"optional\"/>";

#[test]
fn a_row_an_entry_with_the_message_s_own_fields_in_each() {
    let templates = template(BOOK);
    let mut decoder = FastDecoder::new(templates, ResetPolicy::Message);
    let (mut batch, mut names) = (MessageBatch::new(), Names::new());
    names.intern(b"test");
    let mut bytes = hex("c081 85");
    bytes.extend(stop_bits(20_240_315_133_000_123));
    bytes.extend(hex("80 82"));
    // Bits: all but the exponent's; then only the entry type's.
    bytes.extend(hex("fe 80 b0 01c8 41c2 89 82 004ed5 8a"));
    bytes.extend(hex("a0 b1 ff 83"));
    bytes.extend(hex("43cc"));
    let len = decoder.decode(&bytes, &head(), &mut batch, &mut names).unwrap();
    assert_eq!(len, bytes.len());
    assert_eq!(batch.len(), 2);
    assert_eq!(batch.entry(), [0, 1]);
    assert_eq!(batch.raw_len(), [len as u32; 2]);
    assert_eq!(batch.kind(), [Kind::Level as u8; 2]);
    assert_eq!(batch.ints(IntCol::Seq), [5, 5]);
    assert_eq!(batch.enums(EnumCol::SeqUnit), [SeqUnit::Message as u8; 2]);
    assert_eq!(batch.times(TimeCol::TsSend), [1_710_509_400_123_000_000; 2]);
    assert_eq!(batch.ints(IntCol::InstrumentId), [200, 200]);
    assert_eq!(batch.ints(IntCol::InstrumentSeq), [9, 10]);
    assert_eq!(batch.smalls(SmallCol::Level)[0], 1);
    assert_eq!(batch.present()[1] & SmallCol::Level.bit(), 0);
    assert_eq!(batch.decimals(DecimalCol::Price), [100_690_000_000, 100_680_000_000]);
    assert_eq!(batch.decimals(DecimalCol::Qty), [10_000_000_000, 13_000_000_000]);
    assert_eq!(batch.enums(EnumCol::Side), [Side::Buy as u8, Side::Sell as u8]);
    assert_eq!(batch.enums(EnumCol::Action), [Action::New as u8; 2]);
    let name = |col, row: usize| names.text(Name(batch.names(col)[row]));
    assert_eq!((name(NameCol::Symbol, 0), name(NameCol::Symbol, 1)), ("AB", "AB"));
    assert_eq!(name(NameCol::MsgName, 1), "T");
    assert_eq!((name(NameCol::Status, 0), name(NameCol::Status, 1)), ("CL", "CL"));
    assert_eq!(names.text(Name(batch.msg_type()[1])), "X");
}

/// Columns of a single message of one template.
fn row(instructions: &str, bytes: &str) -> (MessageBatch, Names) {
    let mut decoder = FastDecoder::new(template(instructions), ResetPolicy::Message);
    let (mut batch, mut names) = (MessageBatch::new(), Names::new());
    names.intern(b"test");
    decoder.decode(&hex(bytes), &head(), &mut batch, &mut names).unwrap();
    (batch, names)
}

#[test]
fn a_message_without_sequence_by_names_alone() {
    let (batch, names) = row(
        "<uInt32 name=\"SeqNum\"/><uInt64 name=\"SrcSeqNum\"/><string name=\"symbol\"/>
         <string name=\"SIDE\"/><decimal name=\"Price\"/><uInt32 name=\"Qty\"/><uInt64 name=\"OrderID\"/>",
        "c081 81 82 41cc c2 fe 83 84 85",
    );
    assert_eq!(batch.len(), 1);
    assert_eq!(batch.ints(IntCol::Seq), [1]);
    assert_eq!(batch.ints(IntCol::TriggerSeq), [2]);
    assert_eq!(names.text(Name(batch.names(NameCol::Symbol)[0])), "AL");
    assert_eq!(batch.enums(EnumCol::Side), [Side::Buy as u8]);
    assert_eq!(batch.decimals(DecimalCol::Price), [30_000_000]);
    assert_eq!(batch.decimals(DecimalCol::Qty), [4_000_000_000]);
    assert_eq!(batch.ints(IntCol::OrderId), [5]);
    assert_eq!(names.text(Name(batch.msg_type()[0])), "1");
}

#[test]
fn of_two_fields_with_one_meaning_the_entry_s_own_fills_the_column() {
    let (batch, _) = row(
        "<uInt32 name=\"MsgSeqNum\" id=\"34\"/>
         <sequence name=\"E\"><decimal name=\"Price\" id=\"44\" presence=\"optional\"/>
           <decimal name=\"MDEntryPx\" id=\"270\"/><int64 name=\"MDEntryID\" id=\"278\"/>
           <int64 name=\"OrderID\" id=\"37\"/></sequence>",
        "c081 81 81 8189 8084 85 86",
    );
    assert_eq!(batch.decimals(DecimalCol::Price), [4_000_000_000]);
    assert_eq!(batch.ints(IntCol::OrderId), [6]);
}

#[test]
fn kinds_are_those_of_fix() {
    let fields = "<string name=\"MDEntryType\"/><uInt32 name=\"MDUpdateAction\"/>
                  <uInt64 name=\"OrderID\" presence=\"optional\"/>";
    let kind = |bytes: &str| Kind::from_number(row(fields, bytes).0.kind()[0]).unwrap();
    assert_eq!(kind("c081 b0 80 80"), Kind::Level);
    assert_eq!(kind("c081 b0 80 85"), Kind::OrderAdd);
    assert_eq!(kind("c081 b1 81 85"), Kind::OrderModify);
    assert_eq!(kind("c081 b1 82 85"), Kind::OrderDelete);
    assert_eq!(kind("c081 b2 80 80"), Kind::Trade);
    assert_eq!(kind("c081 b2 82 80"), Kind::TradeBust);
    assert_eq!(kind("c081 ca 80 80"), Kind::BookClear);
    assert_eq!(kind("c081 b7 80 80"), Kind::Statistics);
    let heartbeat = "<string name=\"MsgType\"><constant value=\"0\"/></string>";
    assert_eq!(row(heartbeat, "c081").0.kind(), [Kind::Heartbeat as u8]);
    let snapshot = "<string name=\"MsgType\"><constant value=\"W\"/></string>
                    <sequence name=\"E\"><string name=\"MDEntryType\"/></sequence>";
    let (batch, _) = row(snapshot, "c081 81 b0");
    assert_eq!(batch.kind(), [Kind::Level as u8]);
    assert_ne!(batch.flags()[0] & flags::SNAPSHOT, 0);
}

#[test]
fn the_head_s_sequence_stands_where_the_message_has_none() {
    let (batch, _) = row("<string name=\"Symbol\"/>", "c081 c1");
    assert_eq!(batch.ints(IntCol::Seq), [7]);
    assert_eq!(batch.enums(EnumCol::SeqUnit), [SeqUnit::Packet as u8]);
}

#[test]
fn an_empty_main_sequence_still_gives_a_row() {
    let fields =
        "<uInt32 name=\"MsgSeqNum\"/><sequence name=\"E\"><decimal name=\"Price\"/></sequence>";
    let (batch, _) = row(fields, "c081 89 80");
    assert_eq!((batch.len(), batch.ints(IntCol::Seq)[0]), (1, 9));
}

#[test]
fn text_order_ids_stay_text_and_inexact_prices_are_null() {
    let fields = "<string name=\"OrderID\"/><decimal name=\"Price\"/>";
    let (batch, _) = row(fields, "c081 4fb1 f281"); // O1, 1e-14
    assert_eq!(batch.text(0, TextCol::OrderIdTxt), Some(&b"O1"[..]));
    assert_eq!(batch.present()[0] & IntCol::OrderId.bit(), 0);
    assert_eq!(batch.present()[0] & DecimalCol::Price.bit(), 0);
    assert_ne!(batch.flags()[0] & flags::IRREGULAR, 0);
    let (batch, _) = row(fields, "c081 31b2 fe81");
    assert_eq!(batch.ints(IntCol::OrderId), [12]);
}

#[test]
fn after_an_error_rows_are_marked_until_a_reset() {
    let templates = templates(
        "<template name=\"T\" id=\"1\"><uInt32 name=\"MsgSeqNum\"/></template>
         <template name=\"R\" id=\"2\" reset=\"Y\"/>",
    );
    let mut decoder = FastDecoder::new(templates, ResetPolicy::Never);
    let (mut batch, mut names) = (MessageBatch::new(), Names::new());
    names.intern(b"test");
    let mut decode = |bytes: &str| {
        let result = decoder.decode(&hex(bytes), &head(), &mut batch, &mut names);
        let flags = batch.flags().last().copied().unwrap_or(0);
        result.map(|_| flags & flags::MAYBE_BAD_STATE != 0)
    };
    assert_eq!(decode("c08185"), Ok(false));
    assert!(decode("c081").is_err());
    assert_eq!(decode("c08186"), Ok(true));
    assert_eq!(decode("c082"), Ok(false));
    assert_eq!(decode("c08187"), Ok(false));
}

#[test]
fn a_full_batch_is_refused_before_anything_is_read() {
    let templates = template("<uInt32 name=\"MsgSeqNum\"><increment value=\"1\"/></uInt32>");
    let mut decoder = FastDecoder::new(templates, ResetPolicy::Never);
    let (mut batch, mut names) = (MessageBatch::new(), Names::new());
    names.intern(b"test");
    let message = hex("c081");
    let mut expected = 1;
    for _ in 0..20_000 {
        match decoder.decode(&message, &head(), &mut batch, &mut names) {
            Err(FastError::Full) => batch.clear(),
            result => {
                assert_eq!(result, Ok(2));
                assert_eq!(batch.ints(IntCol::Seq).last(), Some(&expected));
                expected += 1;
            }
        }
    }
    assert!(expected > 19_900);
}
