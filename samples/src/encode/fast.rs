//! FAST 1.1: the primitives, and the messages of the house's internal bus.
//!
//! ```text
//! datagram: sequence u32 LE | message | message | …
//! message:  presence map | template id (if it changed) | fields
//! ```
//! Every field is a row of seven-bit groups, the last with its high bit set.
//! All state is forgotten at the start of each datagram. Source: FAST 1.1,
//! sections 6.3 (operators) and 10.6 (field encoding).

/// The bus's templates, as its operators read them; [`BusDatagram`] follows
/// them operator by operator.
pub const BUS_TEMPLATES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<templates xmlns="http://www.fixprotocol.org/ns/fast/td/1.1">
  <template name="BookUpdate" id="1">
    <string name="MessageType" id="35"><constant value="X"/></string>
    <uInt32 name="MsgSeqNum" id="34"><increment/></uInt32>
    <uInt64 name="SrcSeqNum"><delta/></uInt64>
    <string name="Symbol" id="55"><copy/></string>
    <uInt32 name="MDUpdateAction" id="279"><copy/></uInt32>
    <string name="MDEntryType" id="269"><copy/></string>
    <decimal name="MDEntryPx" id="270">
      <exponent><default value="-4"/></exponent>
      <mantissa><delta/></mantissa>
    </decimal>
    <uInt32 name="MDEntrySize" id="271"/>
    <uInt32 name="NumberOfOrders" id="346" presence="optional"/>
  </template>
  <template name="BusStatus" id="2">
    <string name="MessageType" id="35"><constant value="h"/></string>
    <uInt32 name="MsgSeqNum" id="34"><increment/></uInt32>
    <string name="Text" id="58"/>
  </template>
  <template name="BusHeartbeat" id="3">
    <string name="MessageType" id="35"><constant value="0"/></string>
    <uInt32 name="MsgSeqNum" id="34"><increment/></uInt32>
  </template>
</templates>
"#;

const STOP: u8 = 0x80;

/// An unsigned integer (section 10.6.1.2).
pub fn put_uint(out: &mut Vec<u8>, value: u64) {
    let groups = (64 - value.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let bits = (value >> (7 * group)) as u8 & 0x7F;
        out.push(if group == 0 { bits | STOP } else { bits });
    }
}

/// A signed integer, two's complement, in as few groups as keep its sign
/// (section 10.6.1.1).
pub fn put_int(out: &mut Vec<u8>, value: i64) {
    let magnitude = if value < 0 { !value } else { value };
    // One more bit than the magnitude, for the sign.
    let groups = (65 - magnitude.leading_zeros()).div_ceil(7);
    for group in (0..groups).rev() {
        let bits = (i128::from(value) >> (7 * group)) as u8 & 0x7F;
        out.push(if group == 0 { bits | STOP } else { bits });
    }
}

/// An optional unsigned integer without operator: null is zero, values are
/// one higher (section 10.6.1).
pub fn put_optional_uint(out: &mut Vec<u8>, value: Option<u32>) {
    put_uint(out, value.map_or(0, |v| u64::from(v) + 1));
}

/// A mandatory ASCII string that does not start with a zero byte
/// (section 10.6.3).
pub fn put_ascii(out: &mut Vec<u8>, text: &str) {
    match text.as_bytes().split_last() {
        None => out.push(STOP),
        Some((last, rest)) => {
            out.extend_from_slice(rest);
            out.push(last | STOP);
        }
    }
}

/// A presence map: bits in field order, trailing zero groups left out
/// (section 10.5).
pub fn put_presence(out: &mut Vec<u8>, bits: &[bool]) {
    let used = bits.iter().rposition(|&bit| bit).map_or(1, |last| last + 1);
    let groups = used.div_ceil(7);
    for group in 0..groups {
        let mut byte = 0;
        for (position, &bit) in bits.iter().skip(group * 7).take(7).enumerate() {
            byte |= u8::from(bit) << (6 - position);
        }
        out.push(if group + 1 == groups { byte | STOP } else { byte });
    }
}

