//! Nasdaq OUCH 5.0 messages, both directions.
//!
//! ```text
//! client: type a1 | UserRefNum u32 | …                | appendage length u16 | appendage
//! server: type a1 | time u64 | UserRefNum u32 | …     | appendage length u16 | appendage
//! ```
//! Prices are u64 with four implied decimals, times nanoseconds since
//! midnight in New York. An appendage is a row of options: length u8 (of what
//! follows it), tag u8, value. Big-endian. Source: Nasdaq OUCH 5.0 (April
//! 2023), sections 2, 3 and appendix B.

use crate::encode::put_alpha;

/// An option of an appendage: tag and value bytes (appendix B).
pub type OptionField<'a> = (u8, &'a [u8]);

/// Option tag: the firm, four letters.
pub const FIRM: u8 = 2;
/// Option tag: minimum quantity, u32.
pub const MIN_QTY: u8 = 3;
/// Option tag: post only, `P` or `N`.
pub const POST_ONLY: u8 = 12;

/// What an order says, as entered and as echoed.
#[derive(Clone, Copy, Debug)]
pub struct OrderTerms<'a> {
    /// `B` buy, `S` sell, `T` sell short, `E` sell short exempt.
    pub side: u8,
    /// Shares.
    pub quantity: u32,
    /// Stock symbol.
    pub symbol: &'a str,
    /// Price with four implied decimals.
    pub price_e4: u64,
    /// `0` day, `3` IOC.
    pub time_in_force: u8,
    /// `Y` visible, `N` hidden, `A` attributable.
    pub display: u8,
    /// The customer's own identifier, up to 14 characters.
    pub cl_ord_id: &'a str,
}

/// A message. Field names are those of the specification.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Ouch<'a> {
    // From the client.
    EnterOrder {
        user_ref: u32,
        terms: OrderTerms<'a>,
        options: &'a [OptionField<'a>],
    },
    ReplaceRequest {
        original: u32,
        user_ref: u32,
        terms: OrderTerms<'a>,
    },
    CancelRequest {
        user_ref: u32,
        quantity: u32,
    },
    ModifyRequest {
        user_ref: u32,
        side: u8,
        quantity: u32,
    },
    AccountQuery,
    // From the server; `time` is nanoseconds since midnight.
    SystemEvent {
        time: u64,
        event: u8,
    },
    Accepted {
        time: u64,
        user_ref: u32,
        terms: OrderTerms<'a>,
        reference: u64,
        /// `L` live, `D` dead.
        state: u8,
        options: &'a [OptionField<'a>],
    },
    Replaced {
        time: u64,
        original: u32,
        user_ref: u32,
        terms: OrderTerms<'a>,
        reference: u64,
    },
    Canceled {
        time: u64,
        user_ref: u32,
        quantity: u32,
        reason: u8,
    },
    AiqCanceled {
        time: u64,
        user_ref: u32,
        decrement: u32,
        prevented: u32,
        price_e4: u64,
    },
    Executed {
        time: u64,
        user_ref: u32,
        quantity: u32,
        price_e4: u64,
        liquidity: u8,
        match_number: u64,
    },
    BrokenTrade {
        time: u64,
        user_ref: u32,
        match_number: u64,
        reason: u8,
        cl_ord_id: &'a str,
    },
    Rejected {
        time: u64,
        user_ref: u32,
        reason: u16,
        cl_ord_id: &'a str,
    },
    CancelPending {
        time: u64,
        user_ref: u32,
    },
    CancelReject {
        time: u64,
        user_ref: u32,
    },
    PriorityUpdate {
        time: u64,
        user_ref: u32,
        price_e4: u64,
        display: u8,
        reference: u64,
    },
    Modified {
        time: u64,
        user_ref: u32,
        side: u8,
        quantity: u32,
    },
    Restated {
        time: u64,
        user_ref: u32,
        reason: u8,
        options: &'a [OptionField<'a>],
    },
    AccountQueryResponse {
        time: u64,
        next_user_ref: u32,
    },
}

