//! GRE (RFC 2784, 2890, 2637) and the mirrored frames of ERSPAN in it.
//!
//! ```text
//! flags and version 2 · type 2 · [checksum 4] [key 4] [sequence 4] [acknowledged 4, version 1]
//! type 0x88BE  without a sequence: type I, Ethernet follows; with one:
//!              type II, 8 bytes: version 4 bits (1) · VLAN 12 · …
//! type 0x22EB  type III, 12 bytes: version 4 bits (2) · … │ P 1 · frame 5 · … · O 1, [8 more]
//! ```

use super::bytes::take;
use super::error::{HeaderError, Layer};
use super::link::{self, Link};
use super::tunnel::{Path, Tunnel};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const ACKNOWLEDGED: u16 = 0x0080;

const PPP: u16 = 0x880B;
const ERSPAN_I_II: u16 = 0x88BE;
const ERSPAN_III: u16 = 0x22EB;

/// The IP header inside the GRE header at `at`.
///
/// # Errors
/// Where a header is cut short or carries something other than IP.
pub(super) fn parse(frame: &[u8], at: usize, path: &mut Path) -> Result<Link, HeaderError> {
    let header: [u8; 4] = take(frame, at, Layer::Tunnel)?;
    let flags = u16::from_be_bytes([header[0], header[1]]);
    let kind = u16::from_be_bytes([header[2], header[3]]);
    let version = flags & 7;
    if version > 1 || flags & ROUTING != 0 {
        return Err(HeaderError::invalid(Layer::Tunnel, at, "gre version or routing not read"));
    }
    let optional = [CHECKSUM, KEY, SEQUENCE, if version == 1 { ACKNOWLEDGED } else { 0 }];
    let optional = optional.iter().filter(|&&bit| flags & bit != 0).count();
    let inner = at + 4 + optional * 4;
    match kind {
        ERSPAN_I_II if flags & SEQUENCE == 0 => {
            path.enter(Tunnel::ErspanI, at)?;
            link::ethernet(frame, inner, path)
        }
        ERSPAN_I_II | ERSPAN_III => erspan(frame, inner, path),
        PPP => {
            path.enter(Tunnel::Gre, at)?;
            ppp(frame, inner)
        }
        ethertype => {
            path.enter(Tunnel::Gre, at)?;
            link::of_type(frame, ethertype, at + 2, inner, path)
        }
    }
}

/// ERSPAN type II or III, as its version says.
fn erspan(frame: &[u8], at: usize, path: &mut Path) -> Result<Link, HeaderError> {
    let [first] = take::<1>(frame, at, Layer::Tunnel)?;
    match first >> 4 {
        1 => {
            path.enter(Tunnel::ErspanII, at)?;
            link::ethernet(frame, at + 8, path)
        }
        2 => {
            path.enter(Tunnel::ErspanIII, at)?;
            let header: [u8; 12] = take(frame, at, Layer::Tunnel)?;
            let bits = u16::from_be_bytes([header[10], header[11]]);
            let inner = at + if bits & 1 == 0 { 12 } else { 20 };
            match bits >> 10 & 0x1F {
                0 => link::ethernet(frame, inner, path),
                2 => Ok(Link::at(inner)),
                other => Err(HeaderError::Other {
                    layer: Layer::Tunnel,
                    offset: at as u32 + 10,
                    number: u32::from(other),
                    name: "erspan frame type not read",
                }),
            }
        }
        _ => Err(HeaderError::invalid(Layer::Tunnel, at, "erspan version not read")),
    }
}

/// PPP (RFC 1661): an address and control of HDLC that may be left out, a
/// protocol number whose first byte may be.
fn ppp(frame: &[u8], at: usize) -> Result<Link, HeaderError> {
    let start: [u8; 2] = take(frame, at, Layer::Tunnel)?;
    let at = if start == [0xFF, 0x03] { at + 2 } else { at };
    let [first] = take::<1>(frame, at, Layer::Tunnel)?;
    let (protocol, inner) = if first & 1 == 1 {
        (u16::from(first), at + 1)
    } else {
        (u16::from_be_bytes(take(frame, at, Layer::Tunnel)?), at + 2)
    };
    match protocol {
        0x0021 | 0x0057 => Ok(Link::at(inner)),
        other => Err(HeaderError::Other {
            layer: Layer::Tunnel,
            offset: at as u32,
            number: u32::from(other),
            name: "ppp protocol not read",
        }),
    }
}
