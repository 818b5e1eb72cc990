//! Packets of a network interface, through libpcap and its memory-mapped ring.
//!
//! ```text
//! interface ─▶ kernel ring (buffer_bytes) ─▶ dispatch, a ring block at a time ─▶ PacketBatch
//!                  └ drops, counted by the kernel ─▶ LossCounters
//! ```
//!
//! The ring is read without blocking; where it is empty the source waits at
//! most `timeout_ms` and then gives an empty batch, so that whoever drives it
//! can seal, sync and stop on a quiet line too.

use crate::packet::{
    CAPLEN_MAX, Direction, LinkType, PacketBatch, PacketMeta, PacketSink, TsSource, ts_flags,
};
use crate::point::{LiveDirection, TimestampFrom};
use crate::source::{CaptureError, LossCounters, PacketSource, Progress, Warning};
use crate::time::Timestamp;
use crate::trailer::stamper::{Stamper, Stamping};
use pcap::{Active, Capture, PacketHeader, Precision, Stat};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the loss counters are asked for.
const STATS_EVERY: Duration = Duration::from_secs(1);

/// Packets taken at once, between two looks whether there is room.
const TAKEN_AT_ONCE: usize = 256;

/// How to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveOptions {
    /// Most bytes kept of a packet; at most [`CAPLEN_MAX`].
    pub snaplen: u32,
    /// Take packets that are not addressed to this machine too.
    pub promiscuous: bool,
    /// Size of the kernel ring.
    pub buffer_bytes: u32,
    /// Longest wait for a packet, and for a ring block to be handed over.
    pub timeout_ms: u32,
    /// A filter in libpcap's language; empty takes everything.
    pub bpf: String,
    /// Which way packets must go.
    pub direction: LiveDirection,
    /// Where packet times come from.
    pub timestamp: Stamping,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            snaplen: CAPLEN_MAX,
            promiscuous: true,
            buffer_bytes: 64 << 20,
            timeout_ms: 100,
            bpf: String::new(),
            direction: LiveDirection::Both,
            timestamp: TimestampFrom::Record.into(),
        }
    }
}

/// What the kernel counted of the packets that met the filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCounts {
    /// All of them, those dropped too; `None` where the kernel also counts
    /// packets that are not given: those of the other direction.
    pub seen: Option<u64>,
    /// Dropped because the ring was full; where only sent packets are given, of
    /// either direction.
    pub ring: u64,
    /// Dropped by the interface; `None` where libpcap does not read it.
    pub interface: Option<u64>,
}

/// Packets of one interface. Packet numbers wrap after 2^32.
pub struct LiveSource {
    name: String,
    capture: Capture<Active>,
    link_type: LinkType,
    /// What a unit of the header's fraction is worth, in nanoseconds.
    fraction_ns: i64,
    options: LiveOptions,
    stamper: Stamper,
    stop: Arc<AtomicBool>,
    /// Once stopped: bytes that may still come.
    after_stop: Option<usize>,
    pending: Option<CaptureError>,
    warnings: Vec<Warning>,
    counters: Counters,
    stats_at: Option<Instant>,
    next_ix: u32,
    ended: bool,
}

impl LiveSource {
    /// Opens an interface; `any` is all of them.
    ///
    /// # Errors
    /// [`CaptureError::Live`] with what libpcap said and, where it is known,
    /// what to do.
    pub fn open(interface: &str, options: LiveOptions) -> Result<Self, CaptureError> {
        let mut capture =
            activate(interface, &options).map_err(|error| live_error(interface, &error))?;
        let mut warnings = Vec::new();
        let nanoseconds = has_nanoseconds(&capture);
        if !nanoseconds {
            warnings.push(Warning {
                source: interface.to_string(),
                offset: None,
                text: "gives no nanosecond times; taking microseconds".to_string(),
            });
        }
        if !options.bpf.is_empty() {
            capture.filter(&options.bpf, true).map_err(|error| CaptureError::Live {
                name: interface.to_string(),
                reason: format!("filter {:?}: {error}", options.bpf),
            })?;
        }
        let counts_seen = set_direction(&capture, interface, options.direction)
            .map_err(|error| live_error(interface, &error))?;
        let link_type = link_type(capture.get_datalink().0, interface)?;
        let capture = capture.setnonblock().map_err(|error| live_error(interface, &error))?;
        // libpcap reads the interface's own counters in promiscuous mode only.
        let counts_interface = options.promiscuous && interface != "any";
        Ok(Self {
            name: interface.to_string(),
            capture,
            link_type,
            fraction_ns: if nanoseconds { 1 } else { 1000 },
            stamper: Stamper::new(options.timestamp),
            options,
            stop: Arc::new(AtomicBool::new(false)),
            after_stop: None,
            pending: None,
            warnings,
            counters: Counters { counts_interface, counts_seen, ..Counters::default() },
            stats_at: None,
            next_ix: 0,
            ended: false,
        })
    }

