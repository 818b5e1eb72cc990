//! Whole messages, from bytes to rows, and helpers for the other tests.

#[path = "version_tests.rs"]
mod versions;

use proptest::prelude::*;

use super::decode::{FixConfig, FixDecoder};
use super::framing::{self, Scan};
use super::user::UserTags;
use crate::batch::*;
use crate::field::Value;
use crate::kind::{Action, ExecType, Kind, OrdStatus, OrdType, Side, Tif, flags};
use crate::names::{Name, Names};

/// A message with length and sum, from its body with `|` for SOH.
pub fn message(begin: &str, body: &str) -> Vec<u8> {
    let body = body.replace('|', "\x01");
    let mut msg = format!("8={begin}\x019={}\x01{body}", body.len()).into_bytes();
    let sum = framing::checksum(&msg);
    msg.extend_from_slice(format!("10={sum:03}\x01").as_bytes());
    msg
}

pub fn head() -> Head {
    Head {
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
        raw_off: Some(54),
        raw_len: 0,
        tcp_off: None,
        sender: None,
    }
}

/// A decoder with its texts and a batch.
struct Bench {
    decoder: FixDecoder,
    user: UserTags,
    names: Names,
    batch: MessageBatch,
}

impl Bench {
    fn new() -> Self {
        let mut names = Names::new();
        names.intern(b"fix.4.4");
        let (user, batch) = (UserTags::trigger(9717), MessageBatch::new());
        Self { decoder: FixDecoder::new(FixConfig::default()), user, names, batch }
    }

    fn decode(&mut self, msg: &[u8]) -> std::ops::Range<usize> {
        let first = self.batch.len();
        let sum = if framing::checksum_ok(msg) { 0 } else { flags::BAD_CHECKSUM };
        let head = Head { flags: sum, ..head() };
        let full = self.decoder.decode(msg, &head, &self.user, &mut self.batch, &mut self.names);
        assert_eq!(full, Ok(()));
        first..self.batch.len()
    }

    fn one(&mut self, begin: &str, body: &str) -> usize {
        let rows = self.decode(&message(begin, body));
        assert_eq!(rows.len(), 1, "{body}");
        rows.start
    }

    fn present(&self, row: usize, bit: u64) -> bool {
        self.batch.present()[row] & bit != 0
    }

    fn name(&self, row: usize, col: NameCol) -> Option<&str> {
        self.present(row, col.bit()).then(|| self.names.text(Name(self.batch.names(col)[row])))
    }

    fn text(&self, row: usize, col: TextCol) -> Option<&str> {
        self.batch.text(row, col).map(|bytes| std::str::from_utf8(bytes).unwrap())
    }

    fn int(&self, row: usize, col: IntCol) -> Option<u64> {
        self.present(row, col.bit()).then(|| self.batch.ints(col)[row])
    }

    /// Thousandths, which is what the tests' prices have.
    fn decimal(&self, row: usize, col: DecimalCol) -> Option<f64> {
        self.present(row, col.bit()).then(|| self.batch.decimals(col)[row] as f64 / 1e9)
    }

    fn number(&self, row: usize, col: EnumCol) -> Option<u8> {
        self.present(row, col.bit()).then(|| self.batch.enums(col)[row])
    }

    fn kind(&self, row: usize) -> Kind {
        Kind::from_number(self.batch.kind()[row]).unwrap()
    }

    fn flags(&self, row: usize) -> u32 {
        self.batch.flags()[row]
    }
}

const ORDER: &str = "35=D|49=CLIENT|50=DESK1|56=BROKER|34=12|52=20240102-09:30:00.123456|11=C-1|\
    1=ACC|453=2|448=X|447=D|452=1|448=Y|447=D|452=3|55=ALFA|54=1|60=20240102-09:30:00.123|\
    38=300|40=2|44=101.25|59=0|9717=FEED-A:88123|";

