//! Numbers of which there are few different ones, such as lengths.
//!
//! ```text
//! 1514 66 66 1514 90 ─▶ numbers 66 90 1514, keys 2 0 0 2 1
//! ```

/// Most different numbers: keys are bytes.
const FEW: usize = 256;

/// Places of a table of them, many times as many, so that nearly every number is found
/// where it is looked for first.
const PLACES_BITS: u32 = 11;

/// The different numbers in rising order, and for each row which it is; `None` where
/// there are too many.
pub(super) fn few(rows: &[u32]) -> Option<(Vec<u32>, Vec<u8>)> {
    let mut found = Vec::with_capacity(FEW);
    let mut places = vec![None; 1 << PLACES_BITS];
    let mut keys = Vec::with_capacity(rows.len());
    for &number in rows {
        keys.push(key(number, &mut found, &mut places)?);
    }
    let mut order: Vec<u8> = (0..found.len()).map(|key| key as u8).collect();
    order.sort_by_key(|&key| found.get(usize::from(key)));
    let mut place_of = [0; FEW];
    for (place, &key) in order.iter().enumerate() {
        place_of[usize::from(key)] = place as u8;
    }
    keys.iter_mut().for_each(|key| *key = place_of[usize::from(*key)]);
    found.sort_unstable();
    Some((found, keys))
}

/// Which of the numbers found so far it is, or will be.
#[inline]
fn key(number: u32, found: &mut Vec<u32>, places: &mut [Option<(u32, u8)>]) -> Option<u8> {
    let first = (number.wrapping_mul(0x9e37_79b1) >> (u32::BITS - PLACES_BITS)) as usize;
    let (before, from) = places.split_at_mut_checked(first)?;
    for place in from.iter_mut().chain(before) {
        match *place {
            Some((known, key)) if known == number => return Some(key),
            Some(_) => {}
            None => {
                let key = u8::try_from(found.len()).ok()?;
                found.push(number);
                *place = Some((number, key));
                return Some(key);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn too_many_are_told() {
        let numbers: Vec<u32> = (0..256).map(|n| n << 20).rev().collect();
        let (found, keys) = few(&numbers).unwrap();
        assert!(found.is_sorted() && found.len() == 256);
        assert_eq!(keys.first(), Some(&255));
        assert_eq!(few(&[numbers, vec![7]].concat()), None);
    }

    proptest! {
        #[test]
        fn keys_name_their_numbers(rows in prop::collection::vec(0..300u32, 0..200)) {
            let (found, keys) = few(&rows).unwrap();
            prop_assert!(found.is_sorted_by(|a, b| a < b));
            let named: Vec<u32> = keys.iter().map(|&key| found[usize::from(key)]).collect();
            prop_assert_eq!(named, rows);
        }
    }
}
