//! What a template's fields mean in a row: by name, else by FIX tag (the
//! field's `id`), so that FAST rows say the same as FIX rows.
//!
//! Names go first: private templates number their fields 1, 2, 3 …, which
//! would be FIX tags of other fields. Names are those of the FIX dictionary
//! and a few that normalised in-house feeds use, compared without case.

use super::times::TimeUnit;
use crate::batch::DecimalCol;
use crate::kind::Kind;

/// The meaning of a field in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Nothing,
    MsgType,
    Seq,
    SendTime,
    ExchTime,
    /// As `ExchTime`, the unit is fixed by the field's name.
    ExchTimeIn(TimeUnit),
    Symbol,
    InstrumentId,
    InstrumentSeq,
    EntryType,
    /// Time of day of an entry.
    EntryClock,
    EntryDate,
    Action,
    Side,
    Level,
    OrderId,
    OrigOrderId,
    ClOrdId,
    OrigClOrdId,
    ExecId,
    QuoteId,
    MatchId,
    TriggerSeq,
    Channel,
    Status,
    TradeType,
    Decimal(DecimalCol),
}

impl Target {
    /// Whether the field says something of an event, so that a sequence of
    /// such fields is a sequence of events.
    pub fn is_event(self) -> bool {
        matches!(
            self,
            Self::EntryType
                | Self::Action
                | Self::Side
                | Self::Level
                | Self::OrderId
                | Self::MatchId
                | Self::ExecId
                | Self::Decimal(_)
        )
    }
}

/// The meaning of a field.
pub(super) fn target(name: &str, id: Option<u32>) -> Target {
    match by_name(&name.to_ascii_lowercase()) {
        Target::Nothing => id.map_or(Target::Nothing, by_tag),
        target => target,
    }
}

/// Which of several fields with one meaning fills the column: the smallest,
/// of equals the first. An entry's own price and size go before those of the
/// order or deal behind it, an order's id before the entry's.
pub(super) fn rank(name: &str, id: Option<u32>) -> u8 {
    match id {
        Some(270 | 271 | 37 | 880) => return 0,
        Some(44 | 38 | 278 | 1003) => return 2,
        Some(31 | 32) => return 3,
        _ => {}
    }
    match name.to_ascii_lowercase().as_str() {
        "mdentrypx" | "mdentrysize" | "orderid" | "trdmatchid" => 0,
        "lastpx" | "lastqty" | "mdentryid" => 3,
        _ => 1,
    }
}

fn by_tag(tag: u32) -> Target {
    match tag {
        11 => Target::ClOrdId,
        17 => Target::ExecId,
        31 | 44 | 270 => Target::Decimal(DecimalCol::Price),
        32 | 38 | 271 => Target::Decimal(DecimalCol::Qty),
        34 => Target::Seq,
        35 => Target::MsgType,
        37 | 278 => Target::OrderId,
        41 => Target::OrigClOrdId,
        48 => Target::InstrumentId,
        52 => Target::SendTime,
        // 10504 is OrderSide of the Moscow Exchange.
        54 | 10504 => Target::Side,
        55 => Target::Symbol,
        60 => Target::ExchTime,
        83 => Target::InstrumentSeq,
        117 => Target::QuoteId,
        132 => Target::Decimal(DecimalCol::BidPrice),
        133 => Target::Decimal(DecimalCol::AskPrice),
        134 => Target::Decimal(DecimalCol::BidQty),
        135 => Target::Decimal(DecimalCol::AskQty),
        151 => Target::Decimal(DecimalCol::QtyLeaves),
        14 => Target::Decimal(DecimalCol::QtyCum),
        269 => Target::EntryType,
        272 => Target::EntryDate,
        273 => Target::EntryClock,
        279 => Target::Action,
        326 => Target::Status,
        828 => Target::TradeType,
        880 | 1003 => Target::MatchId,
        1023 => Target::Level,
        _ => Target::Nothing,
    }
}