#[test]
fn an_order_fills_its_columns() {
    let mut b = Bench::new();
    let row = b.one("FIX.4.4", ORDER);
    assert_eq!(b.flags(row), 0);
    assert_eq!(b.kind(row), Kind::ReqNew);
    assert_eq!(b.names.text(Name(b.batch.msg_type()[row])), "D");
    assert_eq!(b.name(row, NameCol::MsgName), Some("NewOrderSingle"));
    assert_eq!(b.name(row, NameCol::Session), Some("CLIENT/DESK1>BROKER"));
    assert_eq!(b.int(row, IntCol::Seq), Some(12));
    assert_eq!(b.text(row, TextCol::ClOrdId), Some("C-1"));
    assert_eq!(b.name(row, NameCol::Account), Some("ACC"));
    assert_eq!(b.name(row, NameCol::Symbol), Some("ALFA"));
    assert_eq!(b.number(row, EnumCol::Side), Some(Side::Buy as u8));
    assert_eq!(b.decimal(row, DecimalCol::Price), Some(101.25));
    assert_eq!(b.decimal(row, DecimalCol::Qty), Some(300.0));
    assert_eq!(b.number(row, EnumCol::OrdType), Some(OrdType::Limit as u8));
    assert_eq!(b.number(row, EnumCol::Tif), Some(Tif::Day as u8));
    assert_eq!(b.int(row, IntCol::TriggerSeq), Some(88_123));
    let midnight = 19_724 * 86_400_000_000_000i64;
    let ns = midnight + 34_200_123_456_000;
    assert_eq!(b.batch.times(TimeCol::TsSend)[row], ns);
    assert_eq!(b.batch.times(TimeCol::TsExch)[row], ns - 456_000);
    assert!(!b.present(row, SmallCol::GapBefore.bit()), "unknown before the first");
}

#[test]
fn execution_reports_say_what_happened() {
    let cases = [
        ("FIX.4.4", "150=0|39=0|", Kind::RptAck),
        ("FIX.4.4", "150=F|39=1|", Kind::RptFill),
        ("FIX.4.2", "20=0|150=1|39=1|", Kind::RptFill),
        ("FIX.4.2", "20=0|150=2|39=2|", Kind::RptFill),
        ("FIX.4.2", "20=1|150=1|39=1|", Kind::TradeBust),
        ("FIX.4.2", "20=2|150=2|39=2|", Kind::TradeCorrect),
        ("FIX.4.2", "20=3|150=0|39=0|", Kind::RptStatus),
        ("FIX.4.0", "20=0|39=2|", Kind::RptFill),
        ("FIX.4.0", "20=0|39=4|", Kind::RptCanceled),
        ("FIX.4.4", "150=4|39=4|", Kind::RptCanceled),
        ("FIX.4.4", "150=5|39=0|", Kind::RptReplaced),
        ("FIX.4.4", "150=8|39=8|", Kind::RptReject),
        ("FIX.4.4", "150=3|39=3|", Kind::RptDone),
        ("FIX.4.4", "150=C|39=C|", Kind::RptDone),
        ("FIX.4.4", "150=A|39=A|", Kind::RptStatus),
        ("FIX.4.4", "150=6|39=6|", Kind::RptStatus),
        ("FIX.4.4", "150=E|39=E|", Kind::RptStatus),
        ("FIX.4.4", "150=I|39=1|", Kind::RptStatus),
        ("FIX.4.4", "150=D|39=1|", Kind::RptStatus),
        ("FIX.4.4", "150=G|39=1|", Kind::TradeCorrect),
        ("FIX.4.4", "150=H|39=1|", Kind::TradeBust),
    ];
    let mut b = Bench::new();
    for (begin, codes, kind) in cases {
        let row = b.one(begin, &format!("35=8|49=B|56=A|34=1|37=1000005|17=E1|{codes}"));
        assert_eq!(b.kind(row), kind, "{begin} {codes}");
    }
}

