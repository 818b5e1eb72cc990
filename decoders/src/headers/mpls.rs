//! MPLS label stacks (RFC 3032) and the Ethernet pseudowires in them (RFC 4448).
//!
//! ```text
//! label 20 bits · class 3 · bottom 1 · TTL 8, as many as there are
//! then     4… or 6…   an IP header
//!          0…         control word 4 │ Ethernet, where that makes sense
//!          else       Ethernet
//! ```
//!
//! Nothing says what follows the labels: the first half byte is all there is.

use super::bytes::take;
use super::error::{HeaderError, Layer};
use super::link::{self, Link};
use super::tunnel::{Path, Tunnel};

/// Most labels followed in one stack.
const LABELS_MAX: usize = 16;

/// The IP header inside the label stack at `at`.
///
/// # Errors
/// Where a header is cut short or carries something other than IP.
pub(super) fn parse(frame: &[u8], at: usize, path: &mut Path) -> Result<Link, HeaderError> {
    path.enter(Tunnel::Mpls, at)?;
    let mut inner = at;
    for _ in 0..LABELS_MAX {
        let label: [u8; 4] = take(frame, inner, Layer::Tunnel)?;
        inner += 4;
        if label[2] & 1 == 1 {
            return behind_labels(frame, inner, path);
        }
    }
    Err(HeaderError::invalid(Layer::Tunnel, inner, "too many mpls labels"))
}

fn behind_labels(frame: &[u8], at: usize, path: &mut Path) -> Result<Link, HeaderError> {
    let [first] = take::<1>(frame, at, Layer::Tunnel)?;
    match first >> 4 {
        4 if first & 0xF >= 5 => return Ok(Link::at(at)),
        6 => return Ok(Link::at(at)),
        _ => path.enter(Tunnel::Pseudowire, at)?,
    }
    let before = *path;
    let start = if first >> 4 == 0 { at + 4 } else { at };
    link::ethernet(frame, start, path).or_else(|error| {
        *path = before;
        link::ethernet(frame, at, path).map_err(|_| error)
    })
}