    /// Set it to end the source, from any thread: what the ring holds by then
    /// is still given.
    pub fn stop_handle(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// How to read the first header of every packet.
    pub fn link_type(&self) -> LinkType {
        self.link_type
    }

    /// What the kernel counted so far, asked for at most once a second; `None`
    /// where it does not answer.
    pub fn kernel_counts(&self) -> Option<KernelCounts> {
        self.counters.kernel()
    }

    /// Moves packets that the ring holds into `sink`.
    fn take(&mut self, sink: &mut impl PacketSink) -> Result<usize, pcap::Error> {
        let Self { capture, link_type, fraction_ns, next_ix, .. } = self;
        capture.dispatch(Some(TAKEN_AT_ONCE), |packet| {
            let meta = meta(packet.header, *fraction_ns, *link_type, *next_ix);
            *next_ix = next_ix.wrapping_add(1);
            sink.push(meta, packet.data);
        })
    }

    /// Fills the sink without waiting. An error waits until the packets
    /// before it have been given.
    fn drain(&mut self, sink: &mut impl PacketSink) {
        while !sink.is_full() && self.pending.is_none() {
            match self.take(sink) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => self.pending = Some(live_error(&self.name, &error)),
            }
        }
    }

    /// Whether a stopped source has given what the ring can hold: on a busy
    /// line it would never run dry.
    fn stopped_and_dry(&mut self, sink: &impl PacketSink) -> bool {
        let ring = self.options.buffer_bytes as usize;
        let left = self.after_stop.get_or_insert(ring);
        *left = left.saturating_sub(sink.bytes_len());
        sink.is_empty() || *left == 0
    }

    /// Adds what is there to an empty sink, after a wait of at most `timeout_ms`; times
    /// are those of the records.
    ///
    /// # Errors
    /// As [`PacketSource::next_batch`].
    pub fn fill(&mut self, sink: &mut impl PacketSink) -> Result<Progress, CaptureError> {
        if self.ended {
            return Ok(Progress::End);
        }
        let stopped = self.stop.load(Ordering::Relaxed);
        self.drain(sink);
        if sink.is_empty() && !stopped && self.pending.is_none() {
            wait_readable(self.capture.as_raw_fd(), self.options.timeout_ms);
            self.drain(sink);
        }
        self.ended = stopped && self.stopped_and_dry(sink);
        // The last chance to ask is before an error is given, too.
        self.update_losses(self.ended || (sink.is_empty() && self.pending.is_some()));
        if sink.is_empty()
            && let Some(error) = self.pending.take()
        {
            self.ended = true;
            return Err(error);
        }
        Ok(if self.ended { Progress::End } else { Progress::More })
    }

    fn update_losses(&mut self, always: bool) {
        if !always && self.stats_at.is_some_and(|at| at.elapsed() < STATS_EVERY) {
            return;
        }
        self.stats_at = Some(Instant::now());
        if let Ok(stat) = self.capture.stats() {
            self.counters.update(&stat);
        }
    }
}