#[test]
fn a_fill_has_the_price_it_traded_at() {
    let mut b = Bench::new();
    let row = b.one(
        "FIX.4.4",
        "35=8|49=B|56=A|34=1|37=1000005|11=C-1|41=C-0|17=E1|880=77|150=F|39=1|55=ALFA|54=2|\
         38=300|44=101.25|32=100|31=101.3|151=200|14=100|6=101.3|",
    );
    assert_eq!(b.int(row, IntCol::OrderId), Some(1_000_005));
    assert_eq!(b.text(row, TextCol::OrderIdTxt), None);
    assert_eq!(b.int(row, IntCol::MatchId), Some(77));
    assert_eq!(b.text(row, TextCol::ExecId), Some("E1"));
    assert_eq!(b.text(row, TextCol::OrigClOrdId), Some("C-0"));
    assert_eq!(b.decimal(row, DecimalCol::Price), Some(101.3));
    assert_eq!(b.decimal(row, DecimalCol::Qty), Some(100.0));
    assert_eq!(b.decimal(row, DecimalCol::QtyLeaves), Some(200.0));
    assert_eq!(b.decimal(row, DecimalCol::QtyCum), Some(100.0));
    assert_eq!(b.number(row, EnumCol::ExecType), Some(ExecType::Trade as u8));
    assert_eq!(b.number(row, EnumCol::OrdStatus), Some(OrdStatus::PartiallyFilled as u8));
}

#[test]
fn an_order_id_that_is_no_canonical_number_is_text() {
    let mut b = Bench::new();
    for id in ["NONE", "007", "99999999999999999999", "A12"] {
        let row = b.one("FIX.4.4", &format!("35=8|49=B|56=A|34=1|37={id}|150=0|"));
        assert_eq!(b.int(row, IntCol::OrderId), None);
        assert_eq!(b.text(row, TextCol::OrderIdTxt), Some(id));
    }
}

#[test]
fn every_other_kind_of_message() {
    let cases = [
        ("0", Kind::Heartbeat),
        ("1", Kind::Heartbeat),
        ("2", Kind::ResendRequest),
        ("3", Kind::Reject),
        ("j", Kind::Reject),
        ("4", Kind::SequenceReset),
        ("5", Kind::Session),
        ("A", Kind::Session),
        ("9", Kind::RptCancelReject),
        ("F", Kind::ReqCancel),
        ("G", Kind::ReqReplace),
        ("q", Kind::ReqMass),
        ("R", Kind::ReqQuote),
        ("Z", Kind::ReqQuote),
        ("d", Kind::Instrument),
        ("f", Kind::Status),
        ("h", Kind::Status),
        ("B", Kind::News),
        ("AE", Kind::Trade),
        ("H", Kind::Admin),
    ];
    let mut b = Bench::new();
    for (code, kind) in cases {
        let row = b.one("FIX.4.4", &format!("35={code}|49=A|56=B|34=1|"));
        assert_eq!(b.kind(row), kind, "{code}");
        assert_eq!(b.flags(row) & flags::UNKNOWN_TYPE, 0, "{code}");
    }
    let row = b.one("FIX.4.4", "35=U9|49=A|56=B|34=1|");
    assert_ne!(b.flags(row) & flags::UNKNOWN_TYPE, 0);
}

#[test]
fn market_data_entries_are_rows() {
    let mut b = Bench::new();
    let rows = b.decode(&message(
        "FIX.4.4",
        "35=X|49=V|56=A|34=1|52=20240102-09:30:00.000|268=3|279=0|269=0|278=1|55=ALFA|270=101.2|\
         271=500|273=09:29:59.5|290=1|279=1|269=1|270=101.3|271=0|290=2|279=0|269=2|55=BRVO|270=7|271=1|1023=3|",
    ));
    assert_eq!(rows.len(), 3);
    let entries: Vec<u16> = b.batch.entry().to_vec();
    assert_eq!(entries, [0, 1, 2]);
    assert_eq!([0, 1, 2].map(|r| b.kind(r)), [Kind::Level, Kind::Level, Kind::Trade]);
    assert_eq!(b.name(1, NameCol::Symbol), Some("ALFA"), "as the entry before");
    assert_eq!(b.name(2, NameCol::Symbol), Some("BRVO"));
    assert_eq!(b.number(0, EnumCol::Side), Some(Side::Buy as u8));
    assert_eq!(b.number(1, EnumCol::Action), Some(Action::Change as u8));
    assert_eq!(b.decimal(1, DecimalCol::Price), Some(101.3));
    assert_eq!(b.batch.smalls(SmallCol::Level)[1], 2);
    assert_eq!(b.flags(0) & flags::SNAPSHOT, 0);
    let sent = b.batch.times(TimeCol::TsSend)[0];
    assert_eq!(b.batch.times(TimeCol::TsExch)[0], sent - 500_000_000, "273 on the day of 52");
}

