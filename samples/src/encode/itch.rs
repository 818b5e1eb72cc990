//! Nasdaq TotalView-ITCH 5.0 messages.
//!
//! ```text
//! 0 type a1 | 1 stock locate u16 | 3 tracking u16 | 5 time u48 | 11 by type
//! ```
//! Time is nanoseconds since midnight in New York; prices have four implied
//! decimals, MWCB levels eight. Big-endian. Source: Nasdaq TotalView-ITCH 5.0
//! (2023), sections 1.1 to 1.8.

use crate::encode::put_alpha;

/// Fields every message has.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// The instrument's code of the day, 0 for the whole market.
    pub locate: u16,
    /// Internal tracking number.
    pub tracking: u16,
    /// Nanoseconds since midnight, New York.
    pub time_ns: u64,
}

/// A message after its head. Field names are those of the specification.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Itch {
    SystemEvent {
        event: u8,
    },
    StockDirectory {
        stock: &'static str,
        round_lot: u32,
    },
    TradingAction {
        stock: &'static str,
        state: u8,
        reason: &'static str,
    },
    RegSho {
        stock: &'static str,
        action: u8,
    },
    ParticipantPosition {
        mpid: &'static str,
        stock: &'static str,
        state: u8,
    },
    MwcbDecline {
        levels_e8: [u64; 3],
    },
    MwcbStatus {
        level: u8,
    },
    IpoQuotingPeriod {
        stock: &'static str,
        release_s: u32,
        qualifier: u8,
        price_e4: u32,
    },
    LuldCollar {
        stock: &'static str,
        prices_e4: [u32; 3],
        extension: u32,
    },
    OperationalHalt {
        stock: &'static str,
        market: u8,
        action: u8,
    },
    Add {
        reference: u64,
        side: u8,
        shares: u32,
        stock: &'static str,
        price_e4: u32,
    },
    AddMpid {
        reference: u64,
        side: u8,
        shares: u32,
        stock: &'static str,
        price_e4: u32,
        mpid: &'static str,
    },
    Executed {
        reference: u64,
        shares: u32,
        match_number: u64,
    },
    ExecutedPrice {
        reference: u64,
        shares: u32,
        match_number: u64,
        printable: u8,
        price_e4: u32,
    },
    Cancel {
        reference: u64,
        shares: u32,
    },
    Delete {
        reference: u64,
    },
    Replace {
        original: u64,
        reference: u64,
        shares: u32,
        price_e4: u32,
    },
    Trade {
        side: u8,
        shares: u32,
        stock: &'static str,
        price_e4: u32,
        match_number: u64,
    },
    CrossTrade {
        shares: u64,
        stock: &'static str,
        price_e4: u32,
        match_number: u64,
        cross: u8,
    },
    BrokenTrade {
        match_number: u64,
    },
    Imbalance {
        paired: u64,
        imbalance: u64,
        direction: u8,
        stock: &'static str,
        /// Far, near and current reference price.
        prices_e4: [u32; 3],
        cross: u8,
        variation: u8,
    },
    RetailInterest {
        stock: &'static str,
        interest: u8,
    },
    DirectListing {
        stock: &'static str,
        eligible: u8,
        /// Minimum and maximum allowable, near execution price.
        prices_e4: [u32; 3],
        near_time_ns: u64,
        /// Lower and upper collar.
        collars_e4: [u32; 2],
    },
}

impl Itch {
    /// The message type code.
    pub fn code(&self) -> u8 {
        match self {
            Self::SystemEvent { .. } => b'S',
            Self::StockDirectory { .. } => b'R',
            Self::TradingAction { .. } => b'H',
            Self::RegSho { .. } => b'Y',
            Self::ParticipantPosition { .. } => b'L',
            Self::MwcbDecline { .. } => b'V',
            Self::MwcbStatus { .. } => b'W',
            Self::IpoQuotingPeriod { .. } => b'K',
            Self::LuldCollar { .. } => b'J',
            Self::OperationalHalt { .. } => b'h',
            Self::Add { .. } => b'A',
            Self::AddMpid { .. } => b'F',
            Self::Executed { .. } => b'E',
            Self::ExecutedPrice { .. } => b'C',
            Self::Cancel { .. } => b'X',
            Self::Delete { .. } => b'D',
            Self::Replace { .. } => b'U',
            Self::Trade { .. } => b'P',
            Self::CrossTrade { .. } => b'Q',
            Self::BrokenTrade { .. } => b'B',
            Self::Imbalance { .. } => b'I',
            Self::RetailInterest { .. } => b'N',
            Self::DirectListing { .. } => b'O',
        }
    }

