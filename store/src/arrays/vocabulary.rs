//! Small closed vocabularies as dictionary arrays.

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::error::ArrowError;
use std::sync::Arc;

/// The texts of a vocabulary and where each number's text stands.
#[derive(Debug)]
pub(super) struct Vocabulary {
    texts: ArrayRef,
    key_of: [i32; 256],
}

impl Vocabulary {
    /// The vocabulary whose number `n` has the text `text_of(n)`. Numbers
    /// without one get the first text.
    pub(super) fn new(text_of: impl Fn(u8) -> Option<&'static str>) -> Self {
        let mut texts: Vec<&str> = Vec::new();
        let mut key_of = [0; 256];
        for number in 0..=u8::MAX {
            if let Some(text) = text_of(number) {
                key_of[usize::from(number)] = texts.len() as i32;
                texts.push(text);
            }
        }
        Self { texts: Arc::new(StringArray::from(texts)), key_of }
    }

    /// The keys of `numbers`.
    pub(super) fn keys(&self, numbers: &[u8]) -> impl Iterator<Item = i32> {
        numbers.iter().map(|number| self.key_of[usize::from(*number)])
    }

    /// The texts of `keys`.
    pub(super) fn array(&self, keys: Int32Array) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(DictionaryArray::try_new(keys, self.texts.clone())?))
    }
}
