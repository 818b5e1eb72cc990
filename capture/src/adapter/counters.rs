//! What an adapter counts as lost before any socket saw it.
//!
//! ```text
//! wire ─▶ adapter ─────▶ its queue ────▶ system ──▶ packet sockets
//!           crc, errors    missed, fifo    dropped
//! ```
//!
//! All are 64 bits and count whatever arrived, also what no filter wants. The
//! driver's own counters (`ethtool -S`) count the same packets once more, by
//! names that only the driver defines: they are kept as words, never summed.

use super::{SIOCETHTOOL, ask};
use crate::account::{DRIVER_COUNTERS_MAX, NicCounts};
use std::path::Path;
use std::time::{Duration, Instant};

/// The adapter's counters as the system shows them; all unknown where the
/// interface is gone.
pub fn nic_counts(interface: &str) -> NicCounts {
    let read = |name: &str| -> Option<u64> {
        let directory = Path::new("/sys/class/net").join(interface).join("statistics");
        std::fs::read_to_string(directory.join(name)).ok()?.trim().parse().ok()
    };
    if interface.contains('/') {
        return NicCounts::default();
    }
    NicCounts {
        packets: read("rx_packets"),
        dropped: read("rx_dropped"),
        missed: read("rx_missed_errors"),
        fifo: read("rx_fifo_errors"),
        errors: read("rx_errors"),
        crc: read("rx_crc_errors"),
    }
}

/// A counter of the adapter as the growth since it was first read; one that
/// was set back counts on from there.
#[derive(Clone, Copy, Debug, Default)]
struct Growth {
    last: Option<u64>,
    total: Option<u64>,
}

impl Growth {
    fn add(&mut self, now: Option<u64>) -> Option<u64> {
        if let Some(now) = now {
            let grown = match self.last {
                Some(last) => now.checked_sub(last).unwrap_or(now),
                None => 0,
            };
            self.total = Some(self.total.unwrap_or(0).saturating_add(grown));
            self.last = Some(now);
        }
        self.total
    }
}

/// The adapter's counters since the first reading.
#[derive(Clone, Copy, Debug, Default)]
pub struct NicGrowth([Growth; 6]);

impl NicGrowth {
    /// Takes a reading and gives the growth so far.
    pub fn add(&mut self, now: NicCounts) -> NicCounts {
        let [packets, dropped, missed, fifo, errors, crc] = &mut self.0;
        NicCounts {
            packets: packets.add(now.packets),
            dropped: dropped.add(now.dropped),
            missed: missed.add(now.missed),
            fifo: fifo.add(now.fifo),
            errors: errors.add(now.errors),
            crc: crc.add(now.crc),
        }
    }
}

/// Most counters that are read of a driver; one with more is left alone.
const COUNTERS_MAX: usize = 16_384;

/// Bytes of a counter's name.
const NAME_BYTES: usize = 32;

/// An answer that takes longer is asked for rarely.
const CHEAP: Duration = Duration::from_millis(5);

/// Readings that are left out after one that was not cheap.
const LEFT_OUT: u32 = 60;

/// The driver's own counters that tell of drops, since they were first read.
#[derive(Debug, Default)]
pub struct DriverGrowth {
    counters: Vec<(String, Growth)>,
    /// How many the driver had when their names were read.
    of: usize,
    leave_out: u32,
}

impl DriverGrowth {
    /// Reads them, unless the last reading took long, and gives those that have
    /// grown so far.
    pub fn read(&mut self, interface: &str) -> Vec<(String, u64)> {
        if self.leave_out > 0 {
            self.leave_out -= 1;
        } else {
            let start = Instant::now();
            match values(interface, &mut self.of, &mut self.counters) {
                Ok(()) if start.elapsed() <= CHEAP => {}
                // No such counters, or dear ones.
                _ => self.leave_out = LEFT_OUT,
            }
        }
        let grown = self.counters.iter().filter_map(|(name, growth)| {
            Some((name.clone(), growth.total.filter(|total| *total > 0)?))
        });
        grown.take(DRIVER_COUNTERS_MAX).collect()
    }
}

/// Takes a reading; the names anew where their number has changed.
fn values(
    interface: &str,
    of: &mut usize,
    counters: &mut Vec<(String, Growth)>,
) -> std::io::Result<()> {
    let count = number(interface)?;
    if count == 0 || count > COUNTERS_MAX {
        return Err(std::io::ErrorKind::Unsupported.into());
    }
    let names = names(interface, count)?;
    if count != *of {
        *of = count;
        counters.clear();
    }
    let values = stats(interface, count)?;
    for (name, value) in names.into_iter().zip(values).filter(|(name, _)| tells_of_drops(name)) {
        match counters.iter_mut().find(|(known, _)| *known == name) {
            Some((_, growth)) => growth.add(Some(value)),
            None => {
                let mut growth = Growth::default();
                let first = growth.add(Some(value));
                counters.push((name, growth));
                first
            }
        };
    }
    Ok(())
}

/// The set of statistics, as ethtool numbers sets of strings.
const STATS_SET: u32 = 1;

