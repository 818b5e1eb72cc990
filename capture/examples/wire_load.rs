//! Frames that say themselves what they have to be, onto a wire as fast as it takes
//! them, and the check that a capture of them has every byte.
//!
//! ```sh
//! wire_load send INTERFACE PACKETS LEN,LEN,…                  # lengths in turn
//! wire_load send INTERFACE PACKETS LEN,LEN,… BURST PAUSE_US   # so many, then a pause
//! wire_load compare FILE PACKETS LEN,LEN,… [SNAPLEN]          # any capture file that taptrail reads
//! ```
//!
//! ```text
//! frame n of L bytes   Ethernet 14 · IPv4 20 · UDP 8 · n 8 · noise from a place that follows from n
//! ```

use std::error::Error;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};
use taptrail_capture::file;
use taptrail_capture::packet::PacketBatch;
use taptrail_capture::point::TimestampFrom;
use taptrail_capture::source::{PacketSource, Progress};

type Failure = Box<dyn Error>;

/// Frames handed to the kernel at once.
const AT_ONCE: usize = 64;

/// Headers before a frame's number.
const HEADERS: usize = 42;

/// The shortest frame that holds its number.
const LEN_MIN: usize = HEADERS + 8;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["send", interface, packets, lens] => {
            send(interface, packets.parse()?, &Frames::new(lens)?, u64::MAX, Duration::ZERO)
        }
        ["send", interface, packets, lens, burst, pause] => {
            let pause = Duration::from_micros(pause.parse()?);
            send(interface, packets.parse()?, &Frames::new(lens)?, burst.parse()?, pause)
        }
        ["compare", file, packets, lens] => {
            compare(Path::new(file), packets.parse()?, &Frames::new(lens)?, usize::MAX)
        }
        ["compare", file, packets, lens, snaplen] => {
            compare(Path::new(file), packets.parse()?, &Frames::new(lens)?, snaplen.parse()?)
        }
        _ => Err("send INTERFACE PACKETS LENGTHS [BURST PAUSE_US], or \
                  compare FILE PACKETS LENGTHS [SNAPLEN]"
            .into()),
    }
}

/// Places at which a frame's noise may begin.
const PLACES: u64 = 4093;

/// Longest frame.
const LEN_MAX: usize = 60_000;

/// The frames of a run.
struct Frames {
    /// Lengths, in turn.
    lens: Vec<usize>,
    noise: Vec<u8>,
}

impl Frames {
    fn new(lens: &str) -> Result<Self, Failure> {
        let lens: Result<Vec<usize>, _> = lens.split(',').map(str::parse).collect();
        let lens = lens?;
        if !lens.iter().all(|len| (LEN_MIN..=LEN_MAX).contains(len)) {
            return Err(format!("lengths from {LEN_MIN} to {LEN_MAX}").into());
        }
        // Xorshift64; every other word is the same, as fields of messages are.
        let (mut noise, mut state) = (Vec::new(), 0x9e37_79b9_7f4a_7c15_u64);
        while noise.len() < LEN_MAX + PLACES as usize {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            noise.extend(state.to_be_bytes());
            noise.extend(b"ALFA    ");
        }
        Ok(Self { lens, noise })
    }

    /// Writes frame `number`.
    fn write(&self, number: u64, out: &mut Vec<u8>) {
        let len = self.lens[(number % self.lens.len() as u64) as usize];
        out.clear();
        out.extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0]);
        out.extend(((len - 14) as u16).to_be_bytes());
        out.extend((number as u16).to_be_bytes());
        out.extend([0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        // Eight flows.
        out.extend((40_000 + (number % 8) as u16).to_be_bytes());
        out.extend(9u16.to_be_bytes());
        out.extend(((len - 34) as u16).to_be_bytes());
        out.extend([0, 0]);
        out.extend(number.to_be_bytes());
        let place = (number.wrapping_mul(7919) % PLACES) as usize;
        out.extend(&self.noise[place..place + len - LEN_MIN]);
    }
}

/// A packet socket bound to an interface, that hears nothing.
fn open(interface: &str) -> io::Result<OwnedFd> {
    let name = std::ffi::CString::new(interface)?;
    // SAFETY: a string that ends in a zero byte.
    let number = unsafe { libc::if_nametoindex(name.as_ptr()) };
    // SAFETY: plain values; the descriptor is checked before it is owned.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) };
    if number == 0 || fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: a plain structure of which all zeros is a value.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = number as i32;
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: `address` is a whole sockaddr_ll for the whole call.
    match unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) } {
        0 => Ok(fd),
        _ => Err(io::Error::last_os_error()),
    }
}

