//! Packets of a network interface, through a packet ring of our own
//! (`TPACKET_V3`): fan-out, the adapter's stamps and who really stamped, drops in
//! 64 bits, which libpcap's interface does not give.
//!
//! ```text
//! interface ─▶ kernel ─▶ block │ block │ … ─▶ one copy ─▶ PacketBatch
//!                └ drops ─▶ LossCounters      └ whose clock stamped each packet
//! ```
//!
//! Linux only. Several rings may share an interface by flow
//! ([`RingOptions::fanout`]), each read by a thread of its own that
//! [`pin_to_cpu`] keeps on a processor. VLAN tags that the kernel took out are
//! put back. `benches/capture.sh` measures it beside libpcap's and other tools:
//! libpcap's source costs less CPU, so that `taptrail capture` uses that one where
//! the adapter is not to stamp.

mod sys;

use crate::live::{KernelCounts, LiveOptions, ignore_outgoing};
use crate::packet::{Direction, LinkType, PacketBatch, PacketMeta, PacketSink, TsSource, ts_flags};
use crate::point::LiveDirection;
use crate::source::{CaptureError, LossCounters, PacketSource, Progress, Warning};
use crate::time::Timestamp;
use crate::trailer::stamper::Stamper;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
pub use sys::pin_to_cpu;
use sys::{BLOCK_BYTES, Ring, Socket};

/// How often the loss counters are asked for.
const STATS_EVERY: Duration = Duration::from_secs(1);

/// Fewest blocks of a ring: one to fill, one to read.
const BLOCKS_MIN: usize = 2;

/// Ethernet and loopback, as ARP numbers links.
const ARP_ETHERNET: u16 = 1;
const ARP_LOOPBACK: u16 = 772;

/// Counters of an interface that say a packet was lost before the ring.
const INTERFACE_DROPS: [&str; 3] = ["rx_dropped", "rx_missed_errors", "rx_fifo_errors"];

/// Before the packet: a header, then the link-layer address.
const HEADER_LEN: usize = 48;
const PACKET_TYPE_AT: usize = HEADER_LEN + 10;

/// How to listen through a ring, beside what any live capture says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingOptions {
    /// Rings with the same number share the interface's packets, each flow going
    /// to one of them.
    pub fanout: Option<u16>,
    /// Ask the adapter to stamp packets; where it can't, a warning says so.
    pub hardware_times: bool,
}

/// Which clock stamped how many packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StampedBy {
    /// The adapter's.
    pub hardware: u64,
    /// The kernel's.
    pub software: u64,
}

/// Packets of one interface. Packet numbers wrap after 2^32.
#[derive(Debug)]
pub struct RingSource {
    name: String,
    socket: Socket,
    ring: Ring,
    timeout_ms: u32,
    /// The block being read, and the packet in it: offset and how many are left.
    block: usize,
    packet: Option<(usize, u32)>,
    loopback: bool,
    direction: LiveDirection,
    /// Whether the kernel counts exactly the packets that are given.
    counts_seen: bool,
    stamper: Stamper,
    stamped_by: StampedBy,
    /// What is said of a packet that the system stamped.
    system_flags: u16,
    stop: Arc<AtomicBool>,
    /// Once stopped: blocks that may still come.
    after_stop: Option<usize>,
    warnings: Vec<Warning>,
    /// Packets that met the filter, those dropped too.
    seen: Option<u64>,
    dropped: Option<u64>,
    interface_at_open: Option<u64>,
    interface_dropped: Option<u64>,
    stats_at: Option<Instant>,
    next_ix: u32,
    ended: bool,
}

impl RingSource {
    /// Opens an interface.
    ///
    /// # Errors
    /// [`CaptureError::Live`] with what the system said and what to do.
    pub fn open(
        name: &str,
        options: &LiveOptions,
        ring_options: RingOptions,
    ) -> Result<Self, CaptureError> {
        let (source, hardware) =
            Self::set_up(name, options, ring_options).map_err(|error| live_error(name, &error))?;
        let mut source = source;
        if let Some(error) = hardware {
            source.warnings.push(Warning {
                source: name.to_string(),
                offset: None,
                text: format!("the adapter does not stamp packets ({error}): the kernel does"),
            });
        }
        Ok(source)
    }

