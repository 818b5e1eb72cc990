//! The system calls of a packet ring, and the memory that the kernel shares.
//!
//! ```text
//! mapped   block 0 │ block 1 │ … each of BLOCK_BYTES
//! block    version 4 · private 4 · status 4 · packets 4 · first 4 · … │ packets
//!                                  └ whose it is: the kernel's or ours
//! ```
//!
//! All unsafe code of the ring is here.

use crate::adapter::named;
use crate::adapter::stamps::Stamps;
use libc::{c_int, c_void, socklen_t};
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes of a block, handed over as a whole: larger than any packet but those of
/// offloads beyond 64 KiB, small enough that it is still in the cache when it is
/// read.
pub(super) const BLOCK_BYTES: usize = 1 << 17;

/// Where a block's status stands.
const STATUS_AT: usize = 8;

/// A frame slot of the ring's bookkeeping; packets in a block are as long as
/// they are.
const FRAME_BYTES: u32 = 2048;

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A packet socket.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    /// One that hears nothing yet.
    pub(super) fn new() -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: plain values; the descriptor is checked before it is owned.
        let fd = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
        // SAFETY: just opened, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(super) fn fd(&self) -> c_int {
        self.0.as_raw_fd()
    }

    fn set<T>(&self, level: c_int, option: c_int, value: &T) -> io::Result<()> {
        let (value, len) = (std::ptr::from_ref(value).cast::<c_void>(), size_of::<T>());
        // SAFETY: `value` points to `len` initialised bytes for the whole call.
        let result = unsafe { libc::setsockopt(self.fd(), level, option, value, len as socklen_t) };
        check(result).map(|_| ())
    }

    /// Takes packets of all protocols of an interface from here on.
    pub(super) fn bind(&self, interface: u32) -> io::Result<()> {
        // SAFETY: a plain structure of which all zeros is a value.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = interface as c_int;
        let len = size_of::<libc::sockaddr_ll>() as socklen_t;
        let pointer = (&raw const address).cast::<libc::sockaddr>();
        // SAFETY: `address` is a whole sockaddr_ll for the whole call.
        check(unsafe { libc::bind(self.fd(), pointer, len) }).map(|_| ())
    }

    /// Packets not addressed to this machine too, as long as the socket is open.
    pub(super) fn promiscuous(&self, interface: u32) -> io::Result<()> {
        let request = libc::packet_mreq {
            mr_ifindex: interface as c_int,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        self.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
    }

    /// Joins a group of sockets that share the interface's packets by flow.
    pub(super) fn fanout(&self, group: u16) -> io::Result<()> {
        let value = u32::from(group) | libc::PACKET_FANOUT_HASH << 16;
        self.set(libc::SOL_PACKET, libc::PACKET_FANOUT, &value)
    }

    /// Takes only what `program` takes, and so much of it.
    pub(super) fn filter(&self, program: &mut [libc::sock_filter]) -> io::Result<()> {
        let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
    }

    /// Asks the adapter to stamp all packets, and the ring to show its stamps. One
    /// that somebody else has set so may stay as it is.
    pub(super) fn hardware_times(&self, name: &str) -> io::Result<()> {
        let mut config = libc::hwtstamp_config {
            flags: 0,
            tx_type: libc::HWTSTAMP_TX_OFF as c_int,
            rx_filter: libc::HWTSTAMP_FILTER_ALL as c_int,
        };
        let mut request = named(name)?;
        request.ifr_ifru.ifru_data = (&raw mut config).cast();
        // SAFETY: the request points to a config that outlives the call.
        let set =
            check(unsafe { libc::ioctl(self.fd(), libc::SIOCSHWTSTAMP as _, &raw mut request) });
        if let Err(error) = set
            && Stamps::ask(name).filter != Some(libc::HWTSTAMP_FILTER_ALL)
        {
            return Err(error);
        }
        let wanted = libc::SOF_TIMESTAMPING_RAW_HARDWARE as c_int;
        self.set(libc::SOL_PACKET, libc::PACKET_TIMESTAMP, &wanted)
    }

    /// The kind of link, as ARP numbers it.
    pub(super) fn hardware_type(&self, name: &str) -> io::Result<u16> {
        let mut request = named(name)?;
        // SAFETY: the request is whole, and outlives the call.
        check(unsafe { libc::ioctl(self.fd(), libc::SIOCGIFHWADDR as _, &raw mut request) })?;
        // SAFETY: the call filled this variant.
        Ok(unsafe { request.ifr_ifru.ifru_hwaddr }.sa_family)
    }

    /// Packets that met the filter and, of them, those dropped for want of room,
    /// since the last call.
    pub(super) fn counts(&self) -> io::Result<(u32, u32)> {
        // SAFETY: a plain structure of which all zeros is a value.
        let mut stats: libc::tpacket_stats_v3 = unsafe { zeroed() };
        let mut len = size_of::<libc::tpacket_stats_v3>() as socklen_t;
        let pointer = (&raw mut stats).cast::<c_void>();
        let (level, option) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
        // SAFETY: `stats` has room for `len` bytes.
        check(unsafe { libc::getsockopt(self.fd(), level, option, pointer, &raw mut len) })?;
        Ok((stats.tp_packets, stats.tp_drops))
    }

    /// Waits until a block is ready, or for `timeout_ms`. An error ends the wait
    /// and shows at the next call.
    pub(super) fn wait(&self, timeout_ms: u32) {
        let mut poll = libc::pollfd { fd: self.fd(), events: libc::POLLIN, revents: 0 };
        let timeout = c_int::try_from(timeout_ms).unwrap_or(c_int::MAX);
        // SAFETY: one initialised pollfd on the stack, valid for the whole call.
        unsafe { libc::poll(&raw mut poll, 1, timeout) };
    }
}

