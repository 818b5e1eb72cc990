//! Reading fixed-size numbers out of a frame without ever leaving it.

use super::error::{HeaderError, Layer};

/// The `N` bytes at `offset`.
///
/// # Errors
/// Where the frame ends before, naming the layer.
#[inline]
pub fn take<const N: usize>(
    frame: &[u8],
    offset: usize,
    layer: Layer,
) -> Result<[u8; N], HeaderError> {
    let rest = frame.get(offset..).unwrap_or_default();
    match rest.first_chunk::<N>() {
        Some(chunk) => Ok(*chunk),
        None => Err(HeaderError::short(layer, offset, N, rest.len())),
    }
}