/// How many counters the driver has (`ETHTOOL_GSSET_INFO`).
fn number(interface: &str) -> std::io::Result<usize> {
    let mask = word_pair(1 << STATS_SET);
    // Command, reserved, mask of sets, one number for the one set asked for.
    let mut words = [0x37, 0, mask[0], mask[1], 0, 0];
    ask(interface, SIOCETHTOOL, &mut words)?;
    let [.., mask0, mask1, count, _] = words;
    Ok(if [mask0, mask1] == [0, 0] { 0 } else { count as usize })
}

/// Their names (`ETHTOOL_GSTRINGS`).
fn names(interface: &str, count: usize) -> std::io::Result<Vec<String>> {
    // Command, set, count; then as for the values.
    let mut words = vec![0; 3 + room(count) * NAME_BYTES / 4];
    words[..3].copy_from_slice(&[0x1b, STATS_SET, count as u32]);
    ask(interface, SIOCETHTOOL, &mut words)?;
    let bytes: Vec<u8> = words.iter().skip(3).flat_map(|word| word.to_ne_bytes()).collect();
    let names = bytes.chunks_exact(NAME_BYTES).take(count);
    Ok(names.map(|name| one_word(name.split(|&byte| byte == 0).next().unwrap_or(name))).collect())
}

/// Their values (`ETHTOOL_GSTATS`).
fn stats(interface: &str, count: usize) -> std::io::Result<Vec<u64>> {
    let mut words = vec![0; 2 + room(count) * 2];
    words[..2].copy_from_slice(&[0x1d, count as u32]);
    ask(interface, SIOCETHTOOL, &mut words)?;
    let values = words[2..].as_chunks::<2>().0.iter().take(count);
    Ok(values.map(|&[a, b]| value([a, b])).collect())
}

/// Room for `count` counters and those that a driver may get between two
/// questions: it writes as many as it has by then.
fn room(count: usize) -> usize {
    2 * count + 4_096
}

fn word_pair(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_ne_bytes();
    [[a, b, c, d], [e, f, g, h]].map(u32::from_ne_bytes)
}

fn value(words: [u32; 2]) -> u64 {
    let [[a, b, c, d], [e, f, g, h]] = words.map(u32::to_ne_bytes);
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// A name without blanks and equals signs, as an account can keep it.
fn one_word(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    text.chars().map(|c| if c.is_whitespace() || c == '=' { '_' } else { c }).collect()
}

/// Whether a counter of this name tells of received packets that were lost.
/// Drivers agree on no names; these words are in those of ixgbe, i40e, ice, mlx5,
/// bnxt, sfc, ena, virtio and veth. What an XDP program drops is dropped on
/// purpose.
fn tells_of_drops(name: &str) -> bool {
    const LOST: [&str; 13] = [
        "drop",
        "discard",
        "miss",
        "no_buf",
        "nobuf",
        "no_desc",
        "nodesc",
        "out_of_buf",
        "overrun",
        "overflow",
        "fifo",
        "crc",
        "alloc",
    ];
    let name = name.to_ascii_lowercase();
    let sent = name.contains("tx") && !name.contains("rx");
    !sent && !name.contains("xdp") && LOST.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_set_back_goes_on() {
        let mut growth = NicGrowth::default();
        let at = |packets| NicCounts { packets, ..NicCounts::default() };
        let totals: Vec<Option<u64>> = [Some(100), Some(130), None, Some(7), Some(9)]
            .map(|packets| growth.add(at(packets)).packets)
            .into();
        assert_eq!(totals, [Some(0), Some(30), Some(30), Some(37), Some(39)]);
        assert_eq!(growth.add(at(None)).dropped, None);
    }

    #[test]
    fn no_interface_no_counters() {
        assert_eq!(nic_counts("no-such-interface"), NicCounts::default());
        assert_eq!(nic_counts("../lo"), NicCounts::default());
        let mut driver = DriverGrowth::default();
        assert!(driver.read("no-such-interface").is_empty());
        assert_eq!(driver.leave_out, LEFT_OUT);
    }

    #[test]
    fn names_that_tell_of_drops() {
        let told = [
            "rx_queue_0_drops",
            "rx_out_of_buffer",
            "rx_discards_phy",
            "port.rx_crc_errors",
            "rx_no_buffer_count",
            "rx_missed_errors",
            "[0]:_rx_discards",
            "port_rx_nodesc_drops",
            "rx_overruns",
            "rx0_buff_alloc_err",
        ];
        assert!(told.iter().all(|name| tells_of_drops(name)), "{told:?}");
        let others = ["rx_packets", "tx_dropped", "rx_queue_0_xdp_drops", "peer_ifindex"];
        assert!(!others.iter().any(|name| tells_of_drops(name)), "{others:?}");
    }

    #[test]
    fn words_and_numbers() {
        assert_eq!(value(word_pair(0x0123_4567_89ab_cdef)), 0x0123_4567_89ab_cdef);
        assert_eq!(one_word(b"[0]: rx=drops"), "[0]:_rx_drops");
    }
}
