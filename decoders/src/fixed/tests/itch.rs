//! Every TotalView-ITCH 5.0 message against cells worked out by hand.

use crate::fixed::explain::explain;
use crate::fixed::tests::rows::{OPEN_NS, decode_one, shipped};
use crate::fixed::tests::wire_bytes::WireBytes;
use crate::kind::flags;

const ID: &str = "nasdaq.totalview-itch.5.0";

fn itch(code: u8) -> WireBytes {
    WireBytes::itch(code, 77, OPEN_NS)
}

/// Decodes a message, which must be known to the byte, and compares cells.
fn expect(message: WireBytes, cells: &str) {
    let body = message.0;
    assert!(shipped(ID).knows(&body, None), "{}", char::from(body[0]));
    let (found, flags) = decode_one(ID, &body, None);
    let time = format!("ts_exch={OPEN_NS} instrument_id=77");
    assert_eq!(found, cells.replace("@", &time));
    assert_eq!(flags, 0);
}

/// The same with the head columns `@` right after kind and code.
#[test]
fn orders() {
    let add = |code| itch(code).be(8, 1_000_005).text(1, "B").be(4, 300).text(8, "ALFA");
    expect(
        add(b'A').be(4, 1_002_500),
        "order.add A ts_exch=34200000000000 order_id=1000005 instrument_id=77 price=100.25 \
         qty=300 msg_name=add_order symbol=ALFA side=buy",
    );
    expect(
        add(b'F').be(4, 1_002_500).text(4, "VIRT"),
        "order.add F ts_exch=34200000000000 order_id=1000005 instrument_id=77 price=100.25 \
         qty=300 msg_name=add_order_mpid_attribution symbol=ALFA participant=VIRT side=buy",
    );
    expect(
        itch(b'U').be(8, 5).be(8, 6).be(4, 200).be(4, 1),
        "order.replace U ts_exch=34200000000000 order_id=6 orig_order_id=5 instrument_id=77 \
         price=0.0001 qty=200 msg_name=order_replace",
    );
    expect(
        itch(b'X').be(8, 5).be(4, 50),
        "order.reduce X ts_exch=34200000000000 order_id=5 instrument_id=77 qty=50 \
         msg_name=order_cancel",
    );
    expect(
        itch(b'D').be(8, 5),
        "order.delete D ts_exch=34200000000000 order_id=5 instrument_id=77 msg_name=order_delete",
    );
}

#[test]
fn executions_and_trades() {
    expect(
        itch(b'E').be(8, 5).be(4, 100).be(8, 900),
        "order.fill E ts_exch=34200000000000 order_id=5 match_id=900 instrument_id=77 qty=100 \
         msg_name=order_executed",
    );
    expect(
        itch(b'C').be(8, 5).be(4, 100).be(8, 900).text(1, "Y").be(4, 999_999),
        "order.fill C ts_exch=34200000000000 order_id=5 match_id=900 instrument_id=77 \
         price=99.9999 qty=100 msg_name=order_executed_with_price",
    );
    expect(
        itch(b'P').be(8, 0).text(1, "S").be(4, 7).text(8, "ALFA").be(4, 10_000).be(8, 901),
        "trade P ts_exch=34200000000000 order_id=0 match_id=901 instrument_id=77 price=1 qty=7 \
         msg_name=trade symbol=ALFA side=sell",
    );
    expect(
        itch(b'Q').be(8, 1 << 40).text(8, "ALFA").be(4, 0).be(8, 902).text(1, "O"),
        "trade.cross Q ts_exch=34200000000000 match_id=902 instrument_id=77 price=0 \
         qty=1099511627776 msg_name=cross_trade symbol=ALFA trade_type=opening_cross",
    );
    expect(
        itch(b'B').be(8, 903),
        "trade.bust B ts_exch=34200000000000 match_id=903 instrument_id=77 msg_name=broken_trade",
    );
}

#[test]
fn directory_and_status() {
    let directory = itch(b'R').text(8, "ALFA").text(1, "Q").text(1, "N").be(4, 100);
    let directory = directory.text(1, "N").text(1, "C").text(2, "Z").text(1, "P").text(1, "N");
    let directory = directory.text(1, " ").text(1, "1").text(1, "N").be(4, 0).text(1, "N");
    expect(directory, "instrument R @ msg_name=stock_directory symbol=ALFA");
    expect(
        itch(b'H').text(8, "ALFA").text(1, "P").text(1, "").text(4, "LUDP"),
        "status H @ msg_name=stock_trading_action symbol=ALFA status=paused reason_code=LUDP",
    );
    expect(
        itch(b'H').text(8, "ALFA").text(1, "V").text(1, "").text(4, ""),
        "status H @ msg_name=stock_trading_action symbol=ALFA status=V",
    );
    expect(
        itch(b'Y').text(8, "ALFA").text(1, "1"),
        "status Y @ msg_name=reg_sho_restriction symbol=ALFA status=price_test_intraday_drop",
    );
    expect(
        itch(b'L').text(4, "VIRT").text(8, "ALFA").text(1, "Y").text(1, "N").text(1, "A"),
        "status L @ msg_name=market_participant_position symbol=ALFA participant=VIRT \
         status=active",
    );
    expect(
        itch(b'K').text(8, "ALFA").be(4, 36_000).text(1, "A").be(4, 150_000),
        "status K @ price=15 msg_name=ipo_quoting_period_update symbol=ALFA status=anticipated",
    );
    expect(
        itch(b'h').text(8, "ALFA").text(1, "Q").text(1, "T"),
        "status h @ msg_name=operational_halt symbol=ALFA status=trading reason_code=Q",
    );
    expect(
        itch(b'O')
            .text(8, "ALFA")
            .text(1, "Y")
            .be(4, 1)
            .be(4, 2)
            .be(4, 30_000)
            .be(8, 4)
            .be(4, 5)
            .be(4, 6),
        "status O @ price=3 msg_name=direct_listing_price_discovery symbol=ALFA status=eligible",
    );
}

