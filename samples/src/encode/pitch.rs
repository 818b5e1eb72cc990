//! Cboe PITCH 2.41 messages of US equities.
//!
//! ```text
//! 0 length u8 | 1 type u8 | 2 nanoseconds after the last Time message u32 | 6 by type
//! ```
//! Long prices are u64 with four implied decimals, short ones u16 with two. A
//! message has a short form for what fits it; one with a symbol of more than
//! six letters has only the expanded form. Equities send no trade condition.
//! Little-endian. Source: Cboe US Equities/Options Multicast Depth of Book
//! (PITCH) 2.41.66, "Data Types" and tables 8 to 28.

use crate::encode::put_alpha;

/// Add flags: bit 0 is reserved and set.
const ADD_FLAGS: u8 = 1;
/// Modify flags: bit 0, displayed; bit 1 (priority kept) is not set.
const MODIFY_FLAGS: u8 = 1;
/// Symbols longer than this need the expanded forms.
const SYMBOL_SHORT: usize = 6;
/// Four implied decimals are so many times two.
const E4_OF_E2: u32 = 100;

/// A message. Field names are those of the specification.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Pitch {
    Time {
        /// Since midnight in New York.
        seconds: u32,
    },
    UnitClear,
    TradingStatus {
        symbol: &'static str,
        status: u8,
        reg_sho: u8,
    },
    Add {
        order_id: u64,
        side: u8,
        quantity: u32,
        symbol: &'static str,
        price_e4: u32,
        /// Sent in the expanded form only.
        participant: Option<&'static str>,
    },
    Executed {
        order_id: u64,
        quantity: u32,
        execution_id: u64,
    },
    ExecutedAtPrice {
        order_id: u64,
        quantity: u32,
        remaining: u32,
        execution_id: u64,
        price_e4: u32,
    },
    ReduceSize {
        order_id: u64,
        canceled: u32,
    },
    Modify {
        order_id: u64,
        quantity: u32,
        price_e4: u32,
    },
    Delete {
        order_id: u64,
    },
    /// Of an order nobody sees.
    Trade {
        order_id: u64,
        quantity: u32,
        symbol: &'static str,
        price_e4: u32,
        execution_id: u64,
    },
    TradeBreak {
        execution_id: u64,
    },
    EndOfSession,
}

/// Which of its forms a message takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Short,
    Long,
    Expanded,
}

impl Form {
    /// Of a message with these fields.
    fn of(quantity: u32, price_e4: u32, symbol: &str) -> Self {
        let quantity_fits = u16::try_from(quantity).is_ok();
        let price_fits =
            price_e4.is_multiple_of(E4_OF_E2) && u16::try_from(price_e4 / E4_OF_E2).is_ok();
        match (symbol.len() > SYMBOL_SHORT, quantity_fits && price_fits) {
            (true, _) => Self::Expanded,
            (false, true) => Self::Short,
            (false, false) => Self::Long,
        }
    }

    fn pick(self, short: u8, long: u8, expanded: u8) -> u8 {
        match self {
            Self::Short => short,
            Self::Long => long,
            Self::Expanded => expanded,
        }
    }
}

