//! What a message type and its codes mean in the words of
//! [`crate::kind`]: from tags 35, 150, 20, 39, 40, 54, 59, 269, 279 (FIX 4.0 to
//! 5.0 SP2, "MsgType", "ExecType", "ExecTransType", ...).

use super::columns::{Row, Slot};
use crate::kind::{Action, ExecType, Kind, OrdStatus, OrdType, PriceKind, Side, Tif};

/// The group whose entries become rows of their own, where the type has one.
pub fn row_group(msg_type: &[u8]) -> Option<u32> {
    match msg_type {
        b"W" | b"X" => Some(268),
        b"i" | b"b" => Some(295),
        b"AE" | b"s" | b"t" | b"u" => Some(552),
        b"E" | b"N" => Some(73),
        b"R" | b"y" => Some(146),
        b"8" => Some(1362),
        b"J" | b"P" | b"AS" => Some(78),
        _ => None,
    }
}

/// What a row says happened.
pub fn kind(msg_type: &[u8], row: &Row) -> Kind {
    match msg_type {
        [code] => kind_of_letter(*code, row),
        b"AA" | b"BJ" | b"BK" | b"BM" | b"BP" | b"BR" => Kind::Instrument,
        b"AB" => Kind::ReqNew,
        b"AC" => Kind::ReqReplace,
        b"AE" => trade_kind(row),
        b"AG" => Kind::Reject,
        b"AH" | b"AJ" => Kind::ReqQuote,
        b"AI" => Kind::RptStatus,
        b"AF" | b"CA" => Kind::ReqMass,
        b"BZ" => mass_report_kind(row),
        b"BE" | b"BF" => Kind::Session,
        _ => Kind::Admin,
    }
}

fn kind_of_letter(code: u8, row: &Row) -> Kind {
    match code {
        b'D' | b'E' | b's' => Kind::ReqNew,
        b'F' | b'u' => Kind::ReqCancel,
        b'G' | b't' => Kind::ReqReplace,
        b'q' => Kind::ReqMass,
        b'8' => report_kind(row),
        b'9' => Kind::RptCancelReject,
        b'N' => Kind::RptStatus,
        b'r' => mass_report_kind(row),
        b'b' => Kind::RptStatus,
        b'0' | b'1' => Kind::Heartbeat,
        b'A' | b'5' => Kind::Session,
        b'2' => Kind::ResendRequest,
        b'3' | b'j' | b'Q' | b'Y' => Kind::Reject,
        b'4' => Kind::SequenceReset,
        b'W' => entry_kind(row).unwrap_or(Kind::BookClear),
        b'X' => entry_kind(row).unwrap_or(Kind::Level),
        b'R' | b'Z' | b'i' => Kind::ReqQuote,
        b'S' => Kind::Quote,
        b'd' | b'y' => Kind::Instrument,
        b'f' | b'h' => Kind::Status,
        b'B' => Kind::News,
        _ => Kind::Admin,
    }
}

/// An execution report: tag 150 since FIX 4.1, which FIX 4.2 qualifies by tag
/// 20; before, tag 39.
fn report_kind(row: &Row) -> Kind {
    match row.get(Slot::ExecTransType) {
        Some(b"1") => return Kind::TradeBust,
        Some(b"2") => return Kind::TradeCorrect,
        Some(b"3") => return Kind::RptStatus,
        _ => {}
    }
    match row.get(Slot::ExecType).or_else(|| row.get(Slot::OrdStatus)) {
        Some(b"0") => Kind::RptAck,
        Some(b"1" | b"2" | b"F") => Kind::RptFill,
        Some(b"3" | b"C") => Kind::RptDone,
        Some(b"4") => Kind::RptCanceled,
        Some(b"5") => Kind::RptReplaced,
        Some(b"8") => Kind::RptReject,
        Some(b"G") => Kind::TradeCorrect,
        Some(b"H") => Kind::TradeBust,
        _ => Kind::RptStatus,
    }
}

/// A trade capture report: tag 487 says whether it undoes or changes one.
fn trade_kind(row: &Row) -> Kind {
    match row.get(Slot::TradeReportTransType) {
        Some(b"1") => Kind::TradeBust,
        Some(b"2") => Kind::TradeCorrect,
        _ => Kind::Trade,
    }
}

/// The answer to a mass request: tag 531, or 1375, is 0 where it was rejected.
fn mass_report_kind(row: &Row) -> Kind {
    match row.get(Slot::MassResponse) {
        Some(b"0") => Kind::RptReject,
        _ => Kind::RptAck,
    }
}

/// A market-data entry: tag 269; with an order's id it is that order's. `None`
/// where there is no entry.
fn entry_kind(row: &Row) -> Option<Kind> {
    let entry_type = row.get(Slot::MdEntryType);
    if entry_type.is_none() && row.get(Slot::MdUpdateAction).is_none() {
        return None;
    }
    Some(match entry_type {
        Some(b"0" | b"1") if row.get(Slot::OrderId).is_some() => order_kind(row),
        Some(b"2") => match action(row) {
            Some(Action::Change) => Kind::TradeCorrect,
            Some(Action::Delete) => Kind::TradeBust,
            _ => Kind::Trade,
        },
        Some(b"3") => Kind::Index,
        Some(b"A") => Kind::Imbalance,
        Some(b"J") => Kind::BookClear,
        Some(b"4" | b"5" | b"6" | b"7" | b"8" | b"9" | b"B" | b"C" | b"N" | b"O") => {
            Kind::Statistics
        }
        _ => Kind::Level,
    })
}

