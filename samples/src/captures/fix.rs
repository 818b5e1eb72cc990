//! FIX 4.4 over TCP.

use crate::calendar;
use crate::captures::wire::{CLIENT, Capture, SERVER, Talk};
use crate::desk::messages::{Ask, FixReport, FixRequest, Said, Terms};
use crate::desk::reports;
use crate::encode::fix::{Fix, Parties};
use crate::net::addresses::{FIX_SERVER, strategy};
use std::io;

const TERMS: Terms =
    Terms { symbol: 0, side: b'B', qty: 300, price_e4: 1_012_500, ioc: false, hidden: false };

fn request(ask: Ask, cl_ord_id: &str, orig: Option<&str>) -> FixRequest {
    FixRequest {
        id: 0,
        ask,
        order: 1,
        strategy: 0,
        cl_ord_id: cl_ord_id.into(),
        orig_cl_ord_id: orig.map(Into::into),
        terms: TERMS,
    }
}

fn report(said: Said, exec_id: &str, cl_ord_id: &str, orig: Option<&str>) -> FixReport {
    FixReport {
        id: 0,
        order: 1,
        strategy: 0,
        said,
        cl_ord_id: cl_ord_id.into(),
        orig_cl_ord_id: orig.map(Into::into),
        exec_id: exec_id.into(),
        reference: Some(55_801),
        terms: TERMS,
        cum: 0,
        leaves: 300,
        notional_e4: 0,
        last: None,
        text: None,
    }
}

fn fill() -> FixReport {
    FixReport {
        cum: 100,
        leaves: 200,
        notional_e4: 100 * 1_012_500,
        last: Some((100, 1_012_500, 9_001)),
        ..report(Said::Trade, "E0000002", "S1-000001", None)
    }
}

/// A trading session: which end says what.
fn story(now_ns: i64) -> Vec<(usize, Fix)> {
    let logon = || Fix::new("A").field(98, 0).field(108, 30).field(141, 'Y');
    let ask = |request: FixRequest, reference, trigger| {
        (CLIENT, reports::request(&request, reference, trigger, now_ns))
    };
    let say = |report: FixReport| (SERVER, reports::report(&report, false, now_ns));
    let old = Some("S1-000001");
    let rejected = FixReport {
        reference: None,
        leaves: 0,
        ..report(Said::Rejected, "E0000005", "S1-000005", None)
    };
    vec![
        (CLIENT, logon()),
        (SERVER, logon()),
        ask(request(Ask::New, "S1-000001", None), None, Some(88_123)),
        say(report(Said::New, "E0000001", "S1-000001", None)),
        say(fill()),
        ask(request(Ask::Replace, "S1-000002", old), Some(55_801), None),
        say(report(Said::Replaced, "E0000003", "S1-000002", old)),
        ask(request(Ask::Cancel, "S1-000003", Some("S1-000002")), Some(55_801), None),
        say(report(Said::CancelRejected, "-", "S1-000003", Some("S1-000002"))),
        ask(request(Ask::Cancel, "S1-000004", Some("S1-000002")), Some(55_801), None),
        say(FixReport {
            leaves: 0,
            ..report(Said::Canceled, "E0000004", "S1-000004", Some("S1-000002"))
        }),
        ask(request(Ask::New, "S1-000005", None), None, None),
        say(FixReport { text: Some("risk limit"), ..rejected }),
        (CLIENT, Fix::new("1").field(112, "T1")),
        (SERVER, Fix::new("0").field(112, "T1")),
        // Raw data with the separator inside, cut by its length.
        (
            SERVER,
            Fix::new("B")
                .field(148, "note")
                .field(33, 1)
                .field(58, "hello")
                .field(95, 5)
                .field(96, "a\x01b=c"),
        ),
        (CLIENT, Fix::new("5").field(58, "end of day")),
        (SERVER, Fix::new("5")),
    ]
}

/// The capture: a message a segment, but for one cut into two.
pub fn capture() -> io::Result<Vec<u8>> {
    let mut capture = Capture::new()?;
    let mut talk = Talk::open(&mut capture, strategy(0), FIX_SERVER)?;
    let party =
        |sender: &str, target: &str| Parties { sender: sender.into(), target: target.into() };
    let parties = [party("STRAT1", "RISKGW"), party("RISKGW", "STRAT1")];
    let mut numbers = [0; 2];
    for (position, (end, fix)) in story(capture.now_ns()).into_iter().enumerate() {
        numbers[end] += 1;
        let time = calendar::utc_timestamp(capture.now_ns() - 2_000);
        let bytes = fix.encode(&parties[end], numbers[end], &time);
        if position == 4 {
            talk.say(&mut capture, end, &bytes[..60])?;
            talk.say(&mut capture, end, &bytes[60..])?;
        } else {
            talk.say(&mut capture, end, &bytes)?;
        }
    }
    capture.finish()
}
