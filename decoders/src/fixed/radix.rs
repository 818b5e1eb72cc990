//! Numbers as text, without a loop that waits for each digit.

use crate::batch::{MessageBatch, TextCol};

/// A number in base 36, with zeros before it up to nine characters, which are
/// the last so many.
pub fn base36_text(mut number: u64) -> ([u8; 16], usize) {
    let mut digits = [b'0'; 16];
    let mut count = 0;
    for digit in digits.iter_mut().rev() {
        let value = (number % 36) as u8;
        *digit = if value < 10 { b'0' + value } else { b'A' + value - 10 };
        number /= 36;
        count += 1;
        if number == 0 {
            break;
        }
    }
    (digits, count.max(9))
}

/// Numbers below are written with eight digits at most.
const EIGHT: u64 = 100_000_000;

/// Sets a text to a number in decimal digits.
#[inline]
pub fn set_decimal(batch: &mut MessageBatch, row: usize, col: TextCol, number: u64) {
    let (high, low) = (number / EIGHT, eight_digits(number % EIGHT));
    if high == 0 {
        let count = digits_in(low).max(1);
        return batch.set_end(row, col, &text(low), count);
    }
    let mut digits = [0; 24];
    let mut put = |at: usize, part: u64| {
        if let Some(place) = digits.get_mut(at..at + 8) {
            place.copy_from_slice(&text(part));
        }
    };
    let middle = eight_digits(high % EIGHT);
    put(16, low);
    put(8, middle);
    let mut count = 8 + digits_in(middle);
    if high >= EIGHT {
        let first = eight_digits(high / EIGHT);
        put(0, first);
        count = 16 + digits_in(first);
    }
    batch.set_end(row, col, &digits, count);
}

/// Digits without the zeros before them.
#[inline]
fn digits_in(eight: u64) -> usize {
    8 - (eight.trailing_zeros() / 8) as usize
}

#[inline]
fn text(eight: u64) -> [u8; 8] {
    (eight | 0x3030_3030_3030_3030).to_le_bytes()
}

/// The digits of a number below 10^8, one a byte, the first one lowest: halves,
/// quarters and single digits, all of one size at once.
#[inline]
fn eight_digits(number: u64) -> u64 {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = (fours.wrapping_mul(10_486) >> 20) & 0x7F_0000_007F;
    let twos = hundreds | (fours.wrapping_sub(hundreds.wrapping_mul(100)) << 16);
    let tens = (twos.wrapping_mul(103) >> 10) & 0x000F_000F_000F_000F;
    tens | (twos.wrapping_sub(tens.wrapping_mul(10)) << 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed::tests::rows::head;
    use crate::names::Name;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn base_36_is_as_the_exchange_writes_it(number: u64) {
            let (digits, count) = base36_text(number);
            prop_assert!(count >= 9);
            let text = std::str::from_utf8(&digits[16 - count..]).unwrap();
            let read = u64::from_str_radix(text, 36);
            prop_assert_eq!(read, Ok(number));
        }

        #[test]
        fn digits_are_those_of_display(number: u64, shift in 0u32..64) {
            let number = number >> shift;
            let mut batch = MessageBatch::new();
            batch.push(&head(0), 0, Name(0));
            set_decimal(&mut batch, 0, TextCol::ExecId, number);
            let want = number.to_string();
            prop_assert_eq!(batch.text(0, TextCol::ExecId), Some(want.as_bytes()));
        }
    }

    #[test]
    fn every_eight_digits_stand_in_their_places() {
        for number in (0..100_000_000).step_by(997).chain([99_999_999, 9_999, 10_000]) {
            let digits = text(eight_digits(number));
            assert_eq!(digits, format!("{number:08}").as_bytes(), "{number}");
        }
    }
}
