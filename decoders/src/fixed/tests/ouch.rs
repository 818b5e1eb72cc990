//! Every OUCH 5.0 message against cells worked out by hand.

use crate::field::Value;
use crate::fixed::explain::explain;
use crate::fixed::tests::rows::{OPEN_NS, decode_one, shipped};
use crate::fixed::tests::wire_bytes::WireBytes;
use crate::kind::{Sender, flags};

const ID: &str = "nasdaq.ouch.5.0";

fn event(code: u8) -> WireBytes {
    WireBytes::ouch_event(code, OPEN_NS, 991)
}

fn expect(message: WireBytes, sender: Sender, cells: &str) {
    let body = message.0;
    let protocol = shipped(ID);
    assert!(protocol.knows(&body, Some(sender)), "{}", char::from(body[0]));
    assert!(protocol.knows(&body, None), "{}", char::from(body[0]));
    for sender in [Some(sender), None] {
        let (found, flags) = decode_one(ID, &body, sender);
        assert_eq!(found, cells.replace('@', &format!("ts_exch={OPEN_NS}")));
        assert_eq!(flags, 0);
    }
}

fn enter() -> WireBytes {
    let head = WireBytes::code(b'O').be(4, 991).text(1, "T").be(4, 300).text(8, "ALFA");
    let head = head.be(8, 1_012_500).text(1, "3").text(1, "Y").text(1, "P");
    head.text(1, "N").text(1, "N").text(14, "TOKEN-1")
}

#[test]
fn requests() {
    let client = Sender::Client;
    let entered = "req.new O price=101.25 qty=300 msg_name=enter_order symbol=ALFA\
         FIRM order_id_txt=TOKEN-1 cl_ord_id=991 side=sell_short tif=ioc";
    expect(enter().appendage(&[]), client, &entered.replace("FIRM", ""));
    let firm = enter().appendage(&[(2, b"MLRO"), (28, &[3])]);
    expect(firm, client, &entered.replace("FIRM", " participant=MLRO"));
    let replace = WireBytes::code(b'U').be(4, 991).be(4, 992).be(4, 200).be(8, 0x7FFF_FFFF);
    let replace = replace.text(1, "0").text(1, "N").text(1, "N").text(14, "TOKEN-2");
    expect(
        replace.appendage(&[(5, &[0, 0, 0, 100])]),
        client,
        "req.replace U qty=200 msg_name=replace_order order_id_txt=TOKEN-2 cl_ord_id=992 \
         orig_cl_ord_id=991 tif=day",
    );
    let cancel = || WireBytes::code(b'X').be(4, 991).be(4, 0);
    let canceled = "req.cancel X qty=0 msg_name=cancel_order cl_ord_id=991";
    expect(cancel(), client, canceled);
    expect(cancel().appendage(&[(28, &[1])]), client, canceled);
    expect(
        WireBytes::code(b'M').be(4, 991).text(1, "E").be(4, 10),
        client,
        "req.replace M qty=10 msg_name=modify_order cl_ord_id=991 side=sell_short_exempt",
    );
    expect(
        WireBytes::code(b'C').be(4, 7).text(4, "MLRO").text(8, "ALFA").appendage(&[(27, b"B")]),
        client,
        "req.mass C msg_name=mass_cancel symbol=ALFA participant=MLRO cl_ord_id=7",
    );
    for (code, name) in [(b'D', "disable_order_entry"), (b'E', "enable_order_entry")] {
        let cells =
            format!("req.mass {} msg_name={name} participant=MLRO cl_ord_id=7", char::from(code));
        expect(WireBytes::code(code).be(4, 7).text(4, "MLRO").appendage(&[]), client, &cells);
    }
    expect(WireBytes::code(b'Q'), client, "admin Q msg_name=account_query");
}

#[test]
fn acknowledgements() {
    let accepted = |state| {
        let head = event(b'A').text(1, "B").be(4, 300).text(8, "ALFA").be(8, 1_012_500);
        let head = head.text(1, "5").text(1, "Y").be(8, 1_000_005).text(1, "A").text(1, "N");
        head.text(1, "O").text(1, state).text(14, "TOKEN-1").appendage(&[(2, b"MLRO"), (18, b"0")])
    };
    let cells = "rpt.ack A @ order_id=1000005 price=101.25 qty=300 msg_name=order_accepted \
         symbol=ALFA participant=MLRO trade_type=opening_cross order_id_txt=TOKEN-1 \
         cl_ord_id=991 side=buy tif=gtx ord_status=STATE exec_type=new";
    expect(accepted("L"), Sender::Server, &cells.replace("STATE", "new"));
    expect(accepted("D"), Sender::Server, &cells.replace("STATE", "canceled"));
    let replaced = WireBytes::code(b'U').be(8, OPEN_NS).be(4, 991).be(4, 992).text(1, "S");
    let replaced = replaced.be(4, 200).text(8, "ALFA").be(8, 10_000).text(1, "0").text(1, "Y");
    let replaced = replaced.be(8, 6).text(1, "A").text(1, "N").text(1, "N").text(1, "L");
    expect(
        replaced.text(14, "TOKEN-2").appendage(&[]),
        Sender::Server,
        "rpt.replaced U @ order_id=6 price=1 qty=200 msg_name=order_replaced symbol=ALFA \
         order_id_txt=TOKEN-2 cl_ord_id=992 orig_cl_ord_id=991 side=sell tif=day \
         ord_status=replaced exec_type=replaced",
    );
    expect(
        event(b'M').text(1, "E").be(4, 10),
        Sender::Server,
        "rpt.replaced M @ qty=10 msg_name=order_modified cl_ord_id=991 side=sell_short_exempt \
         exec_type=replaced",
    );
}