    /// Appends the message.
    pub fn encode(&self, head: Head, out: &mut Vec<u8>) {
        out.push(self.code());
        put_u16(out, head.locate);
        put_u16(out, head.tracking);
        out.extend_from_slice(&head.time_ns.to_be_bytes()[2..]);
        match self {
            Self::Add { .. }
            | Self::AddMpid { .. }
            | Self::Executed { .. }
            | Self::ExecutedPrice { .. }
            | Self::Cancel { .. }
            | Self::Delete { .. }
            | Self::Replace { .. } => self.encode_order(out),
            Self::Trade { .. }
            | Self::CrossTrade { .. }
            | Self::BrokenTrade { .. }
            | Self::Imbalance { .. }
            | Self::RetailInterest { .. }
            | Self::DirectListing { .. } => self.encode_trade(out),
            _ => self.encode_reference(out),
        }
    }

    /// Sections 1.3 and 1.4: orders on the book.
    fn encode_order(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Add { reference, side, shares, stock, price_e4 } => {
                put_add(out, reference, side, shares, stock, price_e4);
            }
            Self::AddMpid { reference, side, shares, stock, price_e4, mpid } => {
                put_add(out, reference, side, shares, stock, price_e4);
                put_alpha(out, mpid, 4);
            }
            Self::Executed { reference, shares, match_number } => {
                put_u64(out, reference);
                put_u32(out, shares);
                put_u64(out, match_number);
            }
            Self::ExecutedPrice { reference, shares, match_number, printable, price_e4 } => {
                put_u64(out, reference);
                put_u32(out, shares);
                put_u64(out, match_number);
                out.push(printable);
                put_u32(out, price_e4);
            }
            Self::Cancel { reference, shares } => {
                put_u64(out, reference);
                put_u32(out, shares);
            }
            Self::Delete { reference } => put_u64(out, reference),
            Self::Replace { original, reference, shares, price_e4 } => {
                put_u64(out, original);
                put_u64(out, reference);
                put_u32(out, shares);
                put_u32(out, price_e4);
            }
            _ => {}
        }
    }

    /// Sections 1.5 to 1.8: trades, imbalances, retail interest, listings.
    fn encode_trade(&self, out: &mut Vec<u8>) {
        match *self {
            // The order reference of a trade is zero since 2010.
            Self::Trade { side, shares, stock, price_e4, match_number } => {
                put_add(out, 0, side, shares, stock, price_e4);
                put_u64(out, match_number);
            }
            Self::CrossTrade { shares, stock, price_e4, match_number, cross } => {
                put_u64(out, shares);
                put_alpha(out, stock, 8);
                put_u32(out, price_e4);
                put_u64(out, match_number);
                out.push(cross);
            }
            Self::BrokenTrade { match_number } => put_u64(out, match_number),
            Self::Imbalance {
                paired,
                imbalance,
                direction,
                stock,
                prices_e4,
                cross,
                variation,
            } => {
                put_u64(out, paired);
                put_u64(out, imbalance);
                out.push(direction);
                put_alpha(out, stock, 8);
                prices_e4.iter().for_each(|&price| put_u32(out, price));
                out.extend_from_slice(&[cross, variation]);
            }
            Self::RetailInterest { stock, interest } => {
                put_alpha(out, stock, 8);
                out.push(interest);
            }
            Self::DirectListing { stock, eligible, prices_e4, near_time_ns, collars_e4 } => {
                put_alpha(out, stock, 8);
                out.push(eligible);
                prices_e4.iter().for_each(|&price| put_u32(out, price));
                put_u64(out, near_time_ns);
                collars_e4.iter().for_each(|&price| put_u32(out, price));
            }
            _ => {}
        }
    }

    /// Sections 1.1 and 1.2: system events and reference data.
    fn encode_reference(&self, out: &mut Vec<u8>) {
        match *self {
            Self::SystemEvent { event } => out.push(event),
            Self::StockDirectory { stock, round_lot } => {
                put_alpha(out, stock, 8);
                out.extend_from_slice(b"QN");
                put_u32(out, round_lot);
                // All lots, common stock, production, not restricted, no IPO, tier 1, no ETP.
                out.extend_from_slice(b"NCZ PNN1N");
                put_u32(out, 0);
                out.push(b'N');
            }
            Self::TradingAction { stock, state, reason } => {
                put_alpha(out, stock, 8);
                out.extend_from_slice(&[state, b' ']);
                put_alpha(out, reason, 4);
            }
            Self::RegSho { stock, action } => {
                put_alpha(out, stock, 8);
                out.push(action);
            }
            Self::ParticipantPosition { mpid, stock, state } => {
                put_alpha(out, mpid, 4);
                put_alpha(out, stock, 8);
                out.extend_from_slice(&[b'Y', b'N', state]);
            }
            Self::MwcbDecline { levels_e8 } => levels_e8.iter().for_each(|&l| put_u64(out, l)),
            Self::MwcbStatus { level } => out.push(level),
            Self::IpoQuotingPeriod { stock, release_s, qualifier, price_e4 } => {
                put_alpha(out, stock, 8);
                put_u32(out, release_s);
                out.push(qualifier);
                put_u32(out, price_e4);
            }
            Self::LuldCollar { stock, prices_e4, extension } => {
                put_alpha(out, stock, 8);
                prices_e4.iter().for_each(|&price| put_u32(out, price));
                put_u32(out, extension);
            }
            Self::OperationalHalt { stock, market, action } => {
                put_alpha(out, stock, 8);
                out.extend_from_slice(&[market, action]);
            }
            _ => {}
        }
    }
}

