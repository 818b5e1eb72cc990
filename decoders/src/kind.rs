//! The closed vocabularies of a row: what happened, which side, which flags.
//! Numbers are stable: they may be stored.

use serde::{Deserialize, Serialize};

/// Declares an enum with stable numbers and the text each has in the tables
/// and in protocol files.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The text in tables, protocol files and JSON.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The value with this text.
            pub fn from_text(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }

            /// The value with this number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

vocabulary! {
    /// What a row says happened, the same words for every venue.
    Kind {
        /// Not known to the protocol's file.
        Unknown = 0 "unknown",
        /// A resting order appears.
        OrderAdd = 1 "order.add",
        /// A resting order changes and keeps its id.
        OrderModify = 2 "order.modify",
        /// A resting order is replaced by one with a new id.
        OrderReplace = 3 "order.replace",
        /// Part of a resting order is taken off the book without a trade.
        OrderReduce = 4 "order.reduce",
        /// A resting order leaves the book.
        OrderDelete = 5 "order.delete",
        /// A resting order is executed, wholly or partly.
        OrderFill = 6 "order.fill",
        /// A trade against interest that was not displayed.
        Trade = 7 "trade",
        /// An auction or cross trade.
        TradeCross = 8 "trade.cross",
        /// A trade is broken.
        TradeBust = 9 "trade.bust",
        /// A trade is corrected.
        TradeCorrect = 10 "trade.correct",
        /// Best bid and offer.
        Quote = 11 "quote",
        /// A price level of a market-by-price book.
        Level = 12 "level",
        /// The book is emptied.
        BookClear = 13 "book.clear",
        /// A snapshot begins.
        SnapshotBegin = 14 "snapshot.begin",
        /// A snapshot ends.
        SnapshotEnd = 15 "snapshot.end",
        /// Auction imbalance or indicative price.
        Imbalance = 16 "imbalance",
        /// Trading status of an instrument or market.
        Status = 17 "status",
        /// Price bands and collars.
        Limits = 18 "limits",
        /// Statistics such as open interest or high and low.
        Statistics = 19 "statistics",
        /// Reference data of an instrument.
        Instrument = 20 "instrument",
        /// An index value.
        Index = 21 "index",
        /// Text for people.
        News = 22 "news",
        /// Logon, logout, start and end of day.
        Session = 23 "session",
        /// Sign of life.
        Heartbeat = 24 "heartbeat",
        /// Time reference.
        Clock = 25 "clock",
        /// Sequence numbers start anew.
        SequenceReset = 26 "sequence.reset",
        /// A request for messages again.
        ResendRequest = 27 "resend.request",
        /// A rejection on session level.
        Reject = 28 "reject",
        /// Request: a new order.
        ReqNew = 30 "req.new",
        /// Request: cancel.
        ReqCancel = 31 "req.cancel",
        /// Request: replace or modify.
        ReqReplace = 32 "req.replace",
        /// Request: mass cancel and the like.
        ReqMass = 33 "req.mass",
        /// Request: quote.
        ReqQuote = 34 "req.quote",
        /// Report: accepted.
        RptAck = 40 "rpt.ack",
        /// Report: executed.
        RptFill = 41 "rpt.fill",
        /// Report: canceled.
        RptCanceled = 42 "rpt.canceled",
        /// Report: replaced or modified.
        RptReplaced = 43 "rpt.replaced",
        /// Report: the order was rejected.
        RptReject = 44 "rpt.reject",
        /// Report: the cancel or replace was rejected.
        RptCancelReject = 45 "rpt.cancel_reject",
        /// Report: done for the day, expired.
        RptDone = 46 "rpt.done",
        /// Report: status, pending states.
        RptStatus = 47 "rpt.status",
        /// Administration.
        Admin = 50 "admin",
        /// Bytes of a TCP stream that the capture does not hold.
        Gap = 51 "gap",
    }
}