#[test]
fn a_snapshot_is_flagged_and_an_empty_one_clears_the_book() {
    let mut b = Bench::new();
    let rows = b.decode(&message(
        "FIX.4.4",
        "35=W|49=V|56=A|34=1|55=ALFA|268=2|269=0|270=1|271=2|269=1|270=3|271=4|",
    ));
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_ne!(b.flags(row) & flags::SNAPSHOT, 0);
        assert_eq!(b.kind(row), Kind::Level);
        assert_eq!(b.name(row, NameCol::Symbol), Some("ALFA"));
    }
    let row = b.one("FIX.4.4", "35=W|49=V|56=A|34=2|55=ALFA|268=0|");
    assert_eq!(b.kind(row), Kind::BookClear);
}

#[test]
fn nested_quote_entries_and_sides_are_rows() {
    let mut b = Bench::new();
    let rows = b.decode(&message(
        "FIX.4.4",
        "35=i|49=A|56=V|34=1|117=Q1|296=2|302=S1|304=2|295=2|299=1|55=ALFA|132=1|133=2|134=10|135=20|\
         299=2|55=BRVO|132=3|133=4|302=S2|304=1|295=1|299=3|55=CHRL|132=5|133=6|",
    ));
    assert_eq!(rows.len(), 3);
    assert_eq!(b.name(2, NameCol::Symbol), Some("CHRL"));
    assert_eq!(b.decimal(1, DecimalCol::AskPrice), Some(4.0));
    assert_eq!(b.text(2, TextCol::QuoteId), Some("Q1"));
    let rows = b.decode(&message(
        "FIX.4.4",
        "35=AE|49=V|56=A|34=1|571=T1|31=9.5|32=7|55=ALFA|552=2|54=1|37=5|11=c1|1=ACC1|\
         453=1|448=P|54=2|37=6|1=ACC2|",
    ));
    assert_eq!(rows.len(), 2);
    let (buy, sell) = (rows.start, rows.start + 1);
    assert_eq!(b.int(buy, IntCol::OrderId), Some(5));
    assert_eq!(b.int(sell, IntCol::OrderId), Some(6));
    assert_eq!(b.text(sell, TextCol::ClOrdId), None, "the other side's");
    assert_eq!(b.name(sell, NameCol::Account), Some("ACC2"));
    assert_eq!(b.decimal(sell, DecimalCol::Price), Some(9.5));
}

#[test]
fn what_stands_in_a_group_is_not_the_messages_own() {
    let mut b = Bench::new();
    let row = b.one("FIX.4.4", "35=J|49=A|56=B|34=1|70=x|73=1|11=inner|38=5|54=1|55=ALFA|53=9|");
    assert_eq!(b.text(row, TextCol::ClOrdId), None);
    assert_eq!(b.name(row, NameCol::Symbol), Some("ALFA"));
    assert_eq!(b.flags(row), 0);
}

