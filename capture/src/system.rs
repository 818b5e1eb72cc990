//! What a capture node asks of the system: room on a disk, fewer
//! privileges, a lower priority, memory that stays.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes that this process may still write on the file system of `path`.
///
/// # Errors
/// What the system says.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: all fields are integers, for which zero is a value.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a terminated path and a struct that both outlive the call.
    match unsafe { libc::statvfs(path.as_ptr(), &raw mut stat) } {
        0 => Ok(stat.f_bavail.saturating_mul(stat.f_frsize)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives the whole process the lowest priority for the processor and the disk:
/// it runs where nobody else wants to.
pub fn run_idle() {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    const IOPRIO_IDLE: libc::c_int = 3 << 13;
    // SAFETY: both calls take numbers only. That either fails costs priority only.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 19);
        libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
    }
}

/// Memory that is given back may stay with the process up to so many bytes.
const KEPT_BYTES: libc::c_int = 64 << 20;

/// Lets the process keep memory that it gives back instead of asking the kernel for it
/// anew: sealing takes and gives back megabytes all the time, and a sixth of its time
/// was the kernel's, clearing them.
pub fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes numbers only. That either fails costs time only.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, KEPT_BYTES / 2);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
    }
}

const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`, which has two words of bits.
const CAP_VERSION: u32 = 0x2008_0522;

fn capabilities() -> io::Result<[CapData; 2]> {
    let header = CapHeader { version: CAP_VERSION, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: version 3 takes exactly two words; both structs outlive the call.
    match unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) } {
        0 => Ok(data),
        _ => Err(io::Error::last_os_error()),
    }
}

fn set_capabilities(data: [CapData; 2]) -> io::Result<()> {
    let header = CapHeader { version: CAP_VERSION, pid: 0 };
    // SAFETY: as in `capabilities`; the kernel only reads.
    match unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What opening an interface needs: raw sockets, and promiscuous mode.
const NETWORK: u32 = 1 << CAP_NET_RAW | 1 << CAP_NET_ADMIN;

/// Gives up every privilege for good but those for opening an interface, and
/// has those at rest: [`with_network`] wakes them. Threads started later have
/// no more than this one.
///
/// # Errors
/// What the system says.
pub fn drop_privileges() -> io::Result<()> {
    let [low, _] = capabilities()?;
    let kept = CapData { effective: 0, permitted: low.permitted & NETWORK, inheritable: 0 };
    set_capabilities([kept, CapData::default()])?;
    // SAFETY: takes numbers only; nothing started from here may gain privileges.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    Ok(())
}

/// Does `what` with the privileges for opening an interface, as far as this
/// thread may have them.
pub fn with_network<T>(what: impl FnOnce() -> T) -> T {
    let before = capabilities().ok();
    if let Some([low, high]) = before {
        let effective = low.effective | (low.permitted & NETWORK);
        // Where it fails, opening says what is missing.
        let _ = set_capabilities([CapData { effective, ..low }, high]);
    }
    let done = what();
    if let Some(before) = before {
        let _ = set_capabilities(before);
    }
    done
}

/// The privileges in effect, as the kernel's bits, of this thread.
pub fn effective_privileges() -> Option<u64> {
    let [low, high] = capabilities().ok()?;
    Some(u64::from(high.effective) << 32 | u64::from(low.effective))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_here_and_none_nowhere() {
        assert!(free_bytes(&std::env::temp_dir()).unwrap() > 0);
        assert!(free_bytes(Path::new("/no/such/path")).is_err());
    }

    #[test]
    fn dropped_privileges_wake_only_to_open() {
        // Capabilities are a thread's own.
        let bits = std::thread::spawn(|| {
            drop_privileges().unwrap();
            let asleep = effective_privileges().unwrap();
            let awake = with_network(|| effective_privileges().unwrap());
            (asleep, awake, effective_privileges().unwrap())
        });
        let (asleep, awake, after) = bits.join().unwrap();
        assert_eq!((asleep, after), (0, 0));
        assert_eq!(awake & !u64::from(NETWORK), 0);
    }
}