vocabulary! {
    /// Side of an order or trade.
    Side {
        /// Buy.
        Buy = 1 "buy",
        /// Sell.
        Sell = 2 "sell",
        /// Sell short.
        SellShort = 3 "sell_short",
        /// Sell short exempt.
        SellShortExempt = 4 "sell_short_exempt",
        /// Cross.
        Cross = 5 "cross",
        /// Both sides.
        Both = 6 "both",
    }
}

vocabulary! {
    /// What the price column means where it is not a plain limit price.
    PriceKind {
        /// A limit.
        Limit = 1 "limit",
        /// No price: market.
        Market = 2 "market",
        /// Pegged.
        Peg = 3 "peg",
        /// Implied.
        Implied = 4 "implied",
        /// Yield.
        Yield = 5 "yield",
        /// Percent of par.
        Percent = 6 "percent",
    }
}

vocabulary! {
    /// Order type, FIX 40 meaning.
    OrdType {
        /// Market.
        Market = 1 "market",
        /// Limit.
        Limit = 2 "limit",
        /// Stop.
        Stop = 3 "stop",
        /// Stop limit.
        StopLimit = 4 "stop_limit",
        /// Market on close.
        MarketOnClose = 5 "market_on_close",
        /// Pegged.
        Pegged = 6 "pegged",
        /// Anything else; the field pane has the code.
        Other = 7 "other",
    }
}

vocabulary! {
    /// Time in force, FIX 59 meaning.
    Tif {
        /// Day.
        Day = 1 "day",
        /// Good till cancel.
        Gtc = 2 "gtc",
        /// At the opening.
        Opening = 3 "opening",
        /// Immediate or cancel.
        Ioc = 4 "ioc",
        /// Fill or kill.
        Fok = 5 "fok",
        /// Good till crossing.
        Gtx = 6 "gtx",
        /// Good till date or time.
        Gtd = 7 "gtd",
        /// At the close.
        Closing = 8 "closing",
        /// Anything else; the field pane has the code.
        Other = 9 "other",
    }
}

vocabulary! {
    /// Order status, FIX 39 meaning.
    OrdStatus {
        /// New.
        New = 1 "new",
        /// Partially filled.
        PartiallyFilled = 2 "partially_filled",
        /// Filled.
        Filled = 3 "filled",
        /// Done for day.
        DoneForDay = 4 "done_for_day",
        /// Canceled.
        Canceled = 5 "canceled",
        /// Replaced.
        Replaced = 6 "replaced",
        /// Pending cancel.
        PendingCancel = 7 "pending_cancel",
        /// Stopped.
        Stopped = 8 "stopped",
        /// Rejected.
        Rejected = 9 "rejected",
        /// Suspended.
        Suspended = 10 "suspended",
        /// Pending new.
        PendingNew = 11 "pending_new",
        /// Calculated.
        Calculated = 12 "calculated",
        /// Expired.
        Expired = 13 "expired",
        /// Accepted for bidding.
        AcceptedForBidding = 14 "accepted_for_bidding",
        /// Pending replace.
        PendingReplace = 15 "pending_replace",
    }
}

vocabulary! {
    /// Execution type, FIX 150 meaning.
    ExecType {
        /// New.
        New = 1 "new",
        /// Done for day.
        DoneForDay = 2 "done_for_day",
        /// Canceled.
        Canceled = 3 "canceled",
        /// Replaced.
        Replaced = 4 "replaced",
        /// Pending cancel.
        PendingCancel = 5 "pending_cancel",
        /// Stopped.
        Stopped = 6 "stopped",
        /// Rejected.
        Rejected = 7 "rejected",
        /// Suspended.
        Suspended = 8 "suspended",
        /// Pending new.
        PendingNew = 9 "pending_new",
        /// Calculated.
        Calculated = 10 "calculated",
        /// Expired.
        Expired = 11 "expired",
        /// Restated.
        Restated = 12 "restated",
        /// Pending replace.
        PendingReplace = 13 "pending_replace",
        /// Trade.
        Trade = 14 "trade",
        /// Trade correct.
        TradeCorrect = 15 "trade_correct",
        /// Trade cancel.
        TradeCancel = 16 "trade_cancel",
        /// Order status.
        OrderStatus = 17 "order_status",
        /// Anything else; the field pane has the code.
        Other = 18 "other",
    }
}