fn send(
    interface: &str,
    packets: u64,
    frames: &Frames,
    burst: u64,
    pause: Duration,
) -> Result<(), Failure> {
    let socket = open(interface)?;
    let mut ready = vec![Vec::new(); AT_ONCE];
    let (start, mut sent, mut since_pause) = (Instant::now(), 0, 0);
    while sent < packets {
        let many = (packets - sent).min(burst - since_pause).min(AT_ONCE as u64);
        for (out, number) in ready.iter_mut().zip(sent..sent + many) {
            frames.write(number, out);
        }
        send_all(&socket, &mut ready[..many as usize])?;
        (sent, since_pause) = (sent + many, since_pause + many);
        if since_pause == burst {
            std::thread::sleep(pause);
            since_pause = 0;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("sent {sent} in {seconds:.2} s, {:.0} a second", sent as f64 / seconds);
    Ok(())
}

/// Sends frames, waiting where the interface has no room.
fn send_all(socket: &OwnedFd, frames: &mut [Vec<u8>]) -> io::Result<()> {
    let mut parts: Vec<libc::iovec> = frames
        .iter_mut()
        .map(|frame| libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame.len() })
        .collect();
    let mut messages: Vec<libc::mmsghdr> = parts
        .iter_mut()
        .map(|part| {
            // SAFETY: a plain structure of which all zeros is a value.
            let mut message: libc::mmsghdr = unsafe { zeroed() };
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            message
        })
        .collect();
    let mut left = messages.as_mut_slice();
    while !left.is_empty() {
        let count = left.len() as libc::c_uint;
        // SAFETY: each message points to one part of `parts`, that to a frame; all
        // outlive the call and nobody else uses them.
        match unsafe { libc::sendmmsg(socket.as_raw_fd(), left.as_mut_ptr(), count, 0) } {
            done if done > 0 => left = &mut std::mem::take(&mut left)[done as usize..],
            _ => match io::Error::last_os_error() {
                full if full.raw_os_error() == Some(libc::ENOBUFS) => std::thread::yield_now(),
                error => return Err(error),
            },
        }
    }
    Ok(())
}

/// What is wrong with a capture of such frames.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    same: u64,
    altered: u64,
    doubled: u64,
    out_of_order: u64,
    /// Packets that are none of these frames.
    foreign: u64,
}

fn compare(path: &Path, packets: u64, frames: &Frames, snaplen: usize) -> Result<(), Failure> {
    let mut source = file::open(path, TimestampFrom::Record)?;
    let (mut batch, mut expected) = (PacketBatch::new(), Vec::new());
    let mut seen = vec![false; usize::try_from(packets)?];
    let (mut found, mut last) = (Found::default(), None);
    loop {
        let progress = source.next_batch(&mut batch)?;
        for packet in batch.iter() {
            let number = packet.data.get(HEADERS..).and_then(|data| data.first_chunk());
            let number = number.map(|number| u64::from_be_bytes(*number));
            let slot = number.and_then(|n| seen.get_mut(usize::try_from(n).ok()?));
            let (Some(number), Some(slot)) = (number, slot) else {
                found.foreign += 1;
                continue;
            };
            frames.write(number, &mut expected);
            let whole = expected.len();
            let kept = expected.get(..snaplen.min(whole)).unwrap_or_default();
            match packet.data == kept && packet.meta.wire_len as usize == whole {
                true => found.same += 1,
                false => found.altered += 1,
            }
            found.doubled += u64::from(std::mem::replace(slot, true));
            found.out_of_order += u64::from(last.is_some_and(|last| number < last));
            last = Some(number);
        }
        if progress == Progress::End {
            break;
        }
    }
    for warning in source.take_warnings() {
        eprintln!("{warning}");
    }
    let missing = seen.iter().filter(|seen| !**seen).count();
    let Found { same, altered, doubled, out_of_order, foreign } = found;
    println!(
        "{same} same, {missing} missing, {altered} altered, {doubled} doubled, \
         {out_of_order} out of order, {foreign} foreign"
    );
    let good = Found { same: packets, ..Found::default() };
    if found == good { Ok(()) } else { Err("not what was sent".into()) }
}