#[test]
fn market_wide_and_auctions() {
    expect(
        itch(b'S').text(1, "Q"),
        "session S @ msg_name=system_event status=start_of_market_hours",
    );
    expect(itch(b'V').be(8, 1).be(8, 2).be(8, 3), "limits V @ msg_name=mwcb_decline_level");
    expect(itch(b'W').text(1, "2"), "status W @ msg_name=mwcb_status status=level_2");
    expect(
        itch(b'J').text(8, "ALFA").be(4, 133_400).be(4, 140_100).be(4, 109_200).be(4, 0),
        "limits J @ price=13.34 msg_name=luld_auction_collar symbol=ALFA",
    );
    let imbalance = |side| {
        let paired = itch(b'I').be(8, 5_000).be(8, 1_200).text(1, side).text(8, "ALFA");
        paired.be(4, 1).be(4, 2).be(4, 20_000).text(1, "C").text(1, "L")
    };
    expect(
        imbalance("S"),
        "imbalance I @ price=2 qty=1200 msg_name=net_order_imbalance_indicator symbol=ALFA \
         trade_type=closing_cross side=sell",
    );
    expect(
        imbalance("N"),
        "imbalance I @ price=2 qty=1200 msg_name=net_order_imbalance_indicator symbol=ALFA \
         trade_type=closing_cross",
    );
    expect(
        itch(b'N').text(8, "ALFA").text(1, "A"),
        "imbalance N @ msg_name=retail_price_improvement_indicator symbol=ALFA side=both",
    );
}

#[test]
fn all_23_messages_have_their_published_sizes() {
    let sizes = [
        ("S", 12),
        ("R", 39),
        ("H", 25),
        ("Y", 20),
        ("L", 26),
        ("V", 35),
        ("W", 12),
        ("K", 28),
        ("J", 35),
        ("h", 21),
        ("A", 36),
        ("F", 40),
        ("E", 31),
        ("C", 36),
        ("X", 23),
        ("D", 19),
        ("U", 35),
        ("P", 44),
        ("Q", 40),
        ("B", 19),
        ("I", 50),
        ("N", 20),
        ("O", 48),
    ];
    let protocol = shipped(ID);
    assert_eq!(protocol.messages().count(), sizes.len());
    for (code, size) in sizes {
        let layout = protocol.messages().find(|layout| layout.code_text == code);
        assert_eq!(layout.map(|layout| layout.size), Some(size), "{code}");
    }
}

#[test]
fn unknown_short_and_long_messages_are_flagged_and_lose_nothing_else() {
    let (cells, found) = decode_one(ID, b"z123", None);
    assert_eq!((cells.as_str(), found), ("unknown z", flags::UNKNOWN_TYPE));
    let (cells, found) = decode_one(ID, b"", None);
    assert_eq!((cells.as_str(), found), ("unknown ", flags::UNKNOWN_TYPE));
    let delete = itch(b'D').be(8, 5);
    let (cells, found) = decode_one(ID, &delete.0[..18], None);
    assert_eq!(
        cells,
        "order.delete D ts_exch=34200000000000 instrument_id=77 msg_name=order_delete"
    );
    assert_eq!(found, flags::DECODE_ERROR);
    let (cells, found) = decode_one(ID, &delete.be(1, 0).0, None);
    assert!(cells.contains("order_id=5"));
    assert_eq!(found, flags::IRREGULAR);
}

/// What every message begins with is shown of an unknown one too.
#[test]
fn an_unknown_message_shows_its_head() {
    let body = itch(b'~').text(4, "what").0;
    let explained = explain(&shipped(ID), &body, None);
    let fields: Vec<(&str, u32)> =
        explained.fields.iter().map(|field| (field.name.as_str(), field.size)).collect();
    let head = [("message_type", 1), ("stock_locate", 2), ("tracking_number", 2)];
    assert_eq!(fields, [&head[..], &[("timestamp", 6), ("unknown", 4)]].concat());
    assert!(explained.error.is_some());
    let short = explain(&shipped(ID), &body[..2], None);
    assert_eq!(short.fields.iter().map(|field| field.size).collect::<Vec<_>>(), [1, 1]);
}
