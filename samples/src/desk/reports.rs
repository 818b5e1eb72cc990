//! FIX requests and reports as tag=value messages.

use crate::calendar;
use crate::desk::messages::{Ask, FixReport, FixRequest, Said, Terms};
use crate::encode::fix::{Fix, price_text};
use crate::venue::symbols::SYMBOLS;

/// The user tag in which an order names the feed message that triggered it.
pub const TRIGGER_TAG: u32 = 9717;

/// The message of a request sent at `now_ns`; `reference` is the exchange's
/// number of the order, where known.
pub fn request(
    request: &FixRequest,
    reference: Option<u64>,
    trigger_seq: Option<u64>,
    now_ns: i64,
) -> Fix {
    let FixRequest { terms, cl_ord_id, orig_cl_ord_id, .. } = request;
    let msg_type = match request.ask {
        Ask::New => "D",
        Ask::Cancel => "F",
        Ask::Replace => "G",
    };
    let fix = Fix::new(msg_type)
        .maybe(41, orig_cl_ord_id.as_deref())
        .maybe(37, reference)
        .field(11, cl_ord_id)
        .field(1, account(request.strategy))
        .field(55, SYMBOLS[terms.symbol].name)
        .field(54, side(terms))
        .field(60, calendar::utc_timestamp(now_ns))
        .field(38, terms.qty);
    if request.ask == Ask::Cancel {
        return fix;
    }
    fix.field(40, 2)
        .field(44, price_text(u64::from(terms.price_e4)))
        .field(59, if terms.ioc { 3 } else { 0 })
        .maybe(210, terms.hidden.then_some(0))
        .maybe(TRIGGER_TAG, trigger_seq)
}

/// The message of a report sent at `now_ns`; a drop copy says that it is one.
pub fn report(report: &FixReport, copy: bool, now_ns: i64) -> Fix {
    match report.said {
        Said::CancelRejected => cancel_reject(report, 1, now_ns),
        Said::ReplaceRejected => cancel_reject(report, 2, now_ns),
        _ => execution(report, copy, now_ns),
    }
}

fn execution(report: &FixReport, copy: bool, now_ns: i64) -> Fix {
    let FixReport { terms, cum, leaves, .. } = report;
    let average_e4 = report.notional_e4.checked_div(u64::from(*cum)).unwrap_or(0);
    let fix = Fix::new("8")
        .field(37, reference(report))
        .field(11, &report.cl_ord_id)
        .maybe(41, report.orig_cl_ord_id.as_deref())
        .field(17, &report.exec_id)
        .field(150, exec_type(report.said))
        .field(39, order_status(report))
        .field(1, account(report.strategy))
        .field(55, SYMBOLS[terms.symbol].name)
        .field(54, side(terms))
        .field(38, terms.qty)
        .field(40, 2)
        .field(44, price_text(u64::from(terms.price_e4)))
        .field(59, if terms.ioc { 3 } else { 0 });
    let fix = match report.last {
        Some((qty, price_e4, match_number)) => {
            fix.field(32, qty).field(31, price_text(u64::from(price_e4))).field(880, match_number)
        }
        None => fix,
    };
    fix.field(151, leaves)
        .field(14, cum)
        .field(6, price_text(average_e4))
        .field(60, calendar::utc_timestamp(now_ns))
        .maybe(103, (report.said == Said::Rejected).then_some(0))
        .maybe(58, report.text)
        .maybe(797, copy.then_some('Y'))
}

fn cancel_reject(report: &FixReport, response_to: u32, now_ns: i64) -> Fix {
    Fix::new("9")
        .field(37, reference(report))
        .field(11, &report.cl_ord_id)
        .maybe(41, report.orig_cl_ord_id.as_deref())
        .field(39, order_status(report))
        .field(1, account(report.strategy))
        .field(60, calendar::utc_timestamp(now_ns))
        .field(434, response_to)
        .field(102, if report.leaves == 0 { 0 } else { 2 })
        .maybe(58, report.text)
}

fn reference(report: &FixReport) -> String {
    report.reference.map_or_else(|| "NONE".to_string(), |number| number.to_string())
}

fn account(strategy: usize) -> String {
    format!("ACC{}", strategy + 1)
}

fn side(terms: &Terms) -> char {
    if terms.side == b'B' { '1' } else { '2' }
}

fn exec_type(said: Said) -> char {
    match said {
        Said::New => '0',
        Said::Trade => 'F',
        Said::Canceled => '4',
        Said::Replaced => '5',
        Said::Expired => 'C',
        Said::Rejected | Said::CancelRejected | Said::ReplaceRejected => '8',
    }
}

fn order_status(report: &FixReport) -> char {
    match report.said {
        Said::Canceled => '4',
        Said::Expired => 'C',
        Said::Rejected => '8',
        _ if report.leaves == 0 && report.cum > 0 => '2',
        _ if report.leaves == 0 => '4',
        _ if report.cum > 0 => '1',
        _ => '0',
    }
}