impl Ouch<'_> {
    /// The message type code. The two directions share letters.
    pub fn code(&self) -> u8 {
        match self {
            Self::EnterOrder { .. } => b'O',
            Self::ReplaceRequest { .. } | Self::Replaced { .. } => b'U',
            Self::CancelRequest { .. } => b'X',
            Self::ModifyRequest { .. } | Self::Modified { .. } => b'M',
            Self::AccountQuery | Self::AccountQueryResponse { .. } => b'Q',
            Self::SystemEvent { .. } => b'S',
            Self::Accepted { .. } => b'A',
            Self::Canceled { .. } => b'C',
            Self::AiqCanceled { .. } => b'D',
            Self::Executed { .. } => b'E',
            Self::BrokenTrade { .. } => b'B',
            Self::Rejected { .. } => b'J',
            Self::CancelPending { .. } => b'P',
            Self::CancelReject { .. } => b'I',
            Self::PriorityUpdate { .. } => b'T',
            Self::Restated { .. } => b'R',
        }
    }

    /// Whether the client sends it.
    pub fn is_request(&self) -> bool {
        matches!(
            self,
            Self::EnterOrder { .. }
                | Self::ReplaceRequest { .. }
                | Self::CancelRequest { .. }
                | Self::ModifyRequest { .. }
                | Self::AccountQuery
        )
    }

    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(72);
        out.push(self.code());
        if self.is_request() {
            self.encode_request(&mut out)
        } else {
            self.encode_report(&mut out)
        }
        out
    }

    /// Section 2: from the client.
    fn encode_request(&self, out: &mut Vec<u8>) {
        match *self {
            Self::EnterOrder { user_ref, terms, options } => {
                put_u32(out, user_ref);
                out.push(terms.side);
                put_u32(out, terms.quantity);
                put_alpha(out, terms.symbol, 8);
                put_u64(out, terms.price_e4);
                // Agency, no sweep, continuous market.
                out.extend_from_slice(&[terms.time_in_force, terms.display, b'A', b'N', b'N']);
                put_alpha(out, terms.cl_ord_id, 14);
                put_options(out, options);
            }
            Self::ReplaceRequest { original, user_ref, terms } => {
                put_u32(out, original);
                put_u32(out, user_ref);
                put_u32(out, terms.quantity);
                put_u64(out, terms.price_e4);
                out.extend_from_slice(&[terms.time_in_force, terms.display, b'N']);
                put_alpha(out, terms.cl_ord_id, 14);
                put_options(out, &[]);
            }
            Self::CancelRequest { user_ref, quantity } => {
                put_u32(out, user_ref);
                put_u32(out, quantity);
            }
            Self::ModifyRequest { user_ref, side, quantity } => {
                put_u32(out, user_ref);
                out.push(side);
                put_u32(out, quantity);
            }
            _ => {}
        }
    }

    /// Section 3: from the server.
    fn encode_report(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Accepted { time, user_ref, terms, reference, state, options } => {
                put_reply(out, time, user_ref);
                put_terms(out, &terms, reference, state);
                put_options(out, options);
            }
            Self::Replaced { time, original, user_ref, terms, reference } => {
                put_reply(out, time, original);
                put_u32(out, user_ref);
                put_terms(out, &terms, reference, b'L');
                put_options(out, &[]);
            }
            Self::Canceled { time, user_ref, quantity, reason } => {
                put_reply(out, time, user_ref);
                put_u32(out, quantity);
                out.push(reason);
            }
            Self::AiqCanceled { time, user_ref, decrement, prevented, price_e4 } => {
                put_reply(out, time, user_ref);
                put_u32(out, decrement);
                out.push(b'Q');
                put_u32(out, prevented);
                put_u64(out, price_e4);
                // Would have removed; strategy: decrement both.
                out.extend_from_slice(b"RD");
            }
            Self::Executed { time, user_ref, quantity, price_e4, liquidity, match_number } => {
                put_reply(out, time, user_ref);
                put_u32(out, quantity);
                put_u64(out, price_e4);
                out.push(liquidity);
                put_u64(out, match_number);
                put_options(out, &[]);
            }
            Self::Rejected { time, user_ref, reason, cl_ord_id } => {
                put_reply(out, time, user_ref);
                out.extend_from_slice(&reason.to_be_bytes());
                put_alpha(out, cl_ord_id, 14);
            }
            Self::CancelReject { time, user_ref } | Self::CancelPending { time, user_ref } => {
                put_reply(out, time, user_ref);
            }
            _ => self.encode_rare_report(out),
        }
    }

    /// The rest of section 3.
    fn encode_rare_report(&self, out: &mut Vec<u8>) {
        match *self {
            Self::SystemEvent { time, event } => {
                put_u64(out, time);
                out.push(event);
            }
            Self::BrokenTrade { time, user_ref, match_number, reason, cl_ord_id } => {
                put_reply(out, time, user_ref);
                put_u64(out, match_number);
                out.push(reason);
                put_alpha(out, cl_ord_id, 14);
            }
            Self::PriorityUpdate { time, user_ref, price_e4, display, reference } => {
                put_reply(out, time, user_ref);
                put_u64(out, price_e4);
                out.push(display);
                put_u64(out, reference);
            }
            Self::Modified { time, user_ref, side, quantity } => {
                put_reply(out, time, user_ref);
                out.push(side);
                put_u32(out, quantity);
            }
            Self::Restated { time, user_ref, reason, options } => {
                put_reply(out, time, user_ref);
                out.push(reason);
                put_options(out, options);
            }
            Self::AccountQueryResponse { time, next_user_ref } => {
                put_reply(out, time, next_user_ref);
            }
            _ => {}
        }
    }
}

