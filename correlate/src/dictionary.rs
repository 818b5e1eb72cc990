//! Columns of texts that repeat, made of numbers.
//!
//! ```text
//! P1 P1 P2 P1  ──each looked up once──>  keys 0 0 1 0, values "P1" "P2"
//! ```

use arrow::array::{ArrayBuilder, ArrayRef, DictionaryArray, Int32Array, StringBuilder};
use hashbrown::HashMap;
use std::borrow::Cow;
use std::hash::Hash;
use std::sync::Arc;

/// A column of texts, each of which is looked up once for its number.
pub fn names<'a, N: Copy + Eq + Hash>(
    numbers: impl Iterator<Item = N>,
    text: impl Fn(N) -> Option<Cow<'a, str>>,
) -> ArrayRef {
    let mut values = StringBuilder::new();
    let mut known: HashMap<N, Option<i32>> = HashMap::new();
    let mut last: Option<(N, Option<i32>)> = None;
    let keys: Int32Array = numbers
        .map(|number| match last {
            Some((same, key)) if same == number => key,
            _ => {
                let key = *known.entry(number).or_insert_with(|| {
                    values.append_value(text(number)?);
                    Some(values.len() as i32 - 1)
                });
                last = Some((number, key));
                key
            }
        })
        .collect();
    Arc::new(DictionaryArray::new(keys, Arc::new(values.finish())))
}