impl Pitch {
    /// The message type code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Time { .. } => 0x20,
            Self::Add { .. } => self.form().pick(0x22, 0x21, 0x2F),
            Self::Executed { .. } => 0x23,
            Self::ExecutedAtPrice { .. } => 0x24,
            Self::ReduceSize { .. } => self.form().pick(0x26, 0x25, 0x25),
            Self::Modify { .. } => self.form().pick(0x28, 0x27, 0x27),
            Self::Delete { .. } => 0x29,
            Self::Trade { .. } => self.form().pick(0x2B, 0x2A, 0x30),
            Self::TradeBreak { .. } => 0x2C,
            Self::EndOfSession => 0x2D,
            Self::TradingStatus { .. } => 0x31,
            Self::UnitClear => 0x97,
        }
    }

    fn form(&self) -> Form {
        match *self {
            Self::Add { participant: Some(_), .. } => Form::Expanded,
            Self::Add { quantity, price_e4, symbol, .. }
            | Self::Trade { quantity, price_e4, symbol, .. } => {
                Form::of(quantity, price_e4, symbol)
            }
            Self::Modify { quantity, price_e4, .. } => Form::of(quantity, price_e4, ""),
            Self::ReduceSize { canceled, .. } => Form::of(canceled, 0, ""),
            _ => Form::Long,
        }
    }

    /// Appends the message; `offset_ns` are the nanoseconds after the second
    /// of the last Time message.
    pub fn encode(&self, offset_ns: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0, self.code()]);
        match *self {
            Self::Time { seconds } => put_u32(out, seconds),
            _ => put_u32(out, offset_ns),
        }
        self.encode_body(out);
        out[start] = (out.len() - start) as u8;
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Time { .. } | Self::UnitClear | Self::EndOfSession => {}
            Self::TradingStatus { symbol, status, reg_sho } => {
                put_alpha(out, symbol, 8);
                out.extend_from_slice(&[status, reg_sho, b' ', b' ']);
            }
            Self::Add { .. } | Self::Trade { .. } => self.encode_order(out),
            Self::Executed { order_id, quantity, execution_id } => {
                put_u64(out, order_id);
                put_u32(out, quantity);
                put_u64(out, execution_id);
            }
            Self::ExecutedAtPrice { order_id, quantity, remaining, execution_id, price_e4 } => {
                put_u64(out, order_id);
                put_u32(out, quantity);
                put_u32(out, remaining);
                put_u64(out, execution_id);
                put_u64(out, price_e4.into());
            }
            Self::ReduceSize { order_id, canceled } => {
                put_u64(out, order_id);
                self.put_quantity(out, canceled);
            }
            Self::Modify { order_id, quantity, price_e4 } => {
                put_u64(out, order_id);
                self.put_quantity(out, quantity);
                self.put_price(out, price_e4);
                out.push(MODIFY_FLAGS);
            }
            Self::Delete { order_id } => put_u64(out, order_id),
            Self::TradeBreak { execution_id } => put_u64(out, execution_id),
        }
    }

    /// Tables 12 to 14 and 22 to 24: an order or an unseen one's trade.
    fn encode_order(&self, out: &mut Vec<u8>) {
        let (Self::Add { order_id, quantity, symbol, price_e4, .. }
        | Self::Trade { order_id, quantity, symbol, price_e4, .. }) = *self
        else {
            return;
        };
        // A trade says "buy" whichever side rested.
        let side = if let Self::Add { side, .. } = *self { side } else { b'B' };
        put_u64(out, order_id);
        out.push(side);
        self.put_quantity(out, quantity);
        put_alpha(out, symbol, if self.form() == Form::Expanded { 8 } else { SYMBOL_SHORT });
        self.put_price(out, price_e4);
        match *self {
            Self::Trade { execution_id, .. } => put_u64(out, execution_id),
            Self::Add { participant, .. } => {
                out.push(ADD_FLAGS);
                if self.form() == Form::Expanded {
                    put_alpha(out, participant.unwrap_or_default(), 4);
                    out.push(b' ');
                }
            }
            _ => {}
        }
    }

    fn put_quantity(&self, out: &mut Vec<u8>, quantity: u32) {
        match self.form() {
            Form::Short => out.extend_from_slice(&(quantity as u16).to_le_bytes()),
            _ => put_u32(out, quantity),
        }
    }

    fn put_price(&self, out: &mut Vec<u8>, price_e4: u32) {
        match self.form() {
            Form::Short => out.extend_from_slice(&((price_e4 / E4_OF_E2) as u16).to_le_bytes()),
            _ => put_u64(out, price_e4.into()),
        }
    }
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSET_NS: u32 = 0x0102_0304;
    const ID: u64 = 0x0A;

    fn bytes(message: Pitch) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(OFFSET_NS, &mut out);
        assert_eq!(usize::from(out[0]), out.len());
        out
    }

    fn add(quantity: u32, price_e4: u32, symbol: &'static str) -> Pitch {
        Pitch::Add { order_id: ID, side: b'S', quantity, symbol, price_e4, participant: None }
    }

    #[test]
    fn an_order_takes_the_shortest_form_it_fits() {
        assert_eq!(
            bytes(add(300, 1_012_500, "ALFA")),
            b"\x1A\x22\x04\x03\x02\x01\x0A\0\0\0\0\0\0\0S\x2C\x01ALFA  \x8D\x27\x01"
        );
        let long = b"\x22\x21\x04\x03\x02\x01\x0A\0\0\0\0\0\0\0S\
                     \x2C\x01\0\0ALFA  \x15\x73\x0F\0\0\0\0\0\x01";
        assert_eq!(bytes(add(300, 1_012_501, "ALFA")), long, "part of a cent");
        assert_eq!(bytes(add(70_000, 100, "ALFA"))[1], 0x21, "more shares than 65,535");
        assert_eq!(bytes(add(1, 6_553_600, "ALFA"))[1], 0x21, "more than 655.35 dollars");
        let expanded = b"\x29\x2F\x04\x03\x02\x01\x0A\0\0\0\0\0\0\0S\
                         \x01\0\0\0ALFABET \x64\0\0\0\0\0\0\0\x01     ";
        assert_eq!(bytes(add(1, 100, "ALFABET")), expanded);
    }

    #[test]
    fn a_named_participant_needs_the_expanded_form() {
        let named = Pitch::Add {
            order_id: ID,
            side: b'B',
            quantity: 2,
            symbol: "ALFA",
            price_e4: 100,
            participant: Some("VIRT"),
        };
        let end = b"\x02\0\0\0ALFA    \x64\0\0\0\0\0\0\0\x01VIRT ";
        assert_eq!(&bytes(named)[15..], end);
    }

    #[test]
    fn executions_by_hand() {
        let executed = Pitch::Executed { order_id: ID, quantity: 100, execution_id: 0x0B };
        assert_eq!(
            bytes(executed),
            b"\x1A\x23\x04\x03\x02\x01\x0A\0\0\0\0\0\0\0\x64\0\0\0\x0B\0\0\0\0\0\0\0"
        );
        let at_price = Pitch::ExecutedAtPrice {
            order_id: ID,
            quantity: 100,
            remaining: 20,
            execution_id: 0x0B,
            price_e4: 0x1234,
        };
        assert_eq!(
            &bytes(at_price)[14..],
            b"\x64\0\0\0\x14\0\0\0\x0B\0\0\0\0\0\0\0\x34\x12\0\0\0\0\0\0"
        );
    }

    #[test]
    fn every_form_has_its_published_size() {
        let reduce = |canceled| Pitch::ReduceSize { order_id: ID, canceled };
        let modify = |price_e4| Pitch::Modify { order_id: ID, quantity: 5, price_e4 };
        let trade = |symbol, price_e4| {
            let (order_id, execution_id) = (ID, 1);
            Pitch::Trade { order_id, quantity: 5, symbol, price_e4, execution_id }
        };
        let status = Pitch::TradingStatus { symbol: "ALFA", status: b'T', reg_sho: b'0' };
        for (message, code, size) in [
            (Pitch::Time { seconds: 34_200 }, 0x20, 6),
            (reduce(70_000), 0x25, 18),
            (reduce(7), 0x26, 16),
            (modify(1), 0x27, 27),
            (modify(100), 0x28, 19),
            (Pitch::Delete { order_id: ID }, 0x29, 14),
            (trade("ALFA", 1), 0x2A, 41),
            (trade("ALFA", 100), 0x2B, 33),
            (trade("ALFABET", 100), 0x30, 43),
            (Pitch::TradeBreak { execution_id: 1 }, 0x2C, 14),
            (Pitch::EndOfSession, 0x2D, 6),
            (status, 0x31, 18),
            (Pitch::UnitClear, 0x97, 6),
        ] {
            let bytes = bytes(message);
            assert_eq!((bytes[1], bytes.len()), (code, size), "{message:?}");
        }
    }

    #[test]
    fn a_time_message_counts_seconds() {
        assert_eq!(bytes(Pitch::Time { seconds: 0x8598 }), b"\x06\x20\x98\x85\0\0");
    }
}
