//! What a network adapter and its driver say of themselves.
//!
//! ```text
//! /sys/class/net/IF/statistics ──────────▶ counters   what was lost before the ring
//! SIOCETHTOOL: GSTRINGS, GSTATS ─────────▶ counters   the driver's own names for it
//! SIOCETHTOOL: GET_TS_INFO, SIOCGHWTSTAMP ▶ stamps    which clocks can stamp, which one is asked to
//! ```
//!
//! Everything here only asks (linux/ethtool.h, linux/net_tstamp.h), needs no
//! privilege, and is unknown where a driver does not answer.

pub mod counters;
pub mod stamps;

use std::io;
use std::mem::zeroed;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

/// The request that carries all of ethtool's.
const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// A request about the interface of this name.
pub(crate) fn named(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: a plain structure of which all zeros is a value.
    let mut request: libc::ifreq = unsafe { zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

/// Asks about an interface; the answer is in `words`, of which there must be as
/// many as the kernel writes at most.
fn ask(interface: &str, request: libc::c_ulong, words: &mut [u32]) -> io::Result<()> {
    // Any socket reaches the interfaces of its network namespace.
    let socket = UnixDatagram::unbound()?;
    let mut about = named(interface)?;
    about.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
    // SAFETY: the request points to words that outlive the call; every caller
    // says why they are enough.
    match unsafe { libc::ioctl(socket.as_raw_fd(), request as _, &raw mut about) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