/// The number of an interface.
pub(super) fn interface_number(name: &str) -> io::Result<u32> {
    let name = std::ffi::CString::new(name)?;
    // SAFETY: a string that ends in a zero byte.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        number => Ok(number),
    }
}

/// Keeps the calling thread on one processor.
///
/// # Errors
/// Where there is no such processor or this thread may not use it.
pub fn pin_to_cpu(cpu: usize) -> io::Result<()> {
    // SAFETY: a plain structure of which all zeros is a value.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    if cpu >= size_of::<libc::cpu_set_t>() * 8 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: the number was checked against the set's size.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is whole for the whole call; 0 is the calling thread.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })
        .map(|_| ())
}

/// A filter program as libpcap compiled it.
pub(super) fn instructions(program: &pcap::BpfProgram) -> Vec<libc::sock_filter> {
    let instructions = program.get_instructions();
    let start = instructions.as_ptr().cast::<libc::sock_filter>();
    // SAFETY: libpcap's instruction and the kernel's are the same structure (a
    // 16-bit code, two bytes, 32 bits), and the crate's type is transparent.
    unsafe { std::slice::from_raw_parts(start, instructions.len()) }.to_vec()
}

/// The blocks that the kernel fills.
#[derive(Debug)]
pub(super) struct Ring {
    memory: NonNull<u8>,
    blocks: usize,
}

// SAFETY: the mapping belongs to this value alone, wherever it is.
unsafe impl Send for Ring {}

impl Ring {
    /// Gives the socket a ring of `blocks`, each handed over when full or after
    /// `timeout_ms`.
    pub(super) fn new(socket: &Socket, blocks: usize, timeout_ms: u32) -> io::Result<Self> {
        let version = libc::tpacket_versions::TPACKET_V3 as c_int;
        socket.set(libc::SOL_PACKET, libc::PACKET_VERSION, &version)?;
        let request = libc::tpacket_req3 {
            tp_block_size: BLOCK_BYTES as u32,
            tp_block_nr: blocks as u32,
            tp_frame_size: FRAME_BYTES,
            tp_frame_nr: (BLOCK_BYTES as u32 / FRAME_BYTES) * blocks as u32,
            tp_retire_blk_tov: timeout_ms.max(1),
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        socket.set(libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        let (access, how) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        let len = blocks * BLOCK_BYTES;
        // SAFETY: a new mapping of the ring just made, of exactly its size.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), len, access, how, socket.fd(), 0) };
        match NonNull::new(memory.cast::<u8>()) {
            Some(memory) if memory.as_ptr().cast() != libc::MAP_FAILED => {
                Ok(Self { memory, blocks })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Number of blocks.
    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    fn status(&self, block: usize) -> &AtomicU32 {
        let at = (block % self.blocks) * BLOCK_BYTES + STATUS_AT;
        // SAFETY: inside the mapping, aligned to 4, and both sides use it as an
        // atomic word only.
        unsafe { AtomicU32::from_ptr(self.memory.as_ptr().add(at).cast()) }
    }

    /// The bytes of a block, where it is ours.
    pub(super) fn block(&self, block: usize) -> Option<&[u8]> {
        let user = libc::TP_STATUS_USER;
        if self.status(block).load(Ordering::Acquire) & user == 0 {
            return None;
        }
        let at = (block % self.blocks) * BLOCK_BYTES;
        // SAFETY: inside the mapping; the kernel leaves the block alone until
        // `release`, which needs `&mut self` and so ends this borrow.
        Some(unsafe { std::slice::from_raw_parts(self.memory.as_ptr().add(at), BLOCK_BYTES) })
    }

    /// Gives a block back to the kernel.
    pub(super) fn release(&mut self, block: usize) {
        self.status(block).store(libc::TP_STATUS_KERNEL, Ordering::Release);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, whole, and used no more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.blocks * BLOCK_BYTES) };
    }
}
