//! Cboe BOE 2: fields that bits choose, by hand.

use crate::fixed::explain::{explain, explain_with};
use crate::fixed::tests::rows::{decode_one, shipped};
use crate::fixed::tests::wire_bytes::WireBytes;
use crate::kind::flags;

const ID: &str = "cboe.boe-options.2.10";

/// A message with its header; the length is written when it is whole.
fn boe(code: u64) -> WireBytes {
    WireBytes(vec![0xBA, 0xBA, 0, 0]).le(1, code).le(1, 0).le(4, 100)
}

fn sized(message: WireBytes) -> Vec<u8> {
    let mut body = message.0;
    let len = (body.len() as u16 - 2).to_le_bytes();
    body[2..4].copy_from_slice(&len);
    body
}

fn new_order() -> WireBytes {
    let order = boe(0x38).text(20, "ABC123").text(1, "1").le(4, 100);
    // Price; Symbol, Capacity; Account; MaturityDate, StrikePrice, PutOrCall, OpenClose.
    let bits = order.le(1, 4).le(1, 0x04).le(1, 0x41).le(1, 0x01).le(1, 0x17);
    let front = bits.le(8, 12_500).text(8, "MSFT").text(1, "C").text(16, "DefaultAcct");
    front.le(4, 20_110_319).le(8, 475_000).text(1, "1").text(1, "O")
}

#[test]
fn a_request_ends_in_the_fields_of_its_bits() {
    let body = sized(new_order());
    assert!(shipped(ID).knows(&body, None));
    let (cells, flags) = decode_one(ID, &body, None);
    assert_eq!(
        cells,
        "req.new 56 price=1.25 qty=100 msg_name=new_order symbol=MSFT account=DefaultAcct \
         cl_ord_id=ABC123 side=buy"
    );
    assert_eq!(flags, 0);
    let fields = explain(&shipped(ID), &body, None).fields;
    let names: Vec<&str> = fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(
        names[8..14],
        [
            "number_of_bitfields",
            "bitfields[0]",
            "bitfields[1]",
            "bitfields[2]",
            "bitfields[3]",
            "price",
        ]
    );
    assert_eq!(names.last(), Some(&"open_close"));
}

#[test]
fn an_unknown_bit_ends_what_is_known() {
    let mut body = sized(new_order());
    body[39] |= 0x80;
    assert!(!shipped(ID).knows(&body, None));
    let (cells, flags) = decode_one(ID, &body, None);
    assert!(cells.contains("price=1.25") && cells.contains("symbol=MSFT"), "{cells}");
    assert_eq!(flags & flags::DECODE_ERROR, flags::DECODE_ERROR);
    // The same bit with the field behind all known ones: nothing is known of it.
    body.extend([1, 2, 3]);
    let explained = explain(&shipped(ID), &body, None);
    assert_eq!(explained.fields.last().map(|field| field.name.as_str()), Some("unknown"));
    assert!(explained.error.is_some_and(|error| error.contains("bit 7 of bitfield 4")));
}

#[test]
fn an_answer_says_itself_which_fields_it_returns() {
    let head = boe(0x2C).le(8, 1_294_909_373_757_324_000).text(20, "ABC123");
    let fill = head.le(8, 28_294_005_440_239).le(4, 100).le(8, 11_900).le(4, 400);
    let fill = fill.text(1, "A").text(1, "").text(4, "BATS").le(1, 0);
    // Side, Price; Symbol: the price of the order is not that of the fill.
    let fill = fill.le(1, 2).le(1, 0x05).le(1, 0x01).text(1, "2").le(8, 12_500).text(8, "MSFT");
    let body = sized(fill);
    assert!(shipped(ID).knows(&body, None));
    let (cells, _) = decode_one(ID, &body, None);
    assert!(cells.contains("match_id=28294005440239") && cells.contains("exec_id=A1234B567"));
    assert!(cells.contains("price=1.19 qty=100 qty_leaves=400"), "{cells}");
    assert!(cells.contains("symbol=MSFT") && cells.contains("side=sell"), "{cells}");
}

#[test]
fn passwords_are_shown_only_to_those_who_ask() {
    let login = boe(0x37).text(4, "0001").text(4, "TEST").text(10, "TESTING").le(1, 0);
    let body = sized(login);
    let said = |show| format!("{:?}", explain_with(&shipped(ID), &body, None, show));
    assert!(said(false).contains("TEST\"") && !said(false).contains("TESTING"));
    assert!(said(true).contains("TESTING"));
}
