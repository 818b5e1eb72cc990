//! The nullable columns of `messages`, by what a slot is.

use crate::kind::{Action, ExecType, OrdStatus, OrdType, PriceKind, Sender, SeqUnit, Side, Tif};

/// Declares the nullable columns of one storage class and their places in the
/// presence word.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident from $base:literal { $($(#[$vdoc:meta])* $variant:ident $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every column of the class, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The column's name in `messages` and in protocol files.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The column with this name.
            pub fn from_text(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }

            /// The column's bit in the presence word.
            pub const fn bit(self) -> u64 {
                1 << ($base + self as u64)
            }
        }
    };
}

columns! {
    /// Times, ns since the epoch, UTC.
    TimeCol from 0 {
        /// First byte's packet.
        TsFirst "ts_first",
        /// When the venue says the event happened.
        TsExch "ts_exch",
        /// When the venue says it sent the message.
        TsSend "ts_send",
    }
}

columns! {
    /// 64-bit numbers.
    IntCol from 3 {
        /// Sequence number.
        Seq "seq",
        /// The resting order's number.
        OrderId "order_id",
        /// Its number before a replace.
        OrigOrderId "orig_order_id",
        /// The venue's number of the match.
        MatchId "match_id",
        /// Locate code, security id.
        InstrumentId "instrument_id",
        /// Sequence within the instrument.
        InstrumentSeq "instrument_seq",
        /// The feed sequence that the order says triggered it.
        TriggerSeq "trigger_seq",
        /// Bytes of the TCP direction before the message.
        TcpOff "tcp_off",
    }
}

columns! {
    /// 32-bit numbers.
    SmallCol from 11 {
        /// Feed channel.
        Channel "channel",
        /// Messages missing before this one.
        GapBefore "gap_before",
        /// First byte in the frame.
        RawOff "raw_off",
        /// Depth of a price level.
        Level "level",
    }
}

columns! {
    /// Exact decimals, the value times 10^9.
    DecimalCol from 15 {
        /// Price.
        Price "price",
        /// Quantity the message is about.
        Qty "qty",
        /// Executed or removed by this event.
        QtyDelta "qty_delta",
        /// Left open after it.
        QtyLeaves "qty_leaves",
        /// Executed so far.
        QtyCum "qty_cum",
        /// Best bid.
        BidPrice "bid_price",
        /// Size at the best bid.
        BidQty "bid_qty",
        /// Best ask.
        AskPrice "ask_price",
        /// Size at the best ask.
        AskQty "ask_qty",
    }
}

columns! {
    /// Interned texts.
    NameCol from 24 {
        /// Feed line.
        Line "line",
        /// ISO MIC of the venue.
        Venue "venue",
        /// Session.
        Session "session",
        /// The message type's name.
        MsgName "msg_name",
        /// Native symbol.
        Symbol "symbol",
        /// MPID or firm.
        Participant "participant",
        /// Account.
        Account "account",
        /// Trading status.
        Status "status",
        /// Reason code.
        ReasonCode "reason_code",
        /// Kind of trade or cross.
        TradeType "trade_type",
    }
}

columns! {
    /// Texts that rarely repeat, and raw bytes.
    TextCol from 34 {
        /// Order id as text, where it is not a number.
        OrderIdTxt "order_id_txt",
        /// Client order id.
        ClOrdId "cl_ord_id",
        /// Client order id of the version before.
        OrigClOrdId "orig_cl_ord_id",
        /// Execution id.
        ExecId "exec_id",
        /// Quote id.
        QuoteId "quote_id",
        /// The message's bytes where no one retained packet holds them all.
        Raw "raw",
    }
}

columns! {
    /// Small vocabularies of [`crate::kind`].
    EnumCol from 40 {
        /// [`Side`].
        Side "side",
        /// [`PriceKind`].
        PriceKind "price_kind",
        /// [`OrdType`].
        OrdType "ord_type",
        /// [`Tif`].
        Tif "tif",
        /// [`OrdStatus`].
        OrdStatus "ord_status",
        /// [`ExecType`].
        ExecType "exec_type",
        /// [`Action`].
        Action "action",
        /// [`SeqUnit`].
        SeqUnit "seq_unit",
        /// [`Sender`].
        Sender "sender",
    }
}

impl EnumCol {
    /// The text of `number` in the column's vocabulary.
    pub fn value_text(self, number: u8) -> Option<&'static str> {
        match self {
            Self::Side => Side::from_number(number).map(Side::text),
            Self::PriceKind => PriceKind::from_number(number).map(PriceKind::text),
            Self::OrdType => OrdType::from_number(number).map(OrdType::text),
            Self::Tif => Tif::from_number(number).map(Tif::text),
            Self::OrdStatus => OrdStatus::from_number(number).map(OrdStatus::text),
            Self::ExecType => ExecType::from_number(number).map(ExecType::text),
            Self::Action => Action::from_number(number).map(Action::text),
            Self::SeqUnit => SeqUnit::from_number(number).map(SeqUnit::text),
            Self::Sender => Sender::from_number(number).map(Sender::text),
        }
    }

    /// The number of `text` in the column's vocabulary.
    pub fn value_number(self, text: &str) -> Option<u8> {
        match self {
            Self::Side => Side::from_text(text).map(|v| v as u8),
            Self::PriceKind => PriceKind::from_text(text).map(|v| v as u8),
            Self::OrdType => OrdType::from_text(text).map(|v| v as u8),
            Self::Tif => Tif::from_text(text).map(|v| v as u8),
            Self::OrdStatus => OrdStatus::from_text(text).map(|v| v as u8),
            Self::ExecType => ExecType::from_text(text).map(|v| v as u8),
            Self::Action => Action::from_text(text).map(|v| v as u8),
            Self::SeqUnit => SeqUnit::from_text(text).map(|v| v as u8),
            Self::Sender => Sender::from_text(text).map(|v| v as u8),
        }
    }
}
