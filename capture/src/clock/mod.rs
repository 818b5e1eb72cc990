//! What the node's clocks say of themselves, once a second.
//!
//! ```text
//! adjtimex ────────────────▶ kernel   always
//! chronyc -c tracking ─────▶ chrony   where chrony runs
//! pmc GET TIME_STATUS_NP ──▶ ptp4l    where linuxptp runs      ──▶ ClockRecord
//! PTP_SYS_OFFSET ──────────▶ phc      where the adapter has a clock
//! ```
//!
//! A bound is given only where its source vouches for one: the kernel's
//! `maxerror` is none under linuxptp, which sets it to zero.

pub mod chrony;
pub mod kernel;
pub mod linuxptp;
pub mod phc;

/// The longest text kept of a clock's reference or flags, in bytes.
const TEXT_MAX: usize = 128;

/// What one source says of one clock at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClockRecord {
    /// Who says it: `kernel`, `chrony`, `ptp4l`, `phc`.
    pub source: String,
    /// `synchronised`, `unsynchronised`, `holdover`, or `unknown`.
    pub state: String,
    /// How far the clock is ahead of its reference, ns; `None` where not said.
    pub offset_ns: Option<i64>,
    /// Half width of that offset's bound, ns; `None` where nothing bounds it.
    pub bound_ns: Option<i64>,
    /// Rate correction or error in parts per billion, as the source counts it.
    pub drift_ppb: Option<i64>,
    /// TAI - UTC in seconds, where said.
    pub tai_offset_s: Option<i64>,
    /// What it is set by: a server, a grandmaster, a device.
    pub reference: String,
    /// The source's own flags as words, joined by `|`.
    pub flags: String,
}

impl ClockRecord {
    /// A record of `source` with nothing said.
    pub fn of(source: &str) -> Self {
        let (source, state) = (source.to_string(), "unknown".to_string());
        Self { source, state, ..Self::default() }
    }

    /// As `name=value` words, unknown ones left out.
    pub(crate) fn to_text(&self) -> String {
        let texts = [
            ("source", &self.source),
            ("state", &self.state),
            ("reference", &self.reference),
            ("flags", &self.flags),
        ];
        let numbers = [
            ("offset_ns", self.offset_ns),
            ("bound_ns", self.bound_ns),
            ("drift_ppb", self.drift_ppb),
            ("tai_offset_s", self.tai_offset_s),
        ];
        let texts = texts.iter().filter(|(_, text)| !text.is_empty());
        let mut words: Vec<String> =
            texts.map(|(name, text)| format!("{name}={}", one_word(text))).collect();
        words.extend(numbers.iter().filter_map(|(name, n)| Some(format!("{name}={}", (*n)?))));
        words.join(" ")
    }

    /// Reads such words; `None` where no source is named.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let mut record = Self::default();
        for (name, value) in text.split(' ').filter_map(|word| word.split_once('=')) {
            let number = value.parse::<i64>().ok();
            match name {
                "source" => record.source = one_word(value),
                "state" => record.state = one_word(value),
                "reference" => record.reference = one_word(value),
                "flags" => record.flags = one_word(value),
                "offset_ns" => record.offset_ns = number,
                "bound_ns" => record.bound_ns = number,
                "drift_ppb" => record.drift_ppb = number,
                "tai_offset_s" => record.tai_offset_s = number,
                _ => {}
            }
        }
        (!record.source.is_empty()).then_some(record)
    }
}

/// A text without blanks, cut to what is kept.
fn one_word(text: &str) -> String {
    let words: String = text.chars().map(|c| if c.is_whitespace() { '_' } else { c }).collect();
    let end = (0..=TEXT_MAX.min(words.len())).rev().find(|&end| words.is_char_boundary(end));
    words.get(..end.unwrap_or(0)).unwrap_or_default().to_string()
}

/// Nanoseconds of a decimal number of `unit_ns`, exactly to the nanosecond:
/// further digits are cut. `None` where it is no number or does not fit.
fn decimal_ns(text: &str, unit_ns: i64) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut ns = whole.parse::<i64>().ok()?.checked_mul(unit_ns)?;
    let mut worth = unit_ns;
    for digit in fraction.bytes() {
        worth /= 10;
        ns = ns.checked_add(i64::from(digit - b'0').checked_mul(worth)?)?;
    }
    Some(if negative { -ns } else { ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_from_its_text() {
        let record = ClockRecord {
            source: "chrony".into(),
            state: "synchronised".into(),
            offset_ns: Some(-125),
            bound_ns: Some(30_000),
            drift_ppb: Some(17),
            tai_offset_s: Some(37),
            reference: "ntp1.example".into(),
            flags: "pll|nano".into(),
        };
        assert_eq!(ClockRecord::from_text(&record.to_text()), Some(record.clone()));
        let blank = ClockRecord { reference: "two words".into(), ..record };
        assert_eq!(ClockRecord::from_text(&blank.to_text()).unwrap().reference, "two_words");
        assert_eq!(ClockRecord::from_text("state=ok"), None);
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal_ns("0.000000123", 1_000_000_000), Some(123));
        assert_eq!(decimal_ns("-0.0000019996", 1_000_000_000), Some(-1_999));
        assert_eq!(decimal_ns("12", 1_000), Some(12_000));
        assert_eq!(decimal_ns("+1.5", 1_000), Some(1_500));
        for bad in ["", "-", ".5", "1e3", "x", "9999999999999"] {
            assert_eq!(decimal_ns(bad, 1_000_000_000), None, "{bad}");
        }
    }
}
