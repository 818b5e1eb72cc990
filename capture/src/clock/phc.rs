//! The adapter's own clock (PHC) against the system's, by the ioctls of
//! linux/ptp_clock.h.
//!
//! ```text
//! PTP_SYS_OFFSET_EXTENDED   sys phc sys | sys phc sys | …   up to 25; the narrowest counts
//! PTP_SYS_OFFSET            sys phc sys phc sys …           where the former is unknown
//!
//! offset = phc - middle of both sys, bound = half their distance
//! ```
//!
//! A PHC usually counts TAI: an offset near 37 s is that, and no error.

use super::ClockRecord;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Readings asked for, the most there can be.
const SAMPLES: usize = 25;

/// `_IOWR('=', 9, struct ptp_sys_offset_extended)`.
const SYS_OFFSET_EXTENDED: libc::c_ulong = 0xc4c0_3d09;

/// `_IOW('=', 5, struct ptp_sys_offset)`.
const SYS_OFFSET: libc::c_ulong = 0x4340_3d05;

/// `struct ptp_clock_time`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct ClockTime {
    sec: i64,
    nsec: u32,
    reserved: u32,
}

impl ClockTime {
    fn ns(self) -> Option<i64> {
        self.sec.checked_mul(1_000_000_000)?.checked_add(self.nsec.into())
    }
}

/// `struct ptp_sys_offset_extended`.
#[repr(C)]
struct Extended {
    n_samples: u32,
    clock_id: i32,
    reserved: [u32; 2],
    times: [[ClockTime; 3]; SAMPLES],
}

/// `struct ptp_sys_offset`.
#[repr(C)]
struct Plain {
    n_samples: u32,
    reserved: [u32; 3],
    times: [ClockTime; 2 * SAMPLES + 1],
}

/// The PHC of an interface, where it has one: `/dev/ptp0`.
pub fn device(interface: &str) -> Option<String> {
    if interface.contains('/') {
        return None;
    }
    let directory = Path::new("/sys/class/net").join(interface).join("device/ptp");
    let mut names = std::fs::read_dir(directory).ok()?.flatten().map(|entry| entry.file_name());
    Some(format!("/dev/{}", names.next()?.to_str()?))
}

/// The offset of a PHC to the system clock; `None` where it cannot be read.
pub fn read(device: &str) -> Option<ClockRecord> {
    let file = File::open(device).ok()?;
    let (offset, bound) = extended(&file).or_else(|| plain(&file))?;
    let mut record = ClockRecord::of("phc");
    record.offset_ns = Some(offset);
    record.bound_ns = Some(bound);
    record.reference = device.to_string();
    Some(record)
}

fn extended(file: &File) -> Option<(i64, i64)> {
    let mut asked = Extended {
        n_samples: SAMPLES as u32,
        clock_id: 0,
        reserved: [0; 2],
        times: [[ClockTime::default(); 3]; SAMPLES],
    };
    // SAFETY: the request's number carries the size of this struct, which lives
    // through the call; the kernel writes only into it.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), SYS_OFFSET_EXTENDED, &raw mut asked) };
    if done != 0 {
        return None;
    }
    narrowest(asked.times.iter().take(asked.n_samples as usize).copied())
}

fn plain(file: &File) -> Option<(i64, i64)> {
    let mut asked = Plain {
        n_samples: SAMPLES as u32,
        reserved: [0; 3],
        times: [ClockTime::default(); 2 * SAMPLES + 1],
    };
    // SAFETY: as above, with the size of this struct in the number.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), SYS_OFFSET, &raw mut asked) };
    if done != 0 {
        return None;
    }
    let times = asked.times.windows(3).step_by(2).take(asked.n_samples as usize);
    narrowest(times.filter_map(|three| three.try_into().ok()))
}

/// Offset and bound of the reading whose system times are closest together.
fn narrowest(readings: impl Iterator<Item = [ClockTime; 3]>) -> Option<(i64, i64)> {
    let of = |[before, phc, after]: [ClockTime; 3]| {
        let (before, phc, after) = (before.ns()?, phc.ns()?, after.ns()?);
        let width = after.checked_sub(before).filter(|width| *width >= 0)?;
        let middle = before.checked_add(width / 2)?;
        Some((phc.checked_sub(middle)?, width / 2 + width % 2))
    };
    readings.filter_map(of).min_by_key(|(_, bound)| *bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_carry_the_sizes_of_their_structs() {
        let size = |request: libc::c_ulong| (request >> 16) as usize & 0x3fff;
        assert_eq!(size_of::<Extended>(), size(SYS_OFFSET_EXTENDED));
        assert_eq!(size_of::<Plain>(), size(SYS_OFFSET));
    }

    #[test]
    fn the_narrowest_reading_counts() {
        let at = |ns: i64| ClockTime {
            sec: ns.div_euclid(1_000_000_000),
            nsec: ns.rem_euclid(1_000_000_000) as u32,
            reserved: 0,
        };
        let reading = |a: i64, b: i64, c: i64| [at(a), at(b), at(c)];
        let readings = [
            reading(0, 37_000_000_900, 2_000),
            reading(5_000, 37_000_005_051, 5_101),
            reading(9, 0, 3),
        ];
        assert_eq!(narrowest(readings.into_iter()), Some((37_000_000_001, 51)));
        assert_eq!(narrowest(std::iter::empty()), None);
        assert_eq!(read("/dev/null"), None);
    }
}
