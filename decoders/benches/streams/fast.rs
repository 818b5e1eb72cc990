//! FAST messages of a futures exchange's shape: 7 fields and 3 entries of 19,
//! about 60 bytes. Most fields are made by operators and are not on the wire.

/// Few enough that some samples run without interruption on a busy machine.
pub const MESSAGES: usize = 256;
/// Entries of a message.
pub const ENTRIES: usize = 3;

/// The only template.
pub const TEMPLATE: &str = r#"<template name="IncrementalRefresh" id="30">
  <string name="ApplVerID" id="1128"><constant value="9"/></string>
  <string name="MessageType" id="35"><constant value="X"/></string>
  <string name="SenderCompID" id="49"><constant value="VENUE"/></string>
  <uInt32 name="MsgSeqNum" id="34"/>
  <uInt64 name="SendingTime" id="52"/>
  <string name="PossDupFlag" id="43" presence="optional"><default/></string>
  <uInt32 name="TradeDate" id="75"/>
  <sequence name="MDEntries"><length name="NoMDEntries" id="268"/>
    <uInt32 name="MDUpdateAction" id="279"><copy value="1"/></uInt32>
    <uInt32 name="MDPriceLevel" id="1023" presence="optional"><default value="1"/></uInt32>
    <string name="MDEntryType" id="269"><copy value="0"/></string>
    <uInt32 name="OpenCloseSettleFlag" id="286" presence="optional"/>
    <uInt32 name="SecurityIDSource" id="22"><constant value="8"/></uInt32>
    <uInt32 name="SecurityID" id="48"><copy/></uInt32>
    <uInt32 name="RptSeq" id="83"><increment/></uInt32>
    <decimal name="MDEntryPx" id="270">
      <exponent><default value="0"/></exponent><mantissa><delta/></mantissa>
    </decimal>
    <uInt32 name="MDEntryTime" id="273"><copy/></uInt32>
    <int32 name="MDEntrySize" id="271" presence="optional"><delta/></int32>
    <uInt32 name="NumberOfOrders" id="346" presence="optional"><delta/></uInt32>
    <string name="TradingSessionID" id="336" presence="optional"><default value="2"/></string>
    <decimal name="NetChgPrevDay" id="451" presence="optional">
      <exponent><default/></exponent><mantissa><delta/></mantissa>
    </decimal>
    <uInt32 name="TradeVolume" id="1020" presence="optional"><default/></uInt32>
    <string name="TradeCondition" id="277" presence="optional"><default/></string>
    <string name="TickDirection" id="274" presence="optional"><default/></string>
    <string name="QuoteCondition" id="276" presence="optional"><default/></string>
    <uInt32 name="AggressorSide" id="5797" presence="optional"><default/></uInt32>
    <string name="MatchEventIndicator" id="5799" presence="optional"><default value="1"/></string>
  </sequence>
</template>"#;

/// An unsigned integer in groups of seven bits.
fn put_uint(bytes: &mut Vec<u8>, value: u64) {
    let groups = value.max(1).ilog2() / 7 + 1;
    for group in (0..groups).rev() {
        bytes.push((value >> (7 * group)) as u8 & 0x7f | u8::from(group == 0) << 7);
    }
}

/// One message, all previous values undefined before it.
pub fn message(n: u64) -> Vec<u8> {
    let mut bytes = vec![0xc0, 0x80 | 30];
    put_uint(&mut bytes, 1_000_000 + n);
    put_uint(&mut bytes, 20_240_315_133_000_000 + n % 1000);
    put_uint(&mut bytes, 20_240_315);
    put_uint(&mut bytes, ENTRIES as u64);
    for entry in 0..ENTRIES as u64 {
        put_entry(&mut bytes, n, entry);
    }
    bytes
}

/// An entry; the first brings the values the others copy, the second another
/// entry type, the third another level.
fn put_entry(bytes: &mut Vec<u8>, n: u64, entry: u64) {
    // Bits: action, level, type, security, report number, exponent, time.
    bytes.push(0x80 | [0b000_1101, 0b001_0000, 0b010_0000][entry as usize]);
    match entry {
        0 => bytes.push(0x80),
        1 => bytes.extend([0xb1, 0x80]),
        _ => bytes.extend([0x83, 0x80]),
    }
    if entry == 0 {
        put_uint(bytes, 10_000 + n % 500);
        put_uint(bytes, 70_000 + n);
    }
    bytes.extend([0x00, 0x4e, 0xd5]);
    if entry == 0 {
        put_uint(bytes, 133_000_000 + n % 1000);
    }
    bytes.extend([0x85 + (n % 8) as u8, 0x83]);
}
