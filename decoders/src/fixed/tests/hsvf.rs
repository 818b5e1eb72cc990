//! Text of fixed columns and messages that grew: signs, codes of places,
//! letters for zeros, and what later revisions append behind a group.

use crate::fixed::explain::explain;
use crate::fixed::tests::rows::{Rows, decode_one, shipped};
use crate::fixed::tests::wire_bytes::WireBytes;
use crate::kind::flags;

/// A complex order's quote at BOX.
fn quote(bid: &str, bid_size: &str, ask: &str) -> Vec<u8> {
    let symbol = format!("{:<30}", "BOX_UDS");
    format!("000000007FSQ{symbol}{bid}{bid_size}{ask}00003T0000000000").into_bytes()
}

#[test]
fn a_price_has_its_sign_and_a_size_its_zeros() {
    let body = quote("-0002252", "1205C", "+0002304");
    let (cells, found) = decode_one("box.hsvf.1.9", &body, None);
    assert_eq!(
        cells,
        "quote FS bid_price=-2.25 bid_qty=120500 ask_price=0.023 ask_qty=3 msg_name=complex_order_quote symbol=BOX_UDS status=T"
    );
    assert_eq!(found, 0);
    let fields = explain(&shipped("box.hsvf.1.9"), &body, None).fields;
    let size = fields.iter().find(|field| field.name == "bid_size").expect("field");
    assert_eq!(format!("{:?}", size.value), r#"Text("1205C")"#, "shown as it stands");
}

#[test]
fn a_code_of_places_may_be_negative_and_an_unknown_one_is_no_price() {
    let (cells, _) = decode_one("box.hsvf.1.9", &quote("+000225C", "00001", "+000230?"), None);
    assert!(cells.contains("bid_price=-2.25 bid_qty=1 ask_qty=3"), "{cells}");
    let (_, found) = decode_one("box.hsvf.1.9", &quote("+0002252", "00001", "+000230?"), None);
    assert_eq!(found, flags::MAYBE_BAD_STATE);
}

/// The definition of a strategy without legs, as release 1.1.24 ends it.
fn strategy() -> WireBytes {
    let head = WireBytes::code(b'9').be(2, 110).be(4, 7).text(70, "STRAT");
    let head = head.text(1, "O").text(1, "3").be(4, 1).be(4, 1).be(4, 1).be(1, 0);
    head.be(2, 1).text(1, "N").text(18, "S").text(1, "Y")
}

#[test]
fn later_revisions_go_on_behind_a_group() {
    let ice = shipped("ice.impact-mdf.1.1");
    let old = strategy().0;
    let details = ice.messages().find(|m| m.code_text == "9").expect("message");
    let crate::fixed::walk::What::Once(details) = &details.steps[2].what else { panic!() };
    let mut new = strategy().0;
    new.extend(vec![b'1'; details.size as usize]);
    assert!(ice.knows(&old, None) && ice.knows(&new, None));
    assert!(!ice.knows(&new[..new.len() - 1], None), "cut in a revision");
    let order = WireBytes::code(b'D').be(2, 41).be(4, 7).be(8, 5).be(2, 0).text(1, "1");
    let order = order.be(8, 29_550).be(4, 10).text(2, "NN").be(8, 0).be(4, 0).0;
    let mut rows = Rows::new(ice);
    rows.decode(&[(order.clone(), 0), (old, 0), (order, 0)], None, 3);
    assert!(!rows.cells(0).contains("price="), "its places are not known yet");
    assert!(rows.cells(2).contains("price=29.55 qty=10"), "{}", rows.cells(2));
    assert!(rows.cells(2).contains("symbol=STRAT"), "{}", rows.cells(2));
}