/// What one update of the bus says.
#[derive(Clone, Copy, Debug)]
pub struct BookUpdate<'a> {
    /// Sequence of the exchange message it comes from.
    pub source_sequence: u64,
    /// Symbol.
    pub symbol: &'a str,
    /// FIX 279: 0 new, 1 change, 2 delete.
    pub action: u32,
    /// FIX 269: `0` bid, `1` offer, `2` trade.
    pub entry_type: &'a str,
    /// Price with four implied decimals.
    pub price_e4: i64,
    /// Shares.
    pub size: u32,
    /// Orders at the price, where the source says.
    pub orders: Option<u32>,
}

/// A datagram of the bus under construction, with the dictionary it shares
/// among its messages.
#[derive(Debug)]
pub struct BusDatagram {
    bytes: Vec<u8>,
    template: Option<u32>,
    sequence: Option<u32>,
    source_sequence: u64,
    symbol: Option<String>,
    action: Option<u32>,
    entry_type: Option<String>,
    mantissa: i64,
}

impl BusDatagram {
    /// An empty datagram with its preamble.
    pub fn new(datagram_sequence: u32) -> Self {
        Self {
            bytes: datagram_sequence.to_le_bytes().to_vec(),
            template: None,
            sequence: None,
            source_sequence: 0,
            symbol: None,
            action: None,
            entry_type: None,
            mantissa: 0,
        }
    }

    /// Appends a BookUpdate.
    pub fn book_update(&mut self, sequence: u32, update: &BookUpdate<'_>) {
        let new_template = self.change_template(1);
        let new_sequence = self.change_sequence(sequence);
        let new_symbol = changed_text(&mut self.symbol, update.symbol);
        let new_action = self.action.replace(update.action) != Some(update.action);
        let new_entry_type = changed_text(&mut self.entry_type, update.entry_type);
        let out = &mut self.bytes;
        // The exponent always has its default, so its bit is 0.
        let bits = [new_template, new_sequence, new_symbol, new_action, new_entry_type, false];
        put_presence(out, &bits);
        if new_template {
            put_uint(out, 1);
        }
        if new_sequence {
            put_uint(out, u64::from(sequence));
        }
        put_int(out, update.source_sequence.wrapping_sub(self.source_sequence) as i64);
        self.source_sequence = update.source_sequence;
        if new_symbol {
            put_ascii(out, update.symbol);
        }
        if new_action {
            put_uint(out, u64::from(update.action));
        }
        if new_entry_type {
            put_ascii(out, update.entry_type);
        }
        put_int(out, update.price_e4.wrapping_sub(self.mantissa));
        self.mantissa = update.price_e4;
        put_uint(out, u64::from(update.size));
        put_optional_uint(out, update.orders);
    }

    /// Appends a BusStatus.
    pub fn status(&mut self, sequence: u32, text: &str) {
        self.start_plain(2, sequence);
        put_ascii(&mut self.bytes, text);
    }

    /// Appends a BusHeartbeat.
    pub fn heartbeat(&mut self, sequence: u32) {
        self.start_plain(3, sequence);
    }

    /// The payload of the datagram.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Presence map, template and sequence of a message with nothing else
    /// that needs a bit.
    fn start_plain(&mut self, template: u32, sequence: u32) {
        let new_template = self.change_template(template);
        let new_sequence = self.change_sequence(sequence);
        put_presence(&mut self.bytes, &[new_template, new_sequence]);
        if new_template {
            put_uint(&mut self.bytes, u64::from(template));
        }
        if new_sequence {
            put_uint(&mut self.bytes, u64::from(sequence));
        }
    }

    /// Copy operator of the template id: whether it must be sent.
    fn change_template(&mut self, template: u32) -> bool {
        self.template.replace(template) != Some(template)
    }

