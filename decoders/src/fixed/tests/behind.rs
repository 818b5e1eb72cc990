//! What follows the fixed part: groups and their rows, conditions, texts,
//! learned scales, clocks of two parts, digits and bits.

use std::sync::Arc;

use crate::fixed::explain::explain;
use crate::fixed::protocol::FixedProtocol;
use crate::fixed::tests::rows::{MIDNIGHT_NS, OPEN_NS, Rows};
use crate::fixed::tests::wire_bytes::WireBytes;
use crate::kind::flags;

const FILE: &str = r#"
[protocol]
id = "test.parts.1"
title = "Test"
source = "the test"
venues = []
framings = ["moldudp64"]
endian = "big"
code = { at = 0, type = "a2" }

[clock.split]
unit = "ns"
since = "epoch"
plus = { table = "second", key = "unit", value = "seconds" }

[clock.here]
unit = "ns"
since = "epoch"
plus = { field = "seconds" }

[clock.stamp]
since = "calendar"
tz = "America/New_York"

[types]
learned = { wire = "u32", scale = { table = "book", key = "book", value = "places" } }
coded = { wire = "i32", scale = { field = "denominator", enum = "denominator" } }
digits2 = { wire = "n6", scale = 2 }

[enum.denominator]
A = "1/10"
8 = "1/8"

[enum.side]
0 = "buy"
1 = "sell"

[struct.leg]
rows = true
layout = """
 0  book   u16      -> instrument_id
 2  price  learned  -> price
 6  flags  u8
 6  .side  bits(0-1)  -> side : enum.side
"""
lookup = [{ table = "book", key = "book", get = { symbol = "symbol" } }]

[struct.level]
layout = """
 0  quantity  u16  -> qty
 2  count     u8
 3  orders    struct.order[count]
"""

[struct.order]
rows = true
layout = "0 order u32 -> order_id"

[struct.grown]
length = "size"
layout = """
 0 size u8
 1 book u16
 3 name a4
"""
learn = [{ table = "book", key = "book", set = { symbol = "name" } }]

[msg.DB]
name = "book"
kind = "instrument"
size = 13
layout = """
 0  code    a2
 2  book    u16
 4  places  u8
 5  name    a8
"""
learn = [{ table = "book", key = "book", set = { symbol = "name", places = "places" } }]

[msg.TS]
name = "seconds"
kind = "clock"
size = 8
layout = """
 0  code     a2
 2  unit     u16
 4  seconds  u32
"""
learn = [{ table = "second", key = "unit", set = { seconds = "seconds" } }]

[msg.LG]
name = "legs"
kind = "trade"
size = 9
layout = """
 0  code   a2
 2  unit   u16
 4  ns     u32  -> ts_exch : clock.split
 8  count  u8
 9  legs   struct.leg[count]
 +  total  u32  -> qty_cum
"""

[msg.LV]
name = "levels"
kind = "level"
size = 2
layout = """
 0  code    a2
 2  levels  struct.level[*]
"""

[msg.CO]
name = "conditions"
kind = "quote"
size = 11
layout = """
  0  code         a2
  2  seconds      u32
  6  ns           u32    -> ts_exch : clock.here
 10  denominator  c1
  +  bid          coded  ? denominator in "A8"  -> bid_price
  +  kind         u8
  +  ask          u16    ? kind & 0x06          -> ask_qty
  +  text_len     u8
  +  text         text(text_len)                -> reason_code
"""

[msg.AS]
name = "ascii"
kind = "quote"
size = 25
layout = """
  0  code   a2
  2  price  digits2  -> price
  8  stamp  n17      -> ts_exch : clock.stamp
"""

[msg.GR]
name = "grown"
kind = "instrument"
size = 3
layout = """
 0  code   a2
 2  count  u8
 3  books  struct.grown[count]
"""
"#;

fn protocol() -> Arc<FixedProtocol> {
    Arc::new(FixedProtocol::parse("test.toml", FILE).unwrap_or_else(|fault| panic!("{fault}")))
}

fn code(code: &str) -> WireBytes {
    WireBytes::default().text(2, code)
}

fn book(number: u64, places: u64, name: &str) -> Vec<u8> {
    code("DB").be(2, number).be(1, places).text(8, name).0
}

fn decoded(messages: &[Vec<u8>]) -> Rows {
    let mut rows = Rows::new(protocol());
    let messages: Vec<_> = messages.iter().map(|body| (body.clone(), 0)).collect();
    rows.decode(&messages, None, messages.len());
    rows
}