fn put_add(out: &mut Vec<u8>, reference: u64, side: u8, shares: u32, stock: &str, price_e4: u32) {
    put_u64(out, reference);
    out.push(side);
    put_u32(out, shares);
    put_alpha(out, stock, 8);
    put_u32(out, price_e4);
}

fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(message: &Itch) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(Head { locate: 1, tracking: 2, time_ns: 0x0000_0102_0304_0506 }, &mut out);
        out
    }

    #[test]
    fn head_is_eleven_bytes() {
        let expected = [b'S', 0, 1, 0, 2, 1, 2, 3, 4, 5, 6];
        assert_eq!(&bytes(&Itch::SystemEvent { event: b'O' })[..11], &expected[..11]);
        let out = bytes(&Itch::SystemEvent { event: b'O' });
        assert_eq!(out[5..11], [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn add_order_by_hand() {
        let add =
            Itch::Add { reference: 9, side: b'B', shares: 300, stock: "ALFA", price_e4: 1_012_500 };
        let out = bytes(&add);
        assert_eq!(
            &out[11..],
            b"\0\0\0\0\0\0\0\x09B\0\0\x01\x2CALFA    \x00\x0F\x73\x14",
            "reference, side, 300 shares, stock, 101.2500"
        );
    }

    #[test]
    fn trade_has_reference_zero_and_match() {
        let trade =
            Itch::Trade { side: b'B', shares: 1, stock: "X", price_e4: 1, match_number: 258 };
        let out = bytes(&trade);
        assert_eq!(&out[11..20], b"\0\0\0\0\0\0\0\0B");
        assert_eq!(&out[36..], &[0, 0, 0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn every_type_has_its_published_size() {
        let sizes = [
            (b'S', 12),
            (b'R', 39),
            (b'H', 25),
            (b'Y', 20),
            (b'L', 26),
            (b'V', 35),
            (b'W', 12),
            (b'K', 28),
            (b'J', 35),
            (b'h', 21),
            (b'A', 36),
            (b'F', 40),
            (b'E', 31),
            (b'C', 36),
            (b'X', 23),
            (b'D', 19),
            (b'U', 35),
            (b'P', 44),
            (b'Q', 40),
            (b'B', 19),
            (b'I', 50),
            (b'N', 20),
            (b'O', 48),
        ];
        let all = crate::captures::itch_of_every_type();
        for (code, size) in sizes {
            let message = all.iter().find(|m| m.code() == code).expect("in the sample");
            assert_eq!(bytes(message).len(), size, "{}", char::from(code));
        }
    }
}