/// `name` in lower case.
fn by_name(name: &str) -> Target {
    match name {
        "messagetype" | "msgtype" => Target::MsgType,
        "msgseqnum" | "seqnum" | "sequencenumber" | "seq" => Target::Seq,
        "sendingtime" => Target::SendTime,
        "transacttime" | "eventtime" => Target::ExchTime,
        "exchtimens" | "tsexch" | "exchangetimens" | "eventtimens" => {
            Target::ExchTimeIn(TimeUnit::Nanoseconds)
        }
        "symbol" => Target::Symbol,
        "securityid" | "instrumentid" => Target::InstrumentId,
        "rptseq" => Target::InstrumentSeq,
        "mdentrytype" => Target::EntryType,
        "mdentrydate" => Target::EntryDate,
        "mdentrytime" => Target::EntryClock,
        "mdupdateaction" | "action" => Target::Action,
        "side" | "orderside" => Target::Side,
        "mdpricelevel" => Target::Level,
        "mdentryid" | "orderid" => Target::OrderId,
        "origorderid" => Target::OrigOrderId,
        "clordid" => Target::ClOrdId,
        "origclordid" => Target::OrigClOrdId,
        "execid" => Target::ExecId,
        "quoteid" => Target::QuoteId,
        "tradeid" | "matchid" | "trdmatchid" => Target::MatchId,
        "srcseqnum" | "sourceseq" | "sourceseqnum" => Target::TriggerSeq,
        "channel" | "channelid" => Target::Channel,
        "securitytradingstatus" => Target::Status,
        "trdtype" => Target::TradeType,
        "price" | "mdentrypx" | "lastpx" => Target::Decimal(DecimalCol::Price),
        "qty" | "size" | "quantity" | "orderqty" | "mdentrysize" | "lastqty" => {
            Target::Decimal(DecimalCol::Qty)
        }
        "leavesqty" => Target::Decimal(DecimalCol::QtyLeaves),
        "cumqty" => Target::Decimal(DecimalCol::QtyCum),
        "bidpx" | "bidprice" => Target::Decimal(DecimalCol::BidPrice),
        "bidsize" | "bidqty" => Target::Decimal(DecimalCol::BidQty),
        "offerpx" | "askpx" | "askprice" => Target::Decimal(DecimalCol::AskPrice),
        "offersize" | "asksize" | "askqty" => Target::Decimal(DecimalCol::AskQty),
        _ => Target::Nothing,
    }
}

/// Words in a template's name and what its messages are, the first that
/// matches: only where neither MsgType nor MDEntryType says it.
const TEMPLATE_WORDS: [(&str, Kind); 18] = [
    ("heartbeat", Kind::Heartbeat),
    ("reset", Kind::SequenceReset),
    ("logon", Kind::Session),
    ("logout", Kind::Session),
    ("news", Kind::News),
    ("instrument", Kind::Instrument),
    ("definition", Kind::Instrument),
    ("status", Kind::Status),
    ("statistic", Kind::Statistics),
    ("quote", Kind::Quote),
    ("delete", Kind::OrderDelete),
    ("cancel", Kind::OrderReduce),
    ("replace", Kind::OrderReplace),
    ("modify", Kind::OrderModify),
    ("execut", Kind::OrderFill),
    ("trade", Kind::Trade),
    ("add", Kind::OrderAdd),
    ("level", Kind::Level),
];

/// What a template's messages are, from its name.
pub(super) fn template_kind(name: &str) -> Kind {
    let name = name.to_ascii_lowercase();
    let word = TEMPLATE_WORDS.iter().find(|(word, _)| name.contains(word));
    word.map_or(Kind::Unknown, |&(_, kind)| kind)
}

/// What a message is by its FIX MsgType (tag 35), where that settles it.
pub(super) fn msg_type_kind(msg_type: &[u8]) -> Option<Kind> {
    Some(match msg_type {
        b"0" | b"1" => Kind::Heartbeat,
        b"2" => Kind::ResendRequest,
        b"3" | b"j" => Kind::Reject,
        b"4" => Kind::SequenceReset,
        b"5" | b"A" => Kind::Session,
        b"B" => Kind::News,
        b"S" => Kind::Quote,
        b"d" | b"y" => Kind::Instrument,
        b"f" | b"h" => Kind::Status,
        b"V" => Kind::Admin,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_win_over_private_numbers() {
        assert_eq!(target("Symbol", Some(37)), Target::Symbol);
        assert_eq!(target("mdentrypx", None), Target::Decimal(DecimalCol::Price));
        assert_eq!(target("Kurs", Some(270)), Target::Decimal(DecimalCol::Price));
        assert_eq!(target("Value", Some(1)), Target::Nothing);
    }

    #[test]
    fn template_names_tell_the_kind() {
        assert_eq!(template_kind("OrderAdd"), Kind::OrderAdd);
        assert_eq!(template_kind("DefaultTradingStatus"), Kind::Status);
        assert_eq!(template_kind("Benchmark"), Kind::Unknown);
    }
}
