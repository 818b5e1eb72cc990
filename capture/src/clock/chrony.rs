//! chrony: `chronyc -c tracking`, one line of values separated by commas.
//!
//! ```text
//! refid, name, stratum, ref time, system time, last offset, RMS offset,
//! frequency ppm, residual ppm, skew ppm, root delay, root dispersion,
//! update interval, leap status
//! ```
//!
//! The order is that of the lines of `tracking` in chronyc(1), which also gives
//! the bound: |system time| + root dispersion + root delay / 2.

use super::{ClockRecord, decimal_ns};

const SECOND_NS: i64 = 1_000_000_000;

/// The command that asks.
pub const COMMAND: [&str; 4] = ["chronyc", "-c", "-n", "tracking"];

/// Reads its answer; `None` where it is not one.
///
/// `offset_ns` has the sign that this form prints.
pub fn parse(answer: &str) -> Option<ClockRecord> {
    let line = answer.lines().next()?;
    let fields: Vec<&str> = line.trim().split(',').collect();
    let [refid, name, stratum, _, system, _, _, frequency, _, _, delay, dispersion, _, leap] =
        fields.get(..14)?.try_into().ok()?;
    let offset = decimal_ns(system, SECOND_NS)?;
    let bound = offset
        .checked_abs()?
        .checked_add(decimal_ns(dispersion, SECOND_NS)?)?
        .checked_add(decimal_ns(delay, SECOND_NS)? / 2)?;
    let synchronised = leap != "Not synchronised";
    let mut record = ClockRecord::of("chrony");
    record.state = if synchronised { "synchronised" } else { "unsynchronised" }.to_string();
    record.offset_ns = Some(offset);
    record.bound_ns = synchronised.then_some(bound);
    record.drift_ppb = decimal_ns(frequency, 1_000);
    record.reference = if name.is_empty() { refid } else { name }.to_string();
    record.flags = format!("stratum:{stratum}|leap:{leap}");
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_synchronised_clock() {
        let answer = "CB00710F,ntp1.example,2,1700000000.123456789,-0.000000525,0.000000120,\
                      0.000000900,-14.123,0.001,0.020,0.000400000,0.000050000,64.2,Normal\n";
        let record = parse(answer).unwrap();
        assert_eq!(record.state, "synchronised");
        assert_eq!(record.offset_ns, Some(-525));
        assert_eq!(record.bound_ns, Some(525 + 50_000 + 200_000));
        assert_eq!(record.drift_ppb, Some(-14_123));
        assert_eq!(record.reference, "ntp1.example");
        assert_eq!(record.flags, "stratum:2|leap:Normal");
    }

    #[test]
    fn an_unsynchronised_one_has_no_bound() {
        let answer = "00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,\
                      0.000,1.000000000,1.000000000,0.0,Not synchronised";
        let record = parse(answer).unwrap();
        assert_eq!((record.state.as_str(), record.bound_ns), ("unsynchronised", None));
    }

    #[test]
    fn anything_else_is_none() {
        for answer in ["", "506 Cannot talk to daemon", "a,b,c", &"x,".repeat(14)] {
            assert_eq!(parse(answer), None, "{answer}");
        }
    }
}