    /// A source, and why the adapter does not stamp where it was asked to.
    fn set_up(
        name: &str,
        options: &LiveOptions,
        ring_options: RingOptions,
    ) -> io::Result<(Self, Option<io::Error>)> {
        let socket = Socket::new()?;
        let number = sys::interface_number(name)?;
        let loopback = match socket.hardware_type(name)? {
            ARP_ETHERNET => false,
            ARP_LOOPBACK => true,
            other => {
                let text = format!("link type {other} (ARP) is not Ethernet: capture with libpcap");
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
        };
        let hardware = ring_options.hardware_times.then(|| socket.hardware_times(name).err());
        socket.filter(&mut filter(options)?)?;
        let blocks = (options.buffer_bytes as usize / BLOCK_BYTES).max(BLOCKS_MIN);
        let ring = Ring::new(&socket, blocks, options.timeout_ms)?;
        if options.promiscuous {
            socket.promiscuous(number)?;
        }
        let counts_seen = match options.direction {
            LiveDirection::Out => false,
            LiveDirection::Both if !loopback => true,
            _ => ignore_outgoing(socket.fd()),
        };
        socket.bind(number)?;
        if let Some(group) = ring_options.fanout {
            socket.fanout(group)?;
        }
        let source = Self {
            name: name.to_string(),
            socket,
            ring,
            timeout_ms: options.timeout_ms,
            block: 0,
            packet: None,
            loopback,
            direction: options.direction,
            counts_seen,
            stamper: Stamper::new(options.timestamp),
            system_flags: if ring_options.hardware_times { ts_flags::SYSTEM_STAMP } else { 0 },
            stamped_by: StampedBy::default(),
            stop: Arc::new(AtomicBool::new(false)),
            after_stop: None,
            warnings: Vec::new(),
            seen: None,
            dropped: None,
            interface_at_open: interface_drops(name),
            interface_dropped: None,
            stats_at: None,
            next_ix: 0,
            ended: false,
        };
        Ok((source, hardware.flatten()))
    }

    /// Set it to end the source, from any thread: what the ring holds by then
    /// is still given.
    pub fn stop_handle(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// The interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which clock stamped the packets so far.
    pub fn stamped_by(&self) -> StampedBy {
        self.stamped_by
    }

    /// What the kernel counted so far, asked for at most once a second; `None`
    /// where it does not answer.
    pub fn kernel_counts(&self) -> Option<KernelCounts> {
        let seen = self.seen.filter(|_| self.counts_seen);
        Some(KernelCounts { seen, ring: self.dropped?, interface: self.interface_dropped })
    }

    /// Moves whole blocks into the batch, as far as there is room.
    fn drain(&mut self, batch: &mut impl PacketSink) {
        while !batch.is_full() && self.one_block(batch) {}
    }

    /// Adds what is there to an empty sink, after a wait of at most `timeout_ms`; times
    /// are those of the records.
    pub fn fill(&mut self, sink: &mut impl PacketSink) -> Progress {
        if self.ended {
            return Progress::End;
        }
        let stopped = self.stop.load(Ordering::Relaxed);
        if stopped {
            self.after_stop.get_or_insert(self.ring.blocks());
        }
        self.drain(sink);
        if sink.is_empty() {
            // The block being filled is handed over within the timeout.
            self.socket.wait(self.timeout_ms.saturating_mul(if stopped { 2 } else { 1 }));
            self.drain(sink);
        }
        self.ended = stopped && (sink.is_empty() || self.after_stop == Some(0));
        self.update_losses(self.ended);
        if self.ended { Progress::End } else { Progress::More }
    }

    /// Goes on in the block at hand; says whether there was one.
    fn one_block(&mut self, batch: &mut impl PacketSink) -> bool {
        let Some(bytes) = self.ring.block(self.block) else { return false };
        let (mut at, mut left) = match self.packet {
            Some(packet) => packet,
            None => (word(bytes, 16) as usize, word(bytes, 12)),
        };
        while left > 0 && !batch.is_full() {
            let Some(packet) = bytes.get(at..) else { break };
            let outgoing = packet.get(PACKET_TYPE_AT) == Some(&libc::PACKET_OUTGOING);
            let wanted = match self.direction {
                // The loopback shows every packet on its way out and in.
                LiveDirection::Both => !(self.loopback && outgoing),
                LiveDirection::In => !outgoing,
                LiveDirection::Out => outgoing,
            };
            let direction = if outgoing { Direction::Out } else { Direction::In };
            let (ix, by) = (self.next_ix, &mut self.stamped_by);
            if wanted && push(packet, direction, ix, self.system_flags, by, batch) {
                self.next_ix = self.next_ix.wrapping_add(1);
            }
            left -= 1;
            match word(packet, 0) {
                0 => break,
                next => at += next as usize,
            }
        }
        if left > 0 && batch.is_full() {
            self.packet = Some((at, left));
            return true;
        }
        self.packet = None;
        self.ring.release(self.block);
        self.block = (self.block + 1) % self.ring.blocks();
        if let Some(left) = &mut self.after_stop {
            *left = left.saturating_sub(1);
        }
        true
    }

    fn update_losses(&mut self, always: bool) {
        if !always && self.stats_at.is_some_and(|at| at.elapsed() < STATS_EVERY) {
            return;
        }
        self.stats_at = Some(Instant::now());
        if let Ok((seen, drops)) = self.socket.counts() {
            self.seen = Some(self.seen.unwrap_or(0).saturating_add(seen.into()));
            self.dropped = Some(self.dropped.unwrap_or(0).saturating_add(drops.into()));
        }
        let since_open = |now: u64| Some(now.saturating_sub(self.interface_at_open?));
        self.interface_dropped = interface_drops(&self.name).and_then(since_open);
    }
}

impl PacketSource for RingSource {
    /// Gives what is there; an empty batch after a wait of `timeout_ms`.
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<Progress, CaptureError> {
        batch.clear();
        let progress = self.fill(batch);
        self.stamper.batch(batch);
        Ok(progress)
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    fn losses(&self) -> LossCounters {
        LossCounters { ring: self.dropped, interface: self.interface_dropped, recorded: None }
    }
}

/// What to take, and how much of a packet.
fn filter(options: &LiveOptions) -> io::Result<Vec<libc::sock_filter>> {
    let keep = options.snaplen.min(crate::packet::CAPLEN_MAX);
    let take =
        libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: keep };
    if options.bpf.is_empty() {
        return Ok(vec![take]);
    }
    let invalid = |error: pcap::Error| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("filter {:?}: {error}", options.bpf))
    };
    let compiler = pcap::Capture::dead(pcap::Linktype::ETHERNET).map_err(invalid)?;
    let program = compiler.compile(&options.bpf, true).map_err(invalid)?;
    let mut program = sys::instructions(&program);
    for instruction in &mut program {
        if instruction.code == take.code && instruction.k != 0 {
            instruction.k = keep;
        }
    }
    Ok(program)
}