vocabulary! {
    /// What happens to a price level.
    Action {
        /// New.
        New = 1 "new",
        /// Change.
        Change = 2 "change",
        /// Delete.
        Delete = 3 "delete",
        /// Delete this and all worse levels.
        DeleteFrom = 4 "delete_from",
        /// Delete this and all better levels.
        DeleteThru = 5 "delete_thru",
        /// Overlay.
        Overlay = 6 "overlay",
    }
}

vocabulary! {
    /// What one sequence number counts.
    SeqUnit {
        /// A message.
        Message = 1 "message",
        /// A packet.
        Packet = 2 "packet",
        /// A byte.
        Byte = 3 "byte",
    }
}

vocabulary! {
    /// Which end of a session sent the message.
    Sender {
        /// The one that connected.
        Client = 1 "client",
        /// The one that listens.
        Server = 2 "server",
    }
}

/// Bits of the `flags` column.
pub mod flags {
    /// Part of a snapshot.
    pub const SNAPSHOT: u32 = 1 << 0;
    /// The venue or TCP sent it again.
    pub const RETRANSMIT: u32 = 1 << 1;
    /// FIX PossDup or PossResend.
    pub const POSS_DUP: u32 = 1 << 2;
    /// Last of an event.
    pub const LAST_IN_EVENT: u32 = 1 << 3;
    /// Implied by other orders.
    pub const IMPLIED: u32 = 1 << 4;
    /// Cut by the capture length or by its own.
    pub const TRUNCATED: u32 = 1 << 5;
    /// The protocol's file does not know the type.
    pub const UNKNOWN_TYPE: u32 = 1 << 6;
    /// Its bytes came in more than one packet.
    pub const REASSEMBLED: u32 = 1 << 7;
    /// Its own checksum is wrong.
    pub const BAD_CHECKSUM: u32 = 1 << 8;
    /// Decoded with state that may be wrong (after a gap, from the middle).
    pub const MAYBE_BAD_STATE: u32 = 1 << 9;
    /// A test instrument.
    pub const TEST_SYMBOL: u32 = 1 << 10;
    /// Fields are out of order, doubled, or counts disagree; nothing was lost.
    pub const IRREGULAR: u32 = 1 << 11;
    /// Same point, line and sequence as an earlier packet with the same bytes
    /// (a mirror port's second copy).
    pub const DUPLICATE: u32 = 1 << 12;
    /// Decoding stopped with an error before the message's end.
    pub const DECODE_ERROR: u32 = 1 << 13;

    /// Every flag with the name it has in tables and JSON.
    pub const NAMES: [(u32, &str); 14] = [
        (SNAPSHOT, "snapshot"),
        (RETRANSMIT, "retransmit"),
        (POSS_DUP, "poss_dup"),
        (LAST_IN_EVENT, "last_in_event"),
        (IMPLIED, "implied"),
        (TRUNCATED, "truncated"),
        (UNKNOWN_TYPE, "unknown_type"),
        (REASSEMBLED, "reassembled"),
        (BAD_CHECKSUM, "bad_checksum"),
        (MAYBE_BAD_STATE, "maybe_bad_state"),
        (TEST_SYMBOL, "test_symbol"),
        (IRREGULAR, "irregular"),
        (DUPLICATE, "duplicate"),
        (DECODE_ERROR, "decode_error"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_lead_back() {
        for &kind in Kind::ALL {
            assert_eq!(Kind::from_text(kind.text()), Some(kind));
            assert_eq!(Kind::from_number(kind as u8), Some(kind));
        }
    }
}
