//! Buffers that are filled again once nobody reads them any more.
//!
//! ```text
//! copy ─▶ buffer ─▶ array, which others read
//!           ▲  │
//!    free ──┘  └─▶ lent ── its array is gone ─▶ free
//! ```
//!
//! Memory fresh from the system costs a fault a page: a quarter of the time
//! that batches of messages took.

use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::ArrowNativeType;
use taptrail_decoders::batch::BATCH_ROWS;

/// Most buffers that are waited for: some ten batches. Those beyond are freed
/// by their last reader.
const LENT_MAX: usize = 512;

/// Buffers with room for a batch's rows.
#[derive(Debug, Default)]
pub(super) struct Pool {
    lent: Vec<(usize, Buffer)>,
    /// By the logarithm of a value's bytes.
    free: [Vec<Buffer>; 5],
}

impl Pool {
    /// Takes back what nobody reads any more.
    pub(super) fn sweep(&mut self) {
        let unread = |(_, buffer): &mut (usize, Buffer)| buffer.strong_count() == 1;
        for (width, buffer) in self.lent.extract_if(.., unread) {
            if let Some(free) = self.free.get_mut(width) {
                free.push(buffer);
            }
        }
    }

    /// A buffer with these values.
    pub(super) fn filled<T: ArrowNativeType>(
        &mut self,
        values: impl Iterator<Item = T>,
    ) -> ScalarBuffer<T> {
        let width = size_of::<T>().trailing_zeros() as usize;
        let free = self.free.get_mut(width).and_then(Vec::pop);
        let free = free.and_then(|buffer| buffer.into_vec::<T>().ok());
        let mut vec = free.unwrap_or_else(|| Vec::with_capacity(BATCH_ROWS));
        vec.clear();
        vec.extend(values);
        let buffer = Buffer::from_vec(vec);
        if self.lent.len() < LENT_MAX {
            self.lent.push((width, buffer.clone()));
        }
        buffer.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_filled_again_only_when_its_readers_are_gone() {
        let mut pool = Pool::default();
        let first = pool.filled([1u32, 2, 3].into_iter());
        let at = first.inner().as_ptr();
        pool.sweep();
        let second = pool.filled([4u32].into_iter());
        assert_ne!(second.inner().as_ptr(), at);
        assert_eq!(&*first, [1, 2, 3]);
        let reader = first.slice(1, 2);
        drop(first);
        pool.sweep();
        assert_ne!(pool.filled([5u32].into_iter()).inner().as_ptr(), at);
        assert_eq!(&*reader, [2, 3]);
        drop(reader);
        pool.sweep();
        let wider = pool.filled([6u64].into_iter());
        assert_ne!(wider.inner().as_ptr(), at);
        let found = (0..4).map(|_| pool.filled([7i32].into_iter())).collect::<Vec<_>>();
        assert!(found.iter().any(|buffer| buffer.inner().as_ptr() == at && **buffer == [7]));
    }
}
