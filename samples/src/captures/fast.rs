//! FAST on the internal bus.

use crate::captures::wire::Capture;
use crate::encode::fast::{BookUpdate, BusDatagram};
use crate::net::addresses::{BUS, BUS_SENDER};
use std::io;

/// How to decode the capture.
pub const CONFIG: &str = r#"# The internal bus of the sample site.
[[feed]]
protocol = "fast.bus"
group = "239.10.4.1"
port = 30001
templates = "fast.bus.xml"
preamble = ["u32le seq"]
reset = "datagram"

[decode]
schemas = "."
"#;

const FIRST: BookUpdate<'static> = BookUpdate {
    source_sequence: 88_123,
    symbol: "ALFA",
    action: 0,
    entry_type: "0",
    price_e4: 1_012_500,
    size: 300,
    orders: Some(1),
};

/// The capture: status, three datagrams of updates, a heartbeat.
pub fn capture() -> io::Result<Vec<u8>> {
    let mut capture = Capture::new()?;
    let mut sequence = 0;
    let mut number = 0;
    let mut send = |updates: &[BookUpdate<'_>]| {
        number += 1;
        let mut datagram = BusDatagram::new(number);
        if updates.is_empty() {
            sequence += 1;
            if number == 1 {
                datagram.status(sequence, "handler up");
            } else {
                datagram.heartbeat(sequence);
            }
        }
        for update in updates {
            sequence += 1;
            datagram.book_update(sequence, update);
        }
        capture.multicast(BUS_SENDER, BUS, &datagram.into_bytes())
    };
    send(&[])?;
    send(&[FIRST])?;
    send(&[
        BookUpdate { source_sequence: 88_124, entry_type: "1", price_e4: 1_012_700, ..FIRST },
        BookUpdate { source_sequence: 88_125, entry_type: "2", size: 100, orders: None, ..FIRST },
        BookUpdate { source_sequence: 88_125, action: 1, size: 200, ..FIRST },
    ])?;
    send(&[
        BookUpdate { source_sequence: 88_130, symbol: "BRVO", price_e4: 254_300, ..FIRST },
        BookUpdate { source_sequence: 88_131, action: 2, size: 0, orders: None, ..FIRST },
    ])?;
    send(&[])?;
    capture.finish()
}
