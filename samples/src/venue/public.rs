//! What the exchange makes public, before it is said in a protocol, and how
//! ITCH and PITCH say it.
//!
//! ```text
//!           ┌─► one ITCH message
//! Public ───┤
//!           └─► none, one, or a Time and one PITCH message
//! ```

use crate::encode::itch::Itch;
use crate::encode::pitch::Pitch;
use crate::venue::symbols::SYMBOLS;

/// The trade of an order nobody sees has an order id that is nobody's: from
/// here on.
const OBFUSCATED: u64 = 1 << 48;

/// Something that happened, about an instrument that is named beside it.
#[derive(Clone, Copy, Debug)]
pub enum Public {
    /// The exchange's day goes on.
    Day(Stage),
    /// The instrument is listed.
    Listed,
    /// It may be traded.
    Trading,
    /// An order rests now.
    Added {
        /// The exchange's number of the order.
        reference: u64,
        /// `B` or `S`.
        side: u8,
        /// Shares.
        shares: u32,
        /// Four implied decimals.
        price_e4: u32,
        /// Who stands behind it, where that is told.
        mpid: Option<&'static str>,
    },
    /// A resting order traded at its price.
    Executed {
        /// The order.
        reference: u64,
        /// Shares.
        shares: u32,
        /// The exchange's number of the execution.
        match_number: u64,
    },
    /// A resting order traded at another price.
    ExecutedAt {
        /// The order.
        reference: u64,
        /// Shares.
        shares: u32,
        /// Shares that still rest.
        left: u32,
        /// The exchange's number of the execution.
        match_number: u64,
        /// Four implied decimals.
        price_e4: u32,
    },
    /// A part of a resting order was canceled.
    Reduced {
        /// The order.
        reference: u64,
        /// Shares canceled.
        shares: u32,
    },
    /// A resting order left.
    Deleted {
        /// The order.
        reference: u64,
    },
    /// A resting order changed.
    Replaced {
        /// The order as it was.
        original: u64,
        /// The order as it is; the same number where the exchange keeps it.
        reference: u64,
        /// Shares that rest.
        shares: u32,
        /// Four implied decimals.
        price_e4: u32,
    },
    /// An order that nobody sees traded.
    HiddenTrade {
        /// Shares.
        shares: u32,
        /// Four implied decimals.
        price_e4: u32,
        /// The exchange's number of the execution.
        match_number: u64,
    },
}

/// Stages of the exchange's day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The first message of the day.
    Begin,
    /// Orders are taken.
    SystemOpen,
    /// Continuous trading.
    MarketOpen,
    /// The end of it.
    MarketClose,
    /// Orders are no longer taken.
    SystemClose,
    /// The last message of the day.
    End,
}

impl Public {
    /// As ITCH.
    pub fn itch(self, symbol: Option<usize>) -> Itch {
        let stock = name(symbol);
        match self {
            Self::Day(stage) => Itch::SystemEvent { event: stage.itch() },
            Self::Listed => Itch::StockDirectory { stock, round_lot: 100 },
            Self::Trading => Itch::TradingAction { stock, state: b'T', reason: "" },
            Self::Added { reference, side, shares, price_e4, mpid: None } => {
                Itch::Add { reference, side, shares, stock, price_e4 }
            }
            Self::Added { reference, side, shares, price_e4, mpid: Some(mpid) } => {
                Itch::AddMpid { reference, side, shares, stock, price_e4, mpid }
            }
            Self::Executed { reference, shares, match_number } => {
                Itch::Executed { reference, shares, match_number }
            }
            Self::ExecutedAt { reference, shares, match_number, price_e4, .. } => {
                Itch::ExecutedPrice { reference, shares, match_number, printable: b'Y', price_e4 }
            }
            Self::Reduced { reference, shares } => Itch::Cancel { reference, shares },
            Self::Deleted { reference } => Itch::Delete { reference },
            Self::Replaced { original, reference, shares, price_e4 } => {
                Itch::Replace { original, reference, shares, price_e4 }
            }
            Self::HiddenTrade { shares, price_e4, match_number } => {
                Itch::Trade { side: b'B', shares, stock, price_e4, match_number }
            }
        }
    }

    /// As PITCH, which has no list of equities and tells of the day's stages
    /// the first and the last only.
    pub fn pitch(self, symbol: Option<usize>) -> Option<Pitch> {
        let symbol = name(symbol);
        Some(match self {
            Self::Day(Stage::Begin) => Pitch::UnitClear,
            Self::Day(Stage::End) => Pitch::EndOfSession,
            Self::Day(_) | Self::Listed => return None,
            Self::Trading => Pitch::TradingStatus { symbol, status: b'T', reg_sho: b'0' },
            Self::Added { reference: order_id, side, shares: quantity, price_e4, mpid } => {
                Pitch::Add { order_id, side, quantity, symbol, price_e4, participant: mpid }
            }
            Self::Executed { reference, shares, match_number } => Pitch::Executed {
                order_id: reference,
                quantity: shares,
                execution_id: match_number,
            },
            Self::ExecutedAt { reference, shares, left, match_number, price_e4 } => {
                Pitch::ExecutedAtPrice {
                    order_id: reference,
                    quantity: shares,
                    remaining: left,
                    execution_id: match_number,
                    price_e4,
                }
            }
            Self::Reduced { reference, shares } => {
                Pitch::ReduceSize { order_id: reference, canceled: shares }
            }
            Self::Deleted { reference } => Pitch::Delete { order_id: reference },
            Self::Replaced { reference, shares, price_e4, .. } => {
                Pitch::Modify { order_id: reference, quantity: shares, price_e4 }
            }
            Self::HiddenTrade { shares, price_e4, match_number } => Pitch::Trade {
                order_id: OBFUSCATED + match_number,
                quantity: shares,
                symbol,
                price_e4,
                execution_id: match_number,
            },
        })
    }
}

impl Stage {
    /// ITCH 5.0, section 1.1.
    fn itch(self) -> u8 {
        match self {
            Self::Begin => b'O',
            Self::SystemOpen => b'S',
            Self::MarketOpen => b'Q',
            Self::MarketClose => b'M',
            Self::SystemClose => b'E',
            Self::End => b'C',
        }
    }
}

fn name(symbol: Option<usize>) -> &'static str {
    symbol.map_or("", |symbol| SYMBOLS[symbol].name)
}