/// Time and UserRefNum, which open nearly every report.
fn put_reply(out: &mut Vec<u8>, time: u64, user_ref: u32) {
    put_u64(out, time);
    put_u32(out, user_ref);
}

/// From the side of an Accepted or Replaced to its ClOrdID.
fn put_terms(out: &mut Vec<u8>, terms: &OrderTerms<'_>, reference: u64, state: u8) {
    out.push(terms.side);
    put_u32(out, terms.quantity);
    put_alpha(out, terms.symbol, 8);
    put_u64(out, terms.price_e4);
    out.extend_from_slice(&[terms.time_in_force, terms.display]);
    put_u64(out, reference);
    out.extend_from_slice(&[b'A', b'N', b'N', state]);
    put_alpha(out, terms.cl_ord_id, 14);
}

fn put_options(out: &mut Vec<u8>, options: &[OptionField<'_>]) {
    let length: usize = options.iter().map(|(_, value)| 2 + value.len()).sum();
    out.extend_from_slice(&(length as u16).to_be_bytes());
    for (tag, value) in options {
        out.push(1 + value.len() as u8);
        out.push(*tag);
        out.extend_from_slice(value);
    }
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

    fn terms() -> OrderTerms<'static> {
        OrderTerms {
            side: b'B',
            quantity: 40,
            symbol: "ALFA",
            price_e4: 4_777_800,
            time_in_force: b'0',
            display: b'Y',
            cl_ord_id: "T1",
        }
    }

    #[test]
    fn enter_order_by_hand() {
        let options: [OptionField<'_>; 2] = [(FIRM, b"ABCD"), (POST_ONLY, b"P")];
        let bytes = Ouch::EnterOrder { user_ref: 7, terms: terms(), options: &options }.encode();
        let mut expected = b"O\0\0\0\x07B\0\0\0\x28ALFA    \0\0\0\0\0\x48\xE7\x480YANN".to_vec();
        expected.extend_from_slice(b"T1            \0\x09\x05\x02ABCD\x02\x0CP");
        assert_eq!(bytes, expected);
    }

    #[test]
    fn accepted_by_hand() {
        let bytes = Ouch::Accepted {
            time: 0x0102_0304_0506,
            user_ref: 7,
            terms: terms(),
            reference: 0x0F56_B4F5,
            state: b'L',
            options: &[],
        }
        .encode();
        let mut expected = b"A\0\0\x01\x02\x03\x04\x05\x06\0\0\0\x07B\0\0\0\x28ALFA    ".to_vec();
        expected.extend_from_slice(b"\0\0\0\0\0\x48\xE7\x480Y\0\0\0\0\x0F\x56\xB4\xF5ANNL");
        expected.extend_from_slice(b"T1            \0\0");
        assert_eq!(bytes, expected);
    }

    #[test]
    fn every_type_has_its_published_size() {
        let sizes = [
            (true, b'O', 47),
            (true, b'U', 40),
            (true, b'X', 9),
            (true, b'M', 10),
            (true, b'Q', 1),
            (false, b'S', 10),
            (false, b'A', 64),
            (false, b'U', 68),
            (false, b'C', 18),
            (false, b'D', 32),
            (false, b'E', 36),
            (false, b'B', 36),
            (false, b'J', 29),
            (false, b'P', 13),
            (false, b'I', 13),
            (false, b'T', 30),
            (false, b'M', 18),
            (false, b'R', 16),
            (false, b'Q', 13),
        ];
        let all = crate::captures::ouch_of_every_type();
        for (request, code, size) in sizes {
            let message = all
                .iter()
                .find(|m| m.code() == code && m.is_request() == request)
                .expect("in the sample");
            let appendage: usize = match message {
                Ouch::EnterOrder { options, .. }
                | Ouch::Accepted { options, .. }
                | Ouch::Restated { options, .. } => options.iter().map(|o| 2 + o.1.len()).sum(),
                _ => 0,
            };
            assert_eq!(message.encode().len(), size + appendage, "{}", char::from(code));
        }
    }
}