fn order_kind(row: &Row) -> Kind {
    match action(row) {
        Some(Action::Change | Action::Overlay) => Kind::OrderModify,
        Some(Action::Delete | Action::DeleteThru | Action::DeleteFrom) => Kind::OrderDelete,
        _ => Kind::OrderAdd,
    }
}

/// Tag 279.
pub fn action(row: &Row) -> Option<Action> {
    match row.get(Slot::MdUpdateAction)? {
        b"0" => Some(Action::New),
        b"1" => Some(Action::Change),
        b"2" => Some(Action::Delete),
        b"3" => Some(Action::DeleteThru),
        b"4" => Some(Action::DeleteFrom),
        b"5" => Some(Action::Overlay),
        _ => None,
    }
}

/// Tag 54, or of a market-data entry tag 269. Buy minus and sell plus are
/// sides with a condition.
pub fn side(row: &Row) -> Option<Side> {
    let Some(code) = row.get(Slot::Side) else { return entry_side(row) };
    match code {
        b"1" | b"3" => Some(Side::Buy),
        b"2" | b"4" => Some(Side::Sell),
        b"5" => Some(Side::SellShort),
        b"6" => Some(Side::SellShortExempt),
        b"8" | b"9" | b"A" => Some(Side::Cross),
        _ => None,
    }
}

fn entry_side(row: &Row) -> Option<Side> {
    match row.get(Slot::MdEntryType)? {
        b"0" => Some(Side::Buy),
        b"1" => Some(Side::Sell),
        _ => None,
    }
}

/// Tag 40.
pub fn ord_type(code: &[u8]) -> OrdType {
    match code {
        b"1" => OrdType::Market,
        b"2" => OrdType::Limit,
        b"3" => OrdType::Stop,
        b"4" => OrdType::StopLimit,
        b"5" => OrdType::MarketOnClose,
        b"P" => OrdType::Pegged,
        _ => OrdType::Other,
    }
}

/// Tag 59.
pub fn tif(code: &[u8]) -> Tif {
    match code {
        b"0" => Tif::Day,
        b"1" => Tif::Gtc,
        b"2" => Tif::Opening,
        b"3" => Tif::Ioc,
        b"4" => Tif::Fok,
        b"5" => Tif::Gtx,
        b"6" => Tif::Gtd,
        b"7" => Tif::Closing,
        _ => Tif::Other,
    }
}

/// Tag 39.
pub fn ord_status(code: &[u8]) -> Option<OrdStatus> {
    match code {
        b"0" => Some(OrdStatus::New),
        b"1" => Some(OrdStatus::PartiallyFilled),
        b"2" => Some(OrdStatus::Filled),
        b"3" => Some(OrdStatus::DoneForDay),
        b"4" => Some(OrdStatus::Canceled),
        b"5" => Some(OrdStatus::Replaced),
        b"6" => Some(OrdStatus::PendingCancel),
        b"7" => Some(OrdStatus::Stopped),
        b"8" => Some(OrdStatus::Rejected),
        b"9" => Some(OrdStatus::Suspended),
        b"A" => Some(OrdStatus::PendingNew),
        b"B" => Some(OrdStatus::Calculated),
        b"C" => Some(OrdStatus::Expired),
        b"D" => Some(OrdStatus::AcceptedForBidding),
        b"E" => Some(OrdStatus::PendingReplace),
        _ => None,
    }
}

/// Tag 150; the fills of FIX 4.2 are trades.
pub fn exec_type(code: &[u8]) -> ExecType {
    match code {
        b"0" => ExecType::New,
        b"1" | b"2" | b"F" => ExecType::Trade,
        b"3" => ExecType::DoneForDay,
        b"4" => ExecType::Canceled,
        b"5" => ExecType::Replaced,
        b"6" => ExecType::PendingCancel,
        b"7" => ExecType::Stopped,
        b"8" => ExecType::Rejected,
        b"9" => ExecType::Suspended,
        b"A" => ExecType::PendingNew,
        b"B" => ExecType::Calculated,
        b"C" => ExecType::Expired,
        b"D" => ExecType::Restated,
        b"E" => ExecType::PendingReplace,
        b"G" => ExecType::TradeCorrect,
        b"H" => ExecType::TradeCancel,
        b"I" => ExecType::OrderStatus,
        _ => ExecType::Other,
    }
}

/// What the price is: tag 423 where it is no price per unit, tag 40 where
/// there is none or it is pegged.
pub fn price_kind(row: &Row) -> Option<PriceKind> {
    match (row.get(Slot::PriceType), row.get(Slot::OrdType)) {
        (Some(b"1"), _) => Some(PriceKind::Percent),
        (Some(b"9"), _) => Some(PriceKind::Yield),
        (_, Some(b"1" | b"5")) => Some(PriceKind::Market),
        (_, Some(b"P")) => Some(PriceKind::Peg),
        (_, Some(b"2" | b"4")) => Some(PriceKind::Limit),
        _ => None,
    }
}
