//! The system clock's own state, by `adjtimex(2)`, which is read and never set.

use super::ClockRecord;

/// Status bits of `adjtimex` and their words (linux/timex.h).
const STATUS: [(i32, &str); 12] = [
    (libc::STA_PLL, "pll"),
    (libc::STA_PPSFREQ, "ppsfreq"),
    (libc::STA_PPSTIME, "ppstime"),
    (libc::STA_FLL, "fll"),
    (libc::STA_INS, "leap_insert"),
    (libc::STA_DEL, "leap_delete"),
    (libc::STA_UNSYNC, "unsync"),
    (libc::STA_FREQHOLD, "freqhold"),
    (libc::STA_PPSSIGNAL, "ppssignal"),
    (libc::STA_CLOCKERR, "clockerr"),
    (libc::STA_NANO, "nano"),
    (libc::STA_MODE, "mode_fll"),
];

/// What the kernel says; its `maxerror` stands among the flags and is no bound:
/// linuxptp sets it to zero.
pub fn read() -> ClockRecord {
    // SAFETY: all fields are integers, for which zero is a value; modes 0 reads only.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a whole timex that outlives the call.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    let mut record = ClockRecord::of("kernel");
    if state < 0 {
        return record;
    }
    let (offset, status) = (timex.offset, timex.status);
    let unit = if status & libc::STA_NANO != 0 { 1 } else { 1_000 };
    record.state = state_text(state, status).to_string();
    record.offset_ns = Some(offset.saturating_mul(unit));
    record.drift_ppb = Some(ppb(timex.freq));
    record.tai_offset_s = (timex.tai != 0).then_some(timex.tai.into());
    record.flags = flags(status, timex.maxerror, timex.esterror);
    record
}

fn state_text(state: i32, status: i32) -> &'static str {
    if state == libc::TIME_ERROR || status & libc::STA_UNSYNC != 0 {
        "unsynchronised"
    } else {
        "synchronised"
    }
}

/// Parts per billion of a frequency in parts per million times 2^16.
fn ppb(scaled_ppm: i64) -> i64 {
    scaled_ppm.saturating_mul(1_000) >> 16
}

fn flags(status: i32, maxerror_us: i64, esterror_us: i64) -> String {
    let words = STATUS.iter().filter(|(bit, _)| status & bit != 0).map(|(_, word)| *word);
    let mut words: Vec<String> = words.map(str::to_string).collect();
    words.push(format!("maxerror_us:{maxerror_us}"));
    words.push(format!("esterror_us:{esterror_us}"));
    words.join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers() {
        let record = read();
        assert_eq!(record.source, "kernel");
        assert!(["synchronised", "unsynchronised", "unknown"].contains(&record.state.as_str()));
    }

    #[test]
    fn words_and_units() {
        assert_eq!(state_text(libc::TIME_ERROR, 0), "unsynchronised");
        assert_eq!(state_text(libc::TIME_OK, libc::STA_UNSYNC), "unsynchronised");
        assert_eq!(state_text(libc::TIME_INS, libc::STA_NANO), "synchronised");
        assert_eq!((ppb(65_536), ppb(-65_536 * 12)), (1_000, -12_000));
        assert_eq!(
            flags(libc::STA_PLL | libc::STA_NANO, 5, 2),
            "pll|nano|maxerror_us:5|esterror_us:2"
        );
    }
}