#[test]
fn irregular_messages_are_flagged_and_lose_nothing() {
    let mut b = Bench::new();
    for body in [
        "35=D|49=A|56=B|34=1|55=ALFA|55=BRVO|",
        "35=D|49=A|56=B|34=1|55=|",
        "35=D|49=A|56=B|34=1|055=ALFA|",
        "35=D|49=A|56=B|34= 1|",
        "35=D|49=A|56=B|34=1|44=1e5|",
        "35=D|49=A|56=B|34=1|44=+1|",
        "35=D|49=A|56=B|34=1|44=1.0000000001|",
        "35=D|49=A|56=B|55=ALFA|",
        "35=D|49=A|56=B|34=1|60=yesterday|",
        "35=X|49=A|56=B|34=1|268=3|279=0|270=1|279=0|270=2|",
        "35=D|49=A|56=B|34=1|95=9|96=ab|",
        "49=A|35=D|56=B|34=1|",
    ] {
        for row in b.decode(&message("FIX.4.4", body)) {
            assert_ne!(b.flags(row) & flags::IRREGULAR, 0, "{body}");
        }
    }
    let row = b.one("FIX.4.4", "35=D|49=A|56=B|34=1|44=1.0000000001|38=5|");
    assert_eq!(b.decimal(row, DecimalCol::Price), None);
    assert_eq!(b.decimal(row, DecimalCol::Qty), Some(5.0));
}

#[test]
fn sums_resends_and_gaps_are_flagged() {
    let mut b = Bench::new();
    let mut msg = message("FIX.4.4", "35=0|49=A|56=B|34=1|");
    let at = msg.len() - 2;
    msg[at] = if msg[at] == b'0' { b'1' } else { b'0' };
    let row = b.decode(&msg).start;
    assert_ne!(b.flags(row) & flags::BAD_CHECKSUM, 0);
    let row = b.one("FIX.4.4", "35=D|49=A|56=B|34=1|43=Y|");
    assert_ne!(b.flags(row) & flags::POSS_DUP, 0);
    let row = b.one("FIX.4.4", "35=D|49=A|56=B|34=5|97=Y|");
    assert_ne!(b.flags(row) & flags::POSS_DUP, 0);
    assert_eq!(b.batch.smalls(SmallCol::GapBefore)[row], 3);
}

#[test]
fn copies_of_a_message_leave_the_numbers_alone() {
    let mut b = Bench::new();
    b.one("FIX.4.4", "35=D|49=A|56=B|34=1|");
    b.one("FIX.4.4", "35=D|49=A|56=B|34=2|");
    let again = Head { flags: flags::RETRANSMIT, ..head() };
    let msg = message("FIX.4.4", "35=D|49=A|56=B|34=1|");
    b.decoder.decode(&msg, &again, &UserTags::default(), &mut b.batch, &mut b.names).unwrap();
    assert_eq!(b.flags(2), flags::RETRANSMIT);
    let row = b.one("FIX.4.4", "35=D|49=A|56=B|34=3|");
    assert_eq!((b.batch.smalls(SmallCol::GapBefore)[row], b.flags(row)), (0, 0));
}

#[test]
fn a_logon_chooses_the_version_of_what_follows() {
    let mut b = Bench::new();
    let name = |b: &mut Bench, body: &str| {
        let row = b.one("FIXT.1.1", body);
        b.name(row, NameCol::MsgName).unwrap_or_default().to_owned()
    };
    let from_42 = crate::fix::dictionary::Dictionary::of(super::dictionary::Version::Fix42);
    assert!(from_42.message(b"AE").is_none());
    assert_eq!(name(&mut b, "35=AE|49=A|56=B|34=1|"), "TradeCaptureReport", "the newest");
    b.one("FIXT.1.1", "35=A|49=A|56=B|34=2|98=0|108=30|1137=4|384=1|372=D|1130=6|");
    assert_eq!(name(&mut b, "35=AE|49=A|56=B|34=3|"), "", "FIX 4.2 has none");
    assert_eq!(name(&mut b, "35=AE|49=B|56=A|34=1|"), "", "the answer is of the same session");
    assert_eq!(name(&mut b, "35=AE|1128=6|49=A|56=B|34=4|"), "TradeCaptureReport");
    assert_eq!(name(&mut b, "35=D|49=A|56=B|34=5|"), "NewOrderSingle");
}

