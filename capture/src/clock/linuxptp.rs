//! linuxptp: `pmc -u -b 0 'GET TIME_STATUS_NP'`, lines of a name and a value.
//!
//! ```text
//!     90e2ba.fffe.4d9a10-0 seq 0 RESPONSE MANAGEMENT TIME_STATUS_NP
//!         master_offset              -8
//!         gmPresent                  true
//!         gmIdentity                 ec4670.fffe.000001
//! ```
//!
//! `master_offset` is how far the PTP clock is ahead of its master in ns; no
//! bound follows from it, since the path's asymmetry is unknown.

use super::ClockRecord;

/// The command that asks.
pub const COMMAND: [&str; 5] = ["pmc", "-u", "-b", "0", "GET TIME_STATUS_NP"];

/// Reads its answer; `None` where no clock answered.
pub fn parse(answer: &str) -> Option<ClockRecord> {
    let mut in_answer = false;
    let mut record = ClockRecord::of("ptp4l");
    let mut known = false;
    for line in answer.lines() {
        if line.contains("MANAGEMENT") {
            in_answer = line.contains("RESPONSE MANAGEMENT TIME_STATUS_NP");
            continue;
        }
        let mut words = line.split_whitespace();
        let (true, Some(name), Some(value)) = (in_answer, words.next(), words.next()) else {
            continue;
        };
        match name {
            "master_offset" => {
                record.offset_ns = value.parse().ok();
                known = record.offset_ns.is_some();
            }
            "gmPresent" => {
                record.state =
                    if value == "true" { "synchronised" } else { "unsynchronised" }.into();
            }
            "gmIdentity" => record.reference = value.to_string(),
            "ingress_time" => record.flags = format!("ingress_time:{value}"),
            _ => {}
        }
    }
    known.then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "sending: GET TIME_STATUS_NP
\t90e2ba.fffe.4d9a10-0 seq 0 RESPONSE MANAGEMENT TIME_STATUS_NP
\t\tmaster_offset              -8
\t\tingress_time               1700000000123456789
\t\tcumulativeScaledRateOffset +0.000000000
\t\tscaledLastGmPhaseChange    0
\t\tgmTimeBaseIndicator        0
\t\tlastGmPhaseChange          0x0000'0000000000000000.0000
\t\tgmPresent                  true
\t\tgmIdentity                 ec4670.fffe.000001
";

    #[test]
    fn a_slave_of_a_grandmaster() {
        let record = parse(ANSWER).unwrap();
        assert_eq!((record.source.as_str(), record.state.as_str()), ("ptp4l", "synchronised"));
        assert_eq!((record.offset_ns, record.bound_ns), (Some(-8), None));
        assert_eq!(record.reference, "ec4670.fffe.000001");
        let alone = ANSWER.replace("true", "false");
        assert_eq!(parse(&alone).unwrap().state, "unsynchronised");
    }

    #[test]
    fn no_answer_is_none() {
        assert_eq!(parse("sending: GET TIME_STATUS_NP\n"), None);
        assert_eq!(
            parse(&ANSWER.replace("TIME_STATUS_NP\n\t\tmaster", "PORT_DATA_SET\n\t\tmaster")),
            None
        );
        assert_eq!(parse(""), None);
    }
}