impl PacketSource for LiveSource {
    /// Gives what is there; an empty batch after a wait of `timeout_ms`.
    fn next_batch(&mut self, batch: &mut PacketBatch) -> Result<Progress, CaptureError> {
        batch.clear();
        let progress = self.fill(batch)?;
        self.stamper.batch(batch);
        Ok(progress)
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    fn losses(&self) -> LossCounters {
        self.counters.losses()
    }
}

fn activate(interface: &str, options: &LiveOptions) -> Result<Capture<Active>, pcap::Error> {
    let as_i32 = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    Capture::from_device(interface)?
        .precision(Precision::Nano)
        .snaplen(as_i32(options.snaplen.min(CAPLEN_MAX)))
        .promisc(options.promiscuous)
        .buffer_size(as_i32(options.buffer_bytes))
        .timeout(as_i32(options.timeout_ms))
        .open()
}

/// Takes packets of one direction only; whether the kernel then counts exactly
/// those. On the loopback each packet is sent and received, and libpcap gives
/// the latter.
fn set_direction(
    capture: &Capture<Active>,
    interface: &str,
    direction: LiveDirection,
) -> Result<bool, pcap::Error> {
    match direction {
        LiveDirection::Both => {}
        LiveDirection::In => capture.direction(pcap::Direction::In)?,
        LiveDirection::Out => capture.direction(pcap::Direction::Out)?,
    }
    Ok(match (direction, interface) {
        (LiveDirection::Out, _) | (_, "any") => false,
        (LiveDirection::Both, name) if name != "lo" => true,
        _ => ignore_outgoing(capture.as_raw_fd()),
    })
}

/// Lets the kernel pass over sent packets before it counts (Linux 4.20 and
/// newer); false where it does not.
#[cfg(target_os = "linux")]
pub(crate) fn ignore_outgoing(fd: i32) -> bool {
    const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
    let on: libc::c_int = 1;
    let len = size_of_val(&on) as libc::socklen_t;
    // SAFETY: the value is whole and outlives the call, `len` is its size.
    let set = unsafe {
        libc::setsockopt(fd, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, (&raw const on).cast(), len)
    };
    set == 0
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn ignore_outgoing(_: i32) -> bool {
    false
}

fn live_error(interface: &str, error: &pcap::Error) -> CaptureError {
    let said = error.to_string();
    let lower = said.to_lowercase();
    let hint = if lower.contains("permi") {
        ": run as root or give the program CAP_NET_RAW (setcap cap_net_raw,cap_net_admin+ep)"
    } else if lower.contains("no such device") {
        ": `ip link` lists the interfaces"
    } else {
        ""
    };
    CaptureError::Live { name: interface.to_string(), reason: format!("{said}{hint}") }
}

/// The file number of libpcap's live number: they differ for raw IP only
/// (12 in memory on Linux, 101 in files).
fn link_type(live: i32, interface: &str) -> Result<LinkType, CaptureError> {
    match u16::try_from(live) {
        Ok(12) => Ok(LinkType::RAW),
        Ok(number) => Ok(LinkType(number)),
        Err(_) => Err(CaptureError::Live {
            name: interface.to_string(),
            reason: format!("link type {live} is not one of the 16-bit registry"),
        }),
    }
}

fn meta(
    header: &PacketHeader,
    fraction_ns: i64,
    link_type: LinkType,
    packet_ix: u32,
) -> PacketMeta {
    let fraction = header.ts.tv_usec.saturating_mul(fraction_ns);
    let ts = Timestamp::from_sec_ns(header.ts.tv_sec, fraction);
    PacketMeta {
        ts: ts.unwrap_or_default(),
        ts_ps: 0,
        ts_record: ts.unwrap_or_default(),
        ts_source: TsSource::Record,
        ts_flags: if ts.is_some() { 0 } else { ts_flags::TIME_OUT_OF_RANGE },
        packet_ix,
        interface: 0,
        direction: Direction::Unknown,
        link_type,
        wire_len: header.len,
    }
}

unsafe extern "C" {
    /// libpcap: 1 where header fractions are nanoseconds, 0 for microseconds.
    fn pcap_get_tstamp_precision(handle: *mut libc::c_void) -> libc::c_int;
}

/// Whether the interface gives the nanoseconds it was asked for: one that
/// cannot is opened all the same.
fn has_nanoseconds(capture: &Capture<Active>) -> bool {
    // SAFETY: the handle is open and stays so during the call, which only
    // reads one field of it.
    unsafe { pcap_get_tstamp_precision(capture.as_ptr().cast()) == 1 }
}

/// Waits until the descriptor has something to read, or for `timeout_ms`. An
/// error ends the wait and shows at the next read.
fn wait_readable(fd: i32, timeout_ms: u32) {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let timeout = libc::c_int::try_from(timeout_ms).unwrap_or(libc::c_int::MAX);
    // SAFETY: one initialised pollfd on the stack, valid for the whole call.
    unsafe { libc::poll(&raw mut poll, 1, timeout) };
}

/// Loss counters in 64 bits from libpcap's, which wrap at 2^32.
#[derive(Debug, Default)]
struct Counters {
    counts_interface: bool,
    counts_seen: bool,
    known: bool,
    last: [u32; 3],
    total: [u64; 3],
}

impl Counters {
    fn update(&mut self, stat: &Stat) {
        self.add([stat.received, stat.dropped, stat.if_dropped]);
    }

    fn add(&mut self, now: [u32; 3]) {
        for ((total, last), now) in self.total.iter_mut().zip(&mut self.last).zip(now) {
            *total = total.saturating_add(now.wrapping_sub(*last).into());
            *last = now;
        }
        self.known = true;
    }

    fn kernel(&self) -> Option<KernelCounts> {
        let [seen, ring, interface] = self.total;
        let interface = self.counts_interface.then_some(interface);
        let seen = self.counts_seen.then_some(seen);
        self.known.then_some(KernelCounts { seen, ring, interface })
    }

    fn losses(&self) -> LossCounters {
        let kernel = self.kernel();
        LossCounters {
            ring: kernel.map(|kernel| kernel.ring),
            interface: kernel.and_then(|kernel| kernel.interface),
            recorded: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn counters_go_on_past_a_wrap() {
        let mut counters = Counters { counts_seen: true, ..Counters::default() };
        assert_eq!(counters.losses(), LossCounters::default());
        counters.add([7, u32::MAX - 1, 3]);
        counters.add([9, 4, 3]);
        let ring = Some(u64::from(u32::MAX) + 5);
        assert_eq!(counters.losses(), LossCounters { ring, ..LossCounters::default() });
        assert_eq!(counters.kernel().unwrap().seen, Some(9));
    }

    #[test]
    fn an_unknown_interface_is_a_clear_error() {
        let error = LiveSource::open("no-such-interface", LiveOptions::default()).err().unwrap();
        assert!(error.to_string().starts_with("no-such-interface: "), "{error}");
    }

    fn open_loopback(bpf: String) -> Option<LiveSource> {
        let options =
            LiveOptions { bpf, timeout_ms: 10, buffer_bytes: 2 << 20, ..LiveOptions::default() };
        match LiveSource::open("lo", options) {
            Ok(source) => Some(source),
            Err(error) => {
                println!("skipped: {error}");
                None
            }
        }
    }

    #[test]
    fn sees_datagrams_on_the_loopback() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let Some(mut source) = open_loopback(format!("udp dst port {port}")) else { return };
        let stop = source.stop_handle();
        for number in 0..100u8 {
            socket.send_to(&[number; 33], ("127.0.0.1", port)).unwrap();
        }
        let (mut batch, mut seen, until) =
            (PacketBatch::new(), Vec::new(), Instant::now() + Duration::from_secs(5));
        loop {
            let progress = source.next_batch(&mut batch).unwrap();
            seen.extend(batch.iter().map(|packet| (packet.meta, packet.data.to_vec())));
            if seen.len() >= 100 || Instant::now() > until {
                stop.store(true, Ordering::Relaxed);
            }
            if progress == Progress::End {
                break;
            }
        }
        assert_eq!(seen.len(), 100);
        for (number, (meta, data)) in seen.iter().enumerate() {
            assert_eq!((meta.packet_ix as usize, meta.wire_len), (number, 14 + 20 + 8 + 33));
            assert!(data.ends_with(&[number as u8; 33]));
            assert_eq!(meta.link_type, LinkType::ETHERNET);
        }
        let fractions = seen.iter().any(|(meta, _)| meta.ts.ns() % 1000 != 0);
        assert!(fractions || !source.take_warnings().is_empty());
        assert_eq!(source.losses().ring, Some(0));
        let seen = source.kernel_counts().unwrap().seen;
        assert!(seen.is_none_or(|seen| seen == 100), "{seen:?}");
    }

    #[test]
    fn a_busy_line_can_be_stopped() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let Some(mut source) = open_loopback(format!("udp dst port {port}")) else { return };
        source.options.buffer_bytes = 10_000;
        source.stop_handle().store(true, Ordering::Relaxed);
        let (mut batch, mut bytes) = (PacketBatch::new(), 0);
        loop {
            for _ in 0..20 {
                socket.send_to(&[7; 1000], ("127.0.0.1", port)).unwrap();
            }
            std::thread::sleep(Duration::from_millis(30));
            let progress = source.next_batch(&mut batch).unwrap();
            bytes += batch.bytes_len();
            if progress == Progress::End {
                break;
            }
            assert!(bytes < 10_000);
        }
    }

    #[test]
    fn a_quiet_line_gives_an_empty_batch_soon() {
        let Some(mut source) = open_loopback("ether proto 0x88b5".to_string()) else { return };
        let (mut batch, start) = (PacketBatch::new(), Instant::now());
        assert_eq!(source.next_batch(&mut batch).unwrap(), Progress::More);
        assert!(batch.is_empty() && start.elapsed() < Duration::from_secs(5));
    }
}