#[test]
fn a_full_batch_takes_nothing_and_remembers_nothing() {
    let mut b = Bench::new();
    while b.batch.room() > 1 {
        b.one("FIX.4.4", "35=0|49=A|56=B|34=1|43=Y|");
    }
    let two = message("FIX.4.4", "35=X|49=A|56=B|34=7|268=2|279=0|270=1|279=0|270=2|");
    let before = b.batch.len();
    let result = b.decoder.decode(&two, &head(), &UserTags::default(), &mut b.batch, &mut b.names);
    assert_eq!((result, b.batch.len()), (Err(Full), before));
    b.batch.clear();
    let rows = b.decode(&two);
    assert_eq!(rows.len(), 2);
    assert!(!b.present(0, SmallCol::GapBefore.bit()));
    let row = b.one("FIX.4.4", "35=0|49=A|56=B|34=8|");
    assert_eq!(b.batch.smalls(SmallCol::GapBefore)[row], 0);
}

#[test]
fn more_entries_than_a_batch_holds_are_cut_and_counted() {
    let mut b = Bench::new();
    let count = BATCH_ROWS + 5;
    let body = format!("35=W|49=A|56=B|34=1|268={count}|{}", "269=0|270=1|".repeat(count));
    let rows = b.decode(&message("FIX.4.4", &body));
    assert_eq!(rows.len(), BATCH_ROWS);
    assert_eq!(b.decoder.entries_dropped(), 5);
    assert_ne!(b.flags(BATCH_ROWS - 1) & flags::TRUNCATED, 0);
}

#[test]
fn data_are_cut_by_their_length_even_where_they_hold_a_message() {
    let inner = "8=FIX.4.4|9=5|35=8|37=INNER|10=000|";
    let body = format!("35=n|49=A|56=B|34=1|212={}|213={inner}|58=after|", inner.len());
    let msg = message("FIX.4.4", &body);
    let Scan::Message { len, .. } = framing::scan(&msg) else { panic!("no message") };
    assert_eq!(len, msg.len(), "the outer one");
    let mut b = Bench::new();
    let row = b.decode(&msg).start;
    assert_eq!((b.text(row, TextCol::OrderIdTxt), b.flags(row)), (None, 0));
    let fields = explained(&b.decoder, &msg);
    let paths: Vec<&str> = fields.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths.iter().filter(|path| **path == "MsgType").count(), 1);
    assert_eq!(paths[paths.len() - 2..], ["Text", "CheckSum"]);
    // A length that does not lead to an SOH: cut at the next one, and flagged.
    let row = b.one("FIX.4.4", "35=D|49=A|56=B|34=2|95=1|96=abc|55=ALFA|");
    assert_ne!(b.flags(row) & flags::IRREGULAR, 0);
    assert_eq!(b.name(row, NameCol::Symbol), Some("ALFA"));
}

#[test]
fn every_begin_string_is_read_and_one_of_a_venues_own_too() {
    let mut b = Bench::new();
    for begin in [
        "FIX.4.0",
        "FIX.4.1",
        "FIX.4.2",
        "FIX.4.3",
        "FIX.4.4",
        "FIX.5.0",
        "FIX.5.0SP1",
        "FIX.5.0SP2",
    ] {
        let row = b.one(begin, "35=D|49=A|56=B|34=1|55=ALFA|54=1|44=1.5|38=2|");
        assert_eq!(b.kind(row), Kind::ReqNew, "{begin}");
        assert_eq!(b.decimal(row, DecimalCol::Price), Some(1.5), "{begin}");
    }
    let own = message("FIX.VENUE", "35=D|49=A|56=B|34=1|55=ALFA|");
    assert!(matches!(framing::scan(&own), Scan::Message { len, .. } if len == own.len()));
}

