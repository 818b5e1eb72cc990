//! Numbers as text, without a loop that waits for each digit.

/// A number in base 36, with zeros before it up to nine characters.
pub fn base36_text(mut number: u64) -> Digits {
    let mut all = [b'0'; 40];
    let mut start = 20;
    for digit in all[..20].iter_mut().rev() {
        let value = (number % 36) as u8;
        *digit = if value < 10 { b'0' + value } else { b'A' + value - 10 };
        number /= 36;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    let start = start.min(11);
    let first = all.get(start..).and_then(|digits| digits.first_chunk());
    (first.copied().unwrap_or_default(), 20 - start)
}

/// Bytes of a number's digits, of which the first so many count.
pub type Digits = ([u8; 20], usize);

/// A number in decimal digits.
pub fn decimal_text(number: u64) -> Digits {
    const EIGHT: u64 = 100_000_000;
    let mut all = [b'0'; 44];
    let (high, low) = (number / EIGHT, number % EIGHT);
    let (top, middle) = (high / EIGHT, high % EIGHT);
    for (place, part) in all.chunks_exact_mut(8).zip([top, middle, low]) {
        place.copy_from_slice(&eight_digits(part));
    }
    let count = number.checked_ilog10().unwrap_or(0) as usize + 1;
    let first = all.get(24 - count..).and_then(|digits| digits.first_chunk());
    (first.copied().unwrap_or_default(), count)
}

/// The digits of a number below 10^8: halves, quarters and single digits, all
/// of one size at once.
fn eight_digits(number: u64) -> [u8; 8] {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = (fours.wrapping_mul(10_486) >> 20) & 0x7F_0000_007F;
    let twos = hundreds | (fours.wrapping_sub(hundreds.wrapping_mul(100)) << 16);
    let tens = (twos.wrapping_mul(103) >> 10) & 0x000F_000F_000F_000F;
    let ones = tens | (twos.wrapping_sub(tens.wrapping_mul(10)) << 8);
    (ones | 0x3030_3030_3030_3030).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn base_36_is_as_the_exchange_writes_it(number: u64) {
            let (digits, count) = base36_text(number);
            prop_assert!(count >= 9);
            let read = u64::from_str_radix(std::str::from_utf8(&digits[..count]).unwrap(), 36);
            prop_assert_eq!(read, Ok(number));
        }

        #[test]
        fn digits_are_those_of_display(number: u64, shift in 0u32..64) {
            let number = number >> shift;
            let (digits, count) = decimal_text(number);
            let want = number.to_string();
            prop_assert_eq!(&digits[..count], want.as_bytes());
        }
    }

    #[test]
    fn every_eight_digits_stand_in_their_places() {
        for number in (0..100_000_000).step_by(997).chain([99_999_999, 9_999, 10_000]) {
            assert_eq!(eight_digits(number), format!("{number:08}").as_bytes(), "{number}");
        }
    }
}