#[test]
fn every_entry_is_a_row_with_what_encloses_it() {
    let seconds = (MIDNIGHT_NS / 1_000_000_000) as u64 + OPEN_NS / 1_000_000_000;
    let legs = code("LG").be(2, 7).be(4, 5).be(1, 3);
    let legs = legs.be(2, 1).be(4, 12_345).be(1, 0b101).be(2, 2).be(4, 7).be(1, 0);
    let legs = legs.be(2, 3).be(4, 7).be(1, 2).be(4, 99).0;
    let rows = decoded(&[
        book(1, 2, "ALFA"),
        book(2, 0, "BRVO"),
        code("TS").be(2, 7).be(4, seconds).0,
        legs.clone(),
    ]);
    let time = OPEN_NS + 5;
    let cells: Vec<String> = (3..rows.batch.len()).map(|row| rows.cells(row)).collect();
    assert_eq!(
        cells,
        [
            format!(
                "trade LG ts_exch={time} instrument_id=1 price=123.45 qty_cum=99 msg_name=legs symbol=ALFA side=sell"
            ),
            format!(
                "trade LG ts_exch={time} instrument_id=2 price=7 qty_cum=99 msg_name=legs symbol=BRVO side=buy"
            ),
            format!("trade LG ts_exch={time} instrument_id=3 qty_cum=99 msg_name=legs"),
        ]
    );
    assert_eq!(&rows.batch.entry()[3..rows.batch.len()], [0, 1, 2]);
    let flags: Vec<u32> = rows.batch.flags()[3..rows.batch.len()].to_vec();
    assert_eq!(flags, [0, 0, flags::MAYBE_BAD_STATE], "the scale of book 3 is not known");
    let paths: Vec<String> =
        explain(&protocol(), &legs, None).fields.into_iter().map(|f| f.path).collect();
    assert_eq!(paths[4..8], ["legs[0].book", "legs[0].price", "legs[0].flags", "legs[0].side"]);
    assert_eq!(paths.last().map(String::as_str), Some("total"));
}

#[test]
fn a_time_without_its_seconds_is_none() {
    let legs = code("LG").be(2, 8).be(4, 5).be(1, 0).be(4, 0).0;
    assert_eq!(decoded(&[legs]).cells(0), "trade LG qty_cum=0 msg_name=legs");
}

#[test]
fn rows_of_inner_groups_have_their_own_outer_entry() {
    let levels = code("LV").be(2, 10).be(1, 2).be(4, 1).be(4, 2).be(2, 20).be(1, 0);
    let rows = decoded(&[levels.be(2, 30).be(1, 1).be(4, 3).0]);
    let cells: Vec<String> = (0..rows.batch.len()).map(|row| rows.cells(row)).collect();
    assert_eq!(
        cells,
        [
            "level LV order_id=1 qty=10 msg_name=levels",
            "level LV order_id=2 qty=10 msg_name=levels",
            "level LV order_id=3 qty=30 msg_name=levels",
        ]
    );
}

#[test]
fn parts_are_there_as_fields_say() {
    let open = (MIDNIGHT_NS as u64 + OPEN_NS) / 1_000_000_000;
    let message = |denominator: &str| code("CO").be(4, open).be(4, 9).text(1, denominator);
    let full = message("8").be(4, -12i32 as u32 as u64).be(1, 2).be(2, 5).be(1, 3).text(3, "abc");
    let none = message("X").be(1, 1).be(1, 0);
    let rows = decoded(&[full.0.clone(), none.0.clone(), none.be(1, 0).0]);
    let time = OPEN_NS + 9;
    assert_eq!(
        rows.cells(0),
        format!(
            "quote CO ts_exch={time} bid_price=-1.5 ask_qty=5 msg_name=conditions reason_code=abc"
        )
    );
    assert_eq!(rows.cells(1), format!("quote CO ts_exch={time} msg_name=conditions"));
    assert_eq!(rows.batch.flags()[..3], [0, 0, flags::IRREGULAR]);
    assert!(protocol().knows(&full.0, None) && !protocol().knows(&full.0[..21], None));
    assert_eq!(protocol().size_of(&[&full.0[..], b"more"].concat(), None), Some(full.0.len()));
}

#[test]
fn numbers_in_digits() {
    let ascii = code("AS").text(6, "  1234").text(17, "20230110093000000").0;
    let rows = decoded(&[ascii]);
    assert_eq!(rows.cells(0), format!("quote AS ts_exch={OPEN_NS} price=12.34 msg_name=ascii"));
}

#[test]
fn entries_may_be_longer_than_known() {
    let grown = code("GR").be(1, 2).be(1, 9).be(2, 1).text(4, "ALFA").be(2, 0xFFFF);
    let grown = grown.be(1, 7).be(2, 2).text(4, "BRVO").0;
    assert!(protocol().knows(&grown, None));
    let leg =
        |number| code("LG").be(2, 0).be(4, 0).be(1, 1).be(2, number).be(4, 0).be(1, 2).be(4, 0).0;
    let rows = decoded(&[grown, leg(1), leg(2)]);
    assert!(rows.cells(1).contains("symbol=ALFA") && rows.cells(2).contains("symbol=BRVO"));
}

#[test]
fn hostile_counts_end_with_the_message() {
    let mut hostile = code("LG").be(2, 0).be(4, 0).be(1, 255).0;
    hostile.extend([0; 14]);
    let rows = decoded(std::slice::from_ref(&hostile));
    assert_eq!(rows.batch.len(), 2);
    assert_eq!(rows.batch.flags()[0] & flags::DECODE_ERROR, flags::DECODE_ERROR);
    let explained = explain(&protocol(), &hostile, None);
    assert!(explained.error.is_some_and(|error| error.contains("7 bytes from byte 23 on")));
}