    /// Increment operator of MsgSeqNum: whether it must be sent.
    fn change_sequence(&mut self, sequence: u32) -> bool {
        let expected = self.sequence.map(|previous| previous.wrapping_add(1));
        self.sequence = Some(sequence);
        expected != Some(sequence)
    }
}

/// Copy operator: takes the new value, says whether it must be sent.
fn changed_text(previous: &mut Option<String>, value: &str) -> bool {
    if previous.as_deref() == Some(value) {
        return false;
    }
    *previous = Some(value.to_string());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uint(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put_uint(&mut out, value);
        out
    }

    fn int(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        put_int(&mut out, value);
        out
    }

    #[test]
    fn integers_of_the_specification() {
        // FAST 1.1 appendix 3.1: 942755 mandatory, -942755, -8193.
        assert_eq!(uint(942_755), [0x39, 0x45, 0xA3]);
        assert_eq!(int(942_755), [0x39, 0x45, 0xA3]);
        assert_eq!(int(-942_755), [0x46, 0x3A, 0xDD]);
        assert_eq!(int(-8193), [0x7F, 0x3F, 0xFF]);
        assert_eq!(int(8193), [0x00, 0x40, 0x81]);
        assert_eq!(uint(0), [0x80]);
        assert_eq!(int(0), [0x80]);
        assert_eq!(int(-1), [0xFF]);
        assert_eq!(int(64), [0x00, 0xC0]);
        assert_eq!(int(-64), [0xC0]);
        assert_eq!(uint(u64::MAX).len(), 10);
        assert_eq!(int(i64::MIN).len(), 10);
    }

    #[test]
    fn optional_is_one_higher() {
        let mut out = Vec::new();
        put_optional_uint(&mut out, None);
        put_optional_uint(&mut out, Some(0));
        put_optional_uint(&mut out, Some(942_755));
        assert_eq!(out, [0x80, 0x81, 0x39, 0x45, 0xA4]);
    }

    #[test]
    fn strings_end_with_a_stop_bit() {
        let mut out = Vec::new();
        put_ascii(&mut out, "ABC");
        put_ascii(&mut out, "");
        assert_eq!(out, [0x41, 0x42, 0xC3, 0x80]);
    }

    #[test]
    fn presence_drops_trailing_zeros() {
        let mut out = Vec::new();
        put_presence(&mut out, &[false, false]);
        put_presence(&mut out, &[true, false, true, false, false, false, false, false]);
        put_presence(&mut out, &[false, false, false, false, false, false, false, true]);
        assert_eq!(out, [0x80, 0xD0, 0x00, 0xC0]);
    }

    #[test]
    fn two_updates_share_a_dictionary() {
        let mut datagram = BusDatagram::new(0x0102);
        let first = BookUpdate {
            source_sequence: 5,
            symbol: "AB",
            action: 0,
            entry_type: "0",
            price_e4: 100,
            size: 3,
            orders: None,
        };
        datagram.book_update(9, &first);
        let second = BookUpdate { source_sequence: 6, price_e4: 99, orders: Some(1), ..first };
        datagram.book_update(10, &second);
        let expected = [
            0x02,
            0x01,
            0,
            0,           // preamble
            0b1111_1100, // template, sequence, symbol, action, type present; exponent default
            0x81,
            0x89,
            0x85,
            0x41,
            0xC2,
            0x80,
            0xB0,
            0x00,
            0xE4,
            0x83,
            0x80, // first
            0x80,
            0x81,
            0xFF,
            0x83,
            0x82, // second: nothing changed but the deltas
        ];
        assert_eq!(datagram.into_bytes(), expected);
    }

    #[test]
    fn status_and_heartbeat() {
        let mut datagram = BusDatagram::new(1);
        datagram.status(1, "OK");
        datagram.heartbeat(2);
        let expected = [1, 0, 0, 0, 0xE0, 0x82, 0x81, 0x4F, 0xCB, 0xC0, 0x83];
        assert_eq!(datagram.into_bytes(), expected);
    }
}