#[test]
fn times_have_any_number_of_places_and_a_leap_second() {
    const SECOND: i64 = 1_704_187_800_000_000_000;
    for (text, wanted) in [
        ("20240102-09:30:00", Some(SECOND)),
        ("20240102-09:30:00.123", Some(SECOND + 123_000_000)),
        ("20240102-09:30:00.123456", Some(SECOND + 123_456_000)),
        ("20240102-09:30:00.123456789", Some(SECOND + 123_456_789)),
        // More than nanoseconds cannot be kept.
        ("20240102-09:29:60", Some(SECOND)),
        ("20241332-09:30:00", None),
    ] {
        let mut b = Bench::new();
        let rows =
            b.decode(&message("FIX.4.4", &format!("35=D|49=A|56=B|34=1|60={text}|55=ALFA|")));
        let row = rows.start;
        let found =
            b.present(row, TimeCol::TsExch.bit()).then(|| b.batch.times(TimeCol::TsExch)[row]);
        assert_eq!(found, wanted, "{text}");
        assert_eq!(b.flags(row) & flags::IRREGULAR != 0, wanted.is_none(), "{text}");
    }
}

#[test]
fn prices_are_exact_in_all_their_places() {
    let mut b = Bench::new();
    for (text, wanted) in [
        ("0.1", 100_000_000i128),
        ("-0.000000001", -1),
        ("123456789012345678.987654321", 123_456_789_012_345_678_987_654_321),
        ("00101.250", 101_250_000_000),
    ] {
        let row = b.one("FIX.4.4", &format!("35=D|49=A|56=B|34=1|44={text}|55=ALFA|"));
        assert_eq!(b.batch.decimals(DecimalCol::Price)[row], wanted, "{text}");
    }
}

#[test]
fn a_stream_joined_in_the_middle_goes_on_at_the_next_whole_message() {
    let first = message("FIX.4.4", "35=0|49=A|56=B|34=1|");
    let second = message("FIX.4.4", "35=0|49=A|56=B|34=2|");
    // A sum in the place of another one is shown, not passed over.
    let mut stream = first[7..].to_vec();
    stream.extend_from_slice(b"8=FIX.4.4\x019=99999\x01");
    stream.extend_from_slice(&second);
    let (mut at, mut found) = (0, Vec::new());
    while at < stream.len() {
        match framing::scan(&stream[at..]) {
            Scan::Message { len, .. } => {
                found.push(&stream[at..at + len]);
                at += len;
            }
            Scan::Skip(len) => at += len.max(1),
            Scan::NeedMore => at += 1,
        }
    }
    assert_eq!(found, [second.as_slice()]);
}

/// Checks that fields tile the message and gives `path=value` of each.
fn explained(decoder: &FixDecoder, msg: &[u8]) -> Vec<(String, Value)> {
    let explained = decoder.explain(msg, &UserTags::default());
    let mut at = 0;
    for field in &explained.fields {
        assert_eq!(field.offset, at, "{field:?}");
        at += field.size;
    }
    assert_eq!(at as usize, msg.len());
    explained.fields.into_iter().map(|field| (field.path, field.value)).collect()
}

#[test]
fn an_explanation_names_everything() {
    let decoder = FixDecoder::new(FixConfig::default());
    let msg = message("FIX.4.4", ORDER);
    let fields = explained(&decoder, &msg);
    let find = |path: &str| {
        let found = fields.iter().find(|(p, _)| p == path);
        found.unwrap_or_else(|| panic!("{path} in {fields:?}")).1.clone()
    };
    assert_eq!(find("BeginString"), Value::Text("FIX.4.4".into()));
    assert_eq!(find("NoPartyIDs[1].PartyID"), Value::Text("Y".into()));
    assert_eq!(find("Price"), Value::Decimal { mantissa: 10_125, scale: 2 });
    assert_eq!(find("MsgSeqNum"), Value::Int(12));
    assert_eq!(find("9717"), Value::Text("FEED-A:88123".into()));
    assert!(matches!(find("SendingTime"), Value::Time(_)));
    assert_eq!(decoder.explain(&msg, &UserTags::default()).error, None);
    assert_eq!(decoder.explain(&msg, &UserTags::default()).name, "NewOrderSingle");
}