/// Four bytes of the ring, in the machine's order; 0 where there are none.
fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    word.map_or(0, |word| u32::from_ne_bytes(*word))
}

fn half(bytes: &[u8], at: usize) -> u16 {
    let half = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    half.map_or(0, |half| u16::from_ne_bytes(*half))
}

/// Copies the packet whose ring header begins `packet`, with `system_flags`
/// where the system stamped it; `false` where the header makes no sense.
fn push(
    packet: &[u8],
    direction: Direction,
    packet_ix: u32,
    system_flags: u16,
    stamped_by: &mut StampedBy,
    batch: &mut impl PacketSink,
) -> bool {
    let (caplen, wire_len) = (word(packet, 12) as usize, word(packet, 16));
    let start = usize::from(half(packet, 24));
    let Some(data) = packet.get(start..).and_then(|data| data.get(..caplen)) else { return false };
    let status = word(packet, 20);
    let in_hardware = status & libc::TP_STATUS_TS_RAW_HARDWARE != 0;
    stamped_by.hardware += u64::from(in_hardware);
    stamped_by.software += u64::from(!in_hardware);
    let ts = Timestamp::from_sec_ns(word(packet, 4).into(), word(packet, 8).into());
    let mut meta = PacketMeta {
        ts: ts.unwrap_or_default(),
        ts_ps: 0,
        ts_record: ts.unwrap_or_default(),
        ts_source: TsSource::Record,
        ts_flags: if ts.is_some() { 0 } else { ts_flags::TIME_OUT_OF_RANGE }
            | if in_hardware { 0 } else { system_flags },
        packet_ix,
        interface: 0,
        direction,
        link_type: LinkType::ETHERNET,
        wire_len,
    };
    match (status & libc::TP_STATUS_VLAN_VALID != 0, data.split_at_checked(12)) {
        (true, Some((addresses, rest))) => {
            let told = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
            let tpid = if told { half(packet, 36) } else { 0x8100 };
            let [t0, t1] = tpid.to_be_bytes();
            let [v0, v1] = (word(packet, 32) as u16).to_be_bytes();
            meta.wire_len = wire_len.saturating_add(4);
            batch.push(meta, &[addresses, &[t0, t1, v0, v1], rest].concat());
        }
        _ => batch.push(meta, data),
    }
    true
}

/// What the interface counts as lost, all its life; `None` where it counts
/// nothing.
fn interface_drops(name: &str) -> Option<u64> {
    let count = |counter: &&str| -> Option<u64> {
        let text = fs::read_to_string(format!("/sys/class/net/{name}/statistics/{counter}"));
        text.ok()?.trim().parse().ok()
    };
    INTERFACE_DROPS.iter().map(count).sum()
}

fn live_error(name: &str, error: &io::Error) -> CaptureError {
    let hint = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            ": run as root or give the program CAP_NET_RAW (setcap cap_net_raw,cap_net_admin+ep)"
        }
        Some(libc::ENODEV | libc::ENXIO) => ": `ip link` lists the interfaces",
        Some(libc::ENOMEM) => ": a smaller buffer may fit",
        _ => "",
    };
    CaptureError::Live { name: name.to_string(), reason: format!("{error}{hint}") }
}

#[cfg(test)]
mod tests;
