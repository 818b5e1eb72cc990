//! `taptrail replay`: the packets of a capture out of an interface, with their
//! gaps.

use crate::cli::{Gap, ReplayArgs};
use crate::progress::Progress as Bar;
use anyhow::{Context, bail};
use std::time::Instant;
use taptrail_capture::file;
use taptrail_capture::packet::{LinkType, PacketBatch};
use taptrail_capture::point::TimestampFrom;
use taptrail_capture::replay::{Pace, Schedule, Sender, wait_until};
use taptrail_capture::source::{PacketSource, Progress};

/// What was sent.
#[derive(Default)]
struct Sent {
    packets: u64,
    bytes: u64,
    /// Packets of which the capture kept only a part, or of another link type.
    left_out: u64,
    /// Packets that the interface did not take.
    refused: u64,
    last_refusal: String,
}

/// Sends every whole Ethernet packet of the file.
pub fn run(args: ReplayArgs) -> anyhow::Result<()> {
    let pace = match args.gap {
        Gap::None => Pace::Flat,
        Gap::Original => Pace::Original { percent: percent(&args.speed)? },
    };
    let mut source = file::open(&args.file, TimestampFrom::Record)?;
    let mut sender = Sender::open(&args.interface)?;
    let mut schedule = Schedule::new(pace);
    let (mut batch, mut sent, start) = (PacketBatch::new(), Sent::default(), Instant::now());
    let bar = Bar::new("replaying", 0);
    loop {
        let progress = source.next_batch(&mut batch)?;
        for packet in batch.iter() {
            let whole = packet.data.len() as u64 >= u64::from(packet.meta.wire_len);
            if !whole || packet.meta.link_type != LinkType::ETHERNET {
                sent.left_out += 1;
                continue;
            }
            wait_until(start, schedule.due(packet.meta.ts.ns()));
            match sender.send(packet.data) {
                Ok(()) => {
                    sent.packets += 1;
                    sent.bytes += packet.data.len() as u64;
                }
                Err(error) => {
                    sent.refused += 1;
                    sent.last_refusal = error.to_string();
                }
            }
        }
        if progress == Progress::End {
            break;
        }
    }
    bar.finish();
    for warning in source.take_warnings() {
        eprintln!("taptrail: warning: {warning}");
    }
    tell(&args, &sent, start)
}

fn tell(args: &ReplayArgs, sent: &Sent, start: Instant) -> anyhow::Result<()> {
    let millis = start.elapsed().as_millis();
    println!(
        "{}: {} packets, {} bytes sent on {} in {}.{:03} s",
        args.file.display(),
        sent.packets,
        sent.bytes,
        args.interface,
        millis / 1000,
        millis % 1000
    );
    if sent.left_out > 0 {
        eprintln!("taptrail: {} packets cut or not Ethernet: not sent", sent.left_out);
    }
    if sent.refused > 0 {
        bail!("{} packets were not taken, the last: {}", sent.refused, sent.last_refusal);
    }
    Ok(())
}

/// Hundredths of a decimal number: `2`, `0.5`, `1.25`.
fn percent(speed: &str) -> anyhow::Result<u32> {
    let wrong = || format!("--speed {speed}: needs a number from 0.01 to 1000000, like 0.5 or 10");
    let (whole, fraction) = speed.split_once('.').unwrap_or((speed, ""));
    let digits = fraction.len() <= 2 && fraction.bytes().all(|b| b.is_ascii_digit());
    let whole: u32 = whole.parse().with_context(wrong)?;
    let hundredths: u32 =
        if digits { format!("{fraction:0<2}").parse().with_context(wrong)? } else { 0 };
    let percent = whole.checked_mul(100).and_then(|whole| whole.checked_add(hundredths));
    let fits = |percent: &u32| digits && (1..=100_000_000).contains(percent);
    percent.filter(fits).with_context(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds() {
        for (text, is) in [("1", 100), ("0.5", 50), ("10", 1000), ("1.25", 125), ("0.01", 1)] {
            assert_eq!(percent(text).unwrap(), is, "{text}");
        }
        for wrong in ["0", "x", "-1", "1.234", "", "1.x", "99999999"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }
}