#[test]
fn passwords_are_masked_unless_asked_for() {
    let msg = message("FIX.4.4", "35=A|49=A|56=B|34=1|553=me|554=secret|925=newer|");
    let text = |show_secrets| {
        let decoder = FixDecoder::new(FixConfig { show_secrets });
        format!("{:?}", decoder.explain(&msg, &UserTags::default()))
    };
    for secret in ["\"me\"", "secret", "newer"] {
        assert!(!text(false).contains(secret));
        assert!(text(true).contains(secret));
    }
}

#[test]
fn an_explanation_says_what_is_wrong() {
    let decoder = FixDecoder::new(FixConfig::default());
    let error = |body: &str| {
        decoder.explain(&message("FIX.4.4", body), &UserTags::default()).error.unwrap_or_default()
    };
    assert!(error("35=X|268=2|279=0|").contains("says 2 entries, found 1"));
    assert!(error("35=D|junk|").contains("no tag=value"));
    assert!(error("35=D|55=A|55=B|").contains("twice"));
    assert!(error("35=D|55=|").contains("empty"));
}

/// Messages the properties cut and bend.
fn samples() -> Vec<Vec<u8>> {
    vec![
        message("FIX.4.4", ORDER),
        message("FIX.4.4", "35=X|49=V|56=A|34=1|268=2|279=0|269=0|270=1|279=1|269=1|270=2|"),
        message("FIXT.1.1", "35=A|49=A|56=B|34=1|98=0|108=30|1137=9|384=1|372=D|1130=6|"),
        message("FIX.4.2", "35=A|49=A|56=B|34=1|95=5|96=a|b=c|58=x|"),
    ]
}

fn survives(msg: &[u8]) {
    let mut b = Bench::new();
    let _ = framing::scan(msg);
    b.decode(msg);
    explained(&b.decoder, msg);
}

#[test]
fn every_prefix_is_decoded_without_panic() {
    let mut b = Bench::new();
    for msg in samples() {
        for cut in 0..msg.len() {
            b.batch.clear();
            b.decode(&msg[..cut]);
            explained(&b.decoder, &msg[..cut]);
        }
    }
}

#[test]
fn every_bit_flip_is_decoded_without_panic() {
    let mut b = Bench::new();
    for mut msg in samples() {
        for bit in 0..msg.len() * 8 {
            msg[bit / 8] ^= 1 << (bit % 8);
            b.batch.clear();
            let _ = framing::scan(&msg);
            b.decode(&msg);
            explained(&b.decoder, &msg);
            msg[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_decoded_without_panic(msg in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(&msg);
    }

    #[test]
    fn any_fields_are_decoded_without_panic(
        fields in prop::collection::vec((prop::sample::select(
            vec![8u32, 9, 10, 35, 34, 49, 56, 268, 269, 270, 279, 552, 54, 295, 296, 453, 448, 95, 96, 553, 36, 123]),
            "[0-9A-Z.]{0,4}"), 0..60)) {
        let text: String = fields.iter().map(|(tag, value)| format!("{tag}={value}|")).collect();
        for begin in ["FIX.4.2", "FIX.4.4", "FIXT.1.1"] {
            survives(&message(begin, &format!("35=X|{text}")));
            survives(&message(begin, &format!("35=i|{text}")));
        }
    }

    #[test]
    fn messages_are_found_in_any_stream(cuts in prop::collection::vec(0usize..200, 0..20)) {
        let stream: Vec<u8> = samples().concat();
        let mut lens = Vec::new();
        let (mut at, mut end) = (0, 0);
        for step in cuts.into_iter().chain([stream.len()]) {
            end = (end + step).min(stream.len());
            loop {
                match framing::scan(&stream[at..end]) {
                    Scan::Message { len, checksum_ok } => {
                        prop_assert!(checksum_ok);
                        lens.push(len);
                        at += len;
                    }
                    Scan::Skip(n) => prop_assert!(false, "skipped {n} at {at}"),
                    Scan::NeedMore => break,
                }
                if at == end { break; }
            }
        }
        prop_assert_eq!(lens, samples().iter().map(Vec::len).collect::<Vec<_>>());
    }
}
