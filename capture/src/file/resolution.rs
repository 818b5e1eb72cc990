//! Ticks of a pcapng interface to nanoseconds, exactly where they are whole
//! nanoseconds and to the nearest one where they are finer.

/// What one tick is worth (pcapng `if_tsresol`: bit 7 clear 10^-n seconds, set
/// 2^-n seconds, n in the low 7 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolution {
    /// A tick is this many nanoseconds.
    Multiply(u32),
    /// A nanosecond is this many ticks.
    Divide(u64),
    /// A second is 2^n ticks, n below [`BINARY_MAX`].
    Shift(u8),
    /// So fine that 2^64 ticks are less than half a nanosecond.
    Nothing,
}

/// From this binary exponent on, no tick count reaches half a nanosecond.
const BINARY_MAX: u8 = 96;

impl Resolution {
    /// Without an `if_tsresol`: microseconds.
    pub(super) const MICROSECONDS: Self = Self::Multiply(1000);

    /// 32 bits of seconds, 32 of their fraction.
    pub(super) const BINARY_32: Self = Self::Shift(32);

    /// From the option's one byte.
    pub(super) fn from_tsresol(byte: u8) -> Self {
        let n = byte & 0x7f;
        if byte & 0x80 != 0 {
            return if n < BINARY_MAX { Self::Shift(n) } else { Self::Nothing };
        }
        match n {
            0..=9 => Self::Multiply(10u32.pow(u32::from(9 - n))),
            10..=28 => Self::Divide(10u64.pow(u32::from(n - 9))),
            _ => Self::Nothing,
        }
    }

    /// The nearest nanosecond of `ticks`, and the picoseconds to add to it
    /// (-500 to 500).
    #[inline]
    pub(super) fn ns(self, ticks: u64) -> (i128, i16) {
        match self {
            Self::Multiply(factor) => (i128::from(ticks) * i128::from(factor), 0),
            Self::Divide(divisor) => {
                let (whole, rest) = (ticks / divisor, i128::from(ticks % divisor));
                let divisor = i128::from(divisor);
                let up = i128::from(rest >= divisor - divisor / 2);
                let ps = ((rest - up * divisor) * 1000 + divisor / 2).div_euclid(divisor);
                (i128::from(whole) + up, ps as i16)
            }
            Self::Shift(n) => {
                let scaled = i128::from(ticks) * 1_000_000_000;
                let half = if n == 0 { 0 } else { 1i128 << (n - 1) };
                let ns = (scaled + half) >> n;
                (ns, (((scaled - (ns << n)) * 1000 + half) >> n) as i16)
            }
            Self::Nothing => (0, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_resolutions() {
        assert_eq!(Resolution::from_tsresol(6), Resolution::MICROSECONDS);
        assert_eq!(Resolution::from_tsresol(9).ns(u64::MAX), (i128::from(u64::MAX), 0));
        assert_eq!(Resolution::from_tsresol(0).ns(2), (2_000_000_000, 0));
        assert_eq!(Resolution::from_tsresol(12).ns(1_499), (1, 499));
        assert_eq!(Resolution::from_tsresol(12).ns(1_500), (2, -500));
        assert_eq!(Resolution::from_tsresol(0x80 | 32).ns(1 << 31), (500_000_000, 0));
        assert_eq!(Resolution::from_tsresol(0x80).ns(3), (3_000_000_000, 0));
        assert_eq!(Resolution::from_tsresol(127).ns(u64::MAX), (0, 0));
        assert_eq!(Resolution::from_tsresol(255).ns(u64::MAX), (0, 0));
    }

    proptest! {
        /// The two parts are the exact time to half a picosecond.
        #[test]
        fn picoseconds_are_what_the_nanosecond_lacks(ticks in 0u64..1 << 50) {
            for byte in [0x80 | 32, 0x80 | 40, 11, 12, 15] {
                let (ns, ps) = Resolution::from_tsresol(byte).ns(ticks);
                let n = u32::from(byte & 0x7f);
                let unit = if byte & 0x80 != 0 { 1i128 << n } else { 10i128.pow(n) };
                let off = (ns * 1000 + i128::from(ps)) * unit - i128::from(ticks) * 1_000_000_000_000;
                prop_assert!(off.abs() * 2 <= unit);
            }
        }

        /// A nanosecond written in 2^-32 s (as hardware does) comes back whole.
        #[test]
        fn binary_fractions_keep_nanoseconds(sec in 0u64..1 << 31, ns in 0u64..1_000_000_000) {
            let ticks = (sec << 32) | ((ns << 32) / 1_000_000_000);
            let (back, _) = Resolution::from_tsresol(0x80 | 32).ns(ticks);
            prop_assert_eq!(back, i128::from(sec) * 1_000_000_000 + i128::from(ns));
        }

        #[test]
        fn never_panics(byte: u8, ticks: u64) {
            let (ns, ps) = Resolution::from_tsresol(byte).ns(ticks);
            prop_assert!(ns >= 0 && (-500..=500).contains(&ps));
        }
    }
}