#[test]
fn ends_and_executions() {
    let server = Sender::Server;
    let canceled = || event(b'C').be(4, 50).text(1, "U");
    let cells = "rpt.canceled C @ qty_delta=50 msg_name=order_canceled reason_code=U \
         cl_ord_id=991 exec_type=canceled";
    expect(canceled(), server, cells);
    expect(canceled().appendage(&[(28, &[1])]), server, cells);
    expect(
        event(b'D').be(4, 50).text(1, "Q").be(4, 60).be(8, 10_000).text(1, "A").text(1, "*"),
        server,
        "rpt.canceled D @ qty_delta=50 msg_name=aiq_canceled reason_code=Q cl_ord_id=991 \
         exec_type=canceled",
    );
    expect(
        event(b'E').be(4, 100).be(8, 1_012_500).text(1, "R").be(8, 900).appendage(&[]),
        server,
        "rpt.fill E @ match_id=900 price=101.25 qty=100 msg_name=order_executed \
         trade_type=R cl_ord_id=991 exec_type=trade",
    );
    expect(
        event(b'B').be(8, 900).text(1, "E").text(14, "TOKEN-1"),
        server,
        "trade.bust B @ match_id=900 msg_name=broken_trade reason_code=E order_id_txt=TOKEN-1 \
         cl_ord_id=991 exec_type=trade_cancel",
    );
    expect(
        event(b'J').be(2, 0x13).text(14, "TOKEN-1"),
        server,
        "rpt.reject J @ msg_name=rejected reason_code=19 order_id_txt=TOKEN-1 cl_ord_id=991 \
         ord_status=rejected exec_type=rejected",
    );
    expect(event(b'I'), server, "rpt.cancel_reject I @ msg_name=cancel_reject cl_ord_id=991");
}

#[test]
fn states_and_administration() {
    let server = Sender::Server;
    expect(
        WireBytes::code(b'S').be(8, OPEN_NS).text(1, "S"),
        server,
        "session S @ msg_name=system_event status=start_of_day",
    );
    expect(
        event(b'P'),
        server,
        "rpt.status P @ msg_name=cancel_pending cl_ord_id=991 ord_status=pending_cancel \
         exec_type=pending_cancel",
    );
    expect(
        event(b'T').be(8, 10_000).text(1, "Y").be(8, 7),
        server,
        "rpt.status T @ order_id=7 price=1 msg_name=order_priority_update cl_ord_id=991 \
         exec_type=restated",
    );
    let displayed =
        [(1u8, &8u64.to_be_bytes()[..]), (22, &[0, 0, 0, 100]), (23, &10_000u64.to_be_bytes())];
    expect(
        event(b'R').text(1, "R").appendage(&displayed),
        server,
        "rpt.status R @ order_id=8 price=1 qty=100 msg_name=order_restated reason_code=R \
         cl_ord_id=991 exec_type=restated",
    );
    expect(
        event(b'X').text(4, "MLRO").text(8, "").appendage(&[]),
        server,
        "rpt.status X @ msg_name=mass_cancel_response participant=MLRO cl_ord_id=991",
    );
    for (code, name) in
        [(b'G', "disable_order_entry_response"), (b'K', "enable_order_entry_response")]
    {
        let cells = format!(
            "rpt.status {} @ msg_name={name} participant=MLRO cl_ord_id=991",
            char::from(code)
        );
        expect(event(code).text(4, "MLRO").appendage(&[]), server, &cells);
    }
    expect(event(b'Q'), server, "admin Q @ msg_name=account_query_response");
}

#[test]
fn the_same_code_is_another_message_from_the_other_end() {
    let (cells, found) = decode_one(ID, &event(b'E').0, Some(Sender::Client));
    assert!(cells.starts_with("req.mass E"), "{cells}");
    assert_eq!(found, flags::IRREGULAR);
}

#[test]
fn elements_are_explained_one_by_one() {
    let body = enter().appendage(&[(2, b"MLRO"), (200, b"??"), (28, &[3])]).0;
    let explained = explain(&shipped(ID), &body, Some(Sender::Client));
    assert_eq!(explained.error, None);
    let paths: Vec<_> =
        explained.fields.iter().skip(13).map(|f| (f.path.as_str(), f.offset)).collect();
    assert_eq!(
        paths,
        [
            ("appendage[0].length", 47),
            ("appendage[0].tag", 48),
            ("appendage[0].firm", 49),
            ("appendage[1].length", 53),
            ("appendage[1].tag", 54),
            ("unknown", 55),
            ("appendage[2].length", 57),
            ("appendage[2].tag", 58),
            ("appendage[2].user_ref_idx", 59),
        ]
    );
    assert_eq!(explained.fields[5].name, "price");
    assert_eq!(explained.fields[5].value, Value::Decimal { mantissa: 1_012_500, scale: 4 });
}

#[test]
fn a_cut_list_keeps_its_whole_elements() {
    let body = enter().appendage(&[(2, b"MLRO"), (28, &[3])]).0;
    let (cells, found) = decode_one(ID, &body[..body.len() - 1], Some(Sender::Client));
    assert!(cells.contains("participant=MLRO"), "{cells}");
    assert_eq!(found & flags::DECODE_ERROR, flags::DECODE_ERROR);
}
