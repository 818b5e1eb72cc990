//! OUCH over SoupBinTCP.

use crate::calendar;
use crate::captures::wire::{CLIENT, Capture, SERVER, Talk};
use crate::config::DEFAULT_START_NS;
use crate::encode::ouch::{FIRM, MIN_QTY, OptionField, OrderTerms, Ouch, POST_ONLY};
use crate::encode::soup;
use crate::net::addresses::{OUCH_CLIENT, OUCH_SERVER};
use std::io;

const OPTIONS: &[OptionField<'static>] =
    &[(FIRM, b"ABCD"), (MIN_QTY, &[0, 0, 0, 100]), (POST_ONLY, b"P")];
/// Display quantity and display price of a restated order (appendix B, 22, 23).
const RESTATED: &[OptionField<'static>] =
    &[(22, &[0, 0, 0, 100]), (23, &[0, 0, 0, 0, 0, 0x0F, 0x73, 0x14])];

fn terms(quantity: u32, cl_ord_id: &'static str) -> OrderTerms<'static> {
    OrderTerms {
        side: b'B',
        quantity,
        symbol: "ALFA",
        price_e4: 1_012_500,
        time_in_force: b'0',
        display: b'Y',
        cl_ord_id,
    }
}

/// A short story with every OUCH 5.0 message type of both directions.
pub fn ouch_of_every_type() -> Vec<Ouch<'static>> {
    let time = calendar::since_midnight_ns(DEFAULT_START_NS) + 100_000;
    let mut all = first_order(time);
    all.extend(later_orders(time + 100_000));
    all
}

/// Entered, executed in part, replaced, canceled.
fn first_order(time: u64) -> Vec<Ouch<'static>> {
    vec![
        Ouch::SystemEvent { time, event: b'S' },
        Ouch::AccountQuery,
        Ouch::AccountQueryResponse { time, next_user_ref: 1 },
        Ouch::EnterOrder { user_ref: 1, terms: terms(300, "GW00000001"), options: OPTIONS },
        Ouch::Accepted {
            time,
            user_ref: 1,
            terms: terms(300, "GW00000001"),
            reference: 55_801,
            state: b'L',
            options: OPTIONS,
        },
        Ouch::Executed {
            time,
            user_ref: 1,
            quantity: 100,
            price_e4: 1_012_500,
            liquidity: b'A',
            match_number: 9_001,
        },
        Ouch::ReplaceRequest { original: 1, user_ref: 2, terms: terms(350, "GW00000002") },
        Ouch::Replaced {
            time,
            original: 1,
            user_ref: 2,
            terms: terms(250, "GW00000002"),
            reference: 55_803,
        },
        Ouch::CancelRequest { user_ref: 2, quantity: 0 },
        Ouch::CancelPending { time, user_ref: 2 },
        Ouch::CancelReject { time, user_ref: 2 },
        Ouch::Canceled { time, user_ref: 2, quantity: 250, reason: b'U' },
    ]
}

/// Everything else.
fn later_orders(time: u64) -> Vec<Ouch<'static>> {
    vec![
        Ouch::EnterOrder { user_ref: 3, terms: terms(0, "GW00000003"), options: &[] },
        Ouch::Rejected { time, user_ref: 3, reason: 0x13, cl_ord_id: "GW00000003" },
        Ouch::ModifyRequest { user_ref: 4, side: b'T', quantity: 200 },
        Ouch::Modified { time, user_ref: 4, side: b'T', quantity: 200 },
        Ouch::Restated { time, user_ref: 4, reason: b'R', options: RESTATED },
        Ouch::PriorityUpdate {
            time,
            user_ref: 4,
            price_e4: 1_012_400,
            display: b'Y',
            reference: 55_804,
        },
        Ouch::AiqCanceled {
            time,
            user_ref: 4,
            decrement: 100,
            prevented: 100,
            price_e4: 1_012_500,
        },
        Ouch::BrokenTrade {
            time,
            user_ref: 1,
            match_number: 9_001,
            reason: b'E',
            cl_ord_id: "GW00000001",
        },
    ]
}

/// The capture: connection, login, a message a segment but for the last two,
/// which share one, signs of life, the end of the session.
pub fn capture() -> io::Result<Vec<u8>> {
    let mut capture = Capture::new()?;
    let mut talk = Talk::open(&mut capture, OUCH_CLIENT, OUCH_SERVER)?;
    let login = soup::login_request("GWAY1", "secret", "", 1);
    talk.say(&mut capture, CLIENT, &login)?;
    talk.say(&mut capture, SERVER, &soup::login_accepted("OU20260303", 1))?;
    let all = ouch_of_every_type();
    let (last_two, others) = (&all[all.len() - 2..], &all[..all.len() - 2]);
    for ouch in others {
        let bytes = ouch.encode();
        if ouch.is_request() {
            talk.say(&mut capture, CLIENT, &soup::unsequenced(&bytes))?;
        } else {
            talk.say(&mut capture, SERVER, &soup::sequenced(&bytes))?;
        }
    }
    let shared: Vec<u8> = last_two.iter().flat_map(|m| soup::sequenced(&m.encode())).collect();
    talk.say(&mut capture, SERVER, &shared)?;
    talk.say(&mut capture, SERVER, &soup::debug("end of story"))?;
    talk.say(&mut capture, SERVER, &soup::server_heartbeat())?;
    talk.say(&mut capture, CLIENT, &soup::client_heartbeat())?;
    talk.say(&mut capture, CLIENT, &soup::logout_request())?;
    talk.say(&mut capture, SERVER, &soup::end_of_session())?;
    capture.finish()
}
