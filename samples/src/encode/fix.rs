//! FIX 4.4 messages in tag=value encoding.
//!
//! ```text
//! 8=FIX.4.4 | 9=length | 35=type | 49= 56= 34= 52= | fields | 10=checksum |
//! ```
//! Each `|` is the byte 01. The length counts from after the 9 field to before
//! the 10 field; the checksum is the sum of all bytes before the 10 field
//! modulo 256, three digits. Source: FIX 4.4 volume 2, "FIX Message
//! Delivery" and "Standard Header".

use std::fmt::{Display, Write};

/// Ends every field.
pub const SOH: char = '\x01';

/// Who sends to whom.
#[derive(Clone, Debug)]
pub struct Parties {
    /// SenderCompID.
    pub sender: String,
    /// TargetCompID.
    pub target: String,
}

/// A message under construction.
#[derive(Clone, Debug)]
pub struct Fix {
    msg_type: &'static str,
    body: String,
}

impl Fix {
    /// A message of this type without fields.
    pub fn new(msg_type: &'static str) -> Self {
        Self { msg_type, body: String::with_capacity(160) }
    }

    /// The type's code.
    pub fn msg_type(&self) -> &'static str {
        self.msg_type
    }

    /// Appends a field. The value has no byte 01 in it.
    #[must_use]
    pub fn field(mut self, tag: u32, value: impl Display) -> Self {
        // Writing into a String cannot fail.
        let _ = write!(self.body, "{tag}={value}{SOH}");
        self
    }

    /// Appends a field where there is a value.
    #[must_use]
    pub fn maybe(self, tag: u32, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.field(tag, value),
            None => self,
        }
    }

    /// The bytes, with header, number and `sending_time` (a UTCTimestamp).
    pub fn encode(&self, parties: &Parties, number: u32, sending_time: &str) -> Vec<u8> {
        let Parties { sender, target } = parties;
        let body = format!(
            "35={}{SOH}49={sender}{SOH}56={target}{SOH}34={number}{SOH}52={sending_time}{SOH}{}",
            self.msg_type, self.body
        );
        let mut out = format!("8=FIX.4.4{SOH}9={}{SOH}{body}", body.len()).into_bytes();
        let sum = out.iter().fold(0u8, |sum, &b| sum.wrapping_add(b));
        out.extend_from_slice(format!("10={sum:03}{SOH}").as_bytes());
        out
    }
}

/// A price with four implied decimals as text, without trailing zeros.
pub fn price_text(price_e4: u64) -> String {
    let text = format!("{}.{:04}", price_e4 / 10_000, price_e4 % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeat_by_hand() {
        let parties = Parties { sender: "A".into(), target: "B".into() };
        let bytes = Fix::new("0").encode(&parties, 7, "20260303-14:30:00");
        // The body is 5+5+5+5+21 bytes long.
        let text = "8=FIX.4.4|9=41|35=0|49=A|56=B|34=7|52=20260303-14:30:00|";
        let sum: u32 = text.bytes().map(|b| if b == b'|' { 1 } else { u32::from(b) }).sum();
        let expected = format!("{text}10={:03}|", sum % 256).replace('|', "\x01");
        assert_eq!(bytes, expected.into_bytes());
    }

    #[test]
    fn fields_in_the_order_given() {
        let fix = Fix::new("D").field(11, "X1").maybe(1, None::<&str>).maybe(38, Some(5));
        assert_eq!(fix.body, "11=X1\x0138=5\x01");
    }

    #[test]
    fn prices_are_shortest_decimals() {
        assert_eq!(price_text(1_012_500), "101.25");
        assert_eq!(price_text(1_000_000), "100");
        assert_eq!(price_text(1), "0.0001");
    }
}
