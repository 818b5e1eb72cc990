//! ITCH over MoldUDP64.

use crate::calendar;
use crate::captures::wire::Capture;
use crate::encode::itch::{Head, Itch};
use crate::encode::mold::{self, MoldPacket};
use crate::net::addresses::{FEED_A, PUBLISHER};
use std::io;

const SESSION: &str = "NQ20260303";
/// Messages in a datagram.
const PER_DATAGRAM: usize = 4;

/// A short story with every ITCH 5.0 message type.
pub fn itch_of_every_type() -> Vec<Itch> {
    let stock = "ALFA";
    let mut all = reference_data(stock);
    all.extend(order_life(stock));
    all.extend(rest_of_day(stock));
    all
}

fn reference_data(stock: &'static str) -> Vec<Itch> {
    vec![
        Itch::SystemEvent { event: b'O' },
        Itch::StockDirectory { stock, round_lot: 100 },
        Itch::TradingAction { stock, state: b'T', reason: "" },
        Itch::RegSho { stock, action: b'0' },
        Itch::ParticipantPosition { mpid: "GSCO", stock, state: b'A' },
        Itch::MwcbDecline { levels_e8: [530_000_000_000, 495_600_000_000, 455_700_000_000] },
        Itch::IpoQuotingPeriod { stock, release_s: 36_000, qualifier: b'A', price_e4: 180_000 },
        Itch::OperationalHalt { stock, market: b'Q', action: b'T' },
    ]
}

fn order_life(stock: &'static str) -> Vec<Itch> {
    let price_e4 = 1_012_500;
    vec![
        Itch::Add { reference: 55_801, side: b'B', shares: 300, stock, price_e4 },
        Itch::AddMpid {
            reference: 55_802,
            side: b'S',
            shares: 500,
            stock,
            price_e4: 1_012_700,
            mpid: "VIRT",
        },
        Itch::Executed { reference: 55_801, shares: 100, match_number: 9_001 },
        Itch::ExecutedPrice {
            reference: 55_802,
            shares: 50,
            match_number: 9_002,
            printable: b'Y',
            price_e4: 1_012_600,
        },
        Itch::Cancel { reference: 55_802, shares: 150 },
        Itch::Replace { original: 55_801, reference: 55_803, shares: 250, price_e4: 1_012_400 },
        Itch::Delete { reference: 55_803 },
        Itch::Trade { side: b'B', shares: 75, stock, price_e4, match_number: 9_003 },
    ]
}

fn rest_of_day(stock: &'static str) -> Vec<Itch> {
    vec![
        Itch::RetailInterest { stock, interest: b'A' },
        Itch::LuldCollar { stock, prices_e4: [1_012_500, 1_063_100, 961_900], extension: 1 },
        Itch::MwcbStatus { level: b'1' },
        Itch::DirectListing {
            stock,
            eligible: b'Y',
            prices_e4: [810_000, 1_822_500, 1_012_500],
            near_time_ns: 34_200_000_000_000,
            collars_e4: [961_900, 1_063_100],
        },
        Itch::Imbalance {
            paired: 12_000,
            imbalance: 3_400,
            direction: b'B',
            stock,
            prices_e4: [1_012_900, 1_012_800, 1_012_500],
            cross: b'C',
            variation: b'L',
        },
        Itch::CrossTrade {
            shares: 15_400,
            stock,
            price_e4: 1_012_800,
            match_number: 9_004,
            cross: b'C',
        },
        Itch::BrokenTrade { match_number: 9_003 },
        Itch::SystemEvent { event: b'C' },
    ]
}

/// The capture: a heartbeat, the messages, the end of the session.
pub fn capture() -> io::Result<Vec<u8>> {
    let mut capture = Capture::new()?;
    let mut next = 1;
    capture.multicast(PUBLISHER, FEED_A, &mold::heartbeat(SESSION, next))?;
    for messages in itch_of_every_type().chunks(PER_DATAGRAM) {
        let mut packet = MoldPacket::new(SESSION, next);
        let time_ns = calendar::since_midnight_ns(capture.now_ns() - 5_000);
        for (position, message) in messages.iter().enumerate() {
            let locate = if matches!(message.code(), b'S' | b'V' | b'W') { 0 } else { 1 };
            let mut body = Vec::new();
            message.encode(Head { locate, tracking: position as u16, time_ns }, &mut body);
            packet.push(&body);
            next += 1;
        }
        capture.multicast(PUBLISHER, FEED_A, &packet.into_bytes())?;
    }
    capture.multicast(PUBLISHER, FEED_A, &mold::end_of_session(SESSION, next))?;
    capture.finish()
}
