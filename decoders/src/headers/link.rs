//! Link-layer headers: Ethernet with VLAN tags (IEEE 802.3, 802.1Q, 802.1ad),
//! Linux cooked capture v1 and v2, raw IP; the time stamp headers that switches
//! put between the addresses and the type.

use super::bytes::take;
use super::error::{HeaderError, Layer};
use super::mpls;
use super::tunnel::Path;
use taptrail_capture::packet::LinkType;
use taptrail_capture::trailer::arista_7280;

/// Most VLAN tags followed in one frame; provider networks use two or three.
pub const VLAN_DEPTH_MAX: usize = 8;

/// Where the network header begins, and how far it may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Offset of the IP header in the frame.
    pub ip_offset: usize,
    /// Innermost VLAN id.
    pub vlan: Option<u16>,
    /// Where what encloses it ends on the wire; no datagram goes further.
    pub limit: usize,
}

impl Link {
    /// An IP header at `ip_offset`, in nothing that ends.
    pub(super) fn at(ip_offset: usize) -> Self {
        Self { ip_offset, vlan: None, limit: usize::MAX }
    }

    /// The same with the VLAN of what encloses it, where it has none of its own.
    pub(super) fn or_vlan(self, outer: &Self) -> Self {
        Self { vlan: self.vlan.or(outer.vlan), ..self }
    }

    /// The same in something that ends at `end`.
    pub(super) fn within(self, end: usize) -> Self {
        Self { limit: self.limit.min(end), ..self }
    }
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86DD;
const ETHERTYPE_BRIDGED: u16 = 0x6558;
/// Up to here the field is a length (IEEE 802.3), not a type.
const LENGTH_MAX: u16 = 0x05DC;

/// Reads the link header and the labels behind it.
///
/// # Errors
/// Where it is cut short or carries something other than IP.
pub fn parse(link_type: LinkType, frame: &[u8], path: &mut Path) -> Result<Link, HeaderError> {
    match link_type {
        LinkType::ETHERNET => ethernet(frame, 0, path),
        LinkType::LINUX_SLL => cooked(frame, 14, 16, path),
        LinkType::LINUX_SLL2 => cooked(frame, 0, 20, path),
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => Ok(Link::at(0)),
        LinkType(number) => Err(HeaderError::Other {
            layer: Layer::Link,
            offset: 0,
            number: u32::from(number),
            name: "link type not read",
        }),
    }
}

/// The IP header in the Ethernet frame at `at`.
#[inline]
pub(super) fn ethernet(frame: &[u8], at: usize, path: &mut Path) -> Result<Link, HeaderError> {
    let header: [u8; 14] = take(frame, at, Layer::Link)?;
    let ethertype = u16::from_be_bytes([header[12], header[13]]);
    of_type(frame, ethertype, at + 12, at + 14, path)
}

fn cooked(
    frame: &[u8],
    type_offset: usize,
    header_len: usize,
    path: &mut Path,
) -> Result<Link, HeaderError> {
    if frame.len() < header_len {
        return Err(HeaderError::short(Layer::Link, 0, header_len, frame.len()));
    }
    let ethertype = u16::from_be_bytes(take(frame, type_offset, Layer::Link)?);
    of_type(frame, ethertype, type_offset, header_len, path)
}

/// Follows VLAN tags, time stamp headers and labels from the type that stands at
/// `type_offset` to the IP header; what the type names begins at `offset`.
#[inline]
pub(super) fn of_type(
    frame: &[u8],
    ethertype: u16,
    type_offset: usize,
    offset: usize,
    path: &mut Path,
) -> Result<Link, HeaderError> {
    let (mut ethertype, mut type_offset, mut offset, mut vlan) =
        (ethertype, type_offset, offset, None);
    for _ in 0..=VLAN_DEPTH_MAX {
        let header_len = match ethertype {
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => return Ok(Link { vlan, ..Link::at(offset) }),
            0x8100 | 0x88A8 | 0x9100 => {
                let tag: [u8; 2] = take(frame, offset, Layer::Vlan)?;
                vlan = Some(u16::from_be_bytes(tag) & 0x0FFF);
                4
            }
            0x8847 | 0x8848 => return in_vlan(vlan, mpls::parse(frame, offset, path)),
            ETHERTYPE_BRIDGED => return in_vlan(vlan, ethernet(frame, offset, path)),
            other => match stamp_len(frame, other, type_offset, offset) {
                Some(len) => len,
                None => return Err(not_ip(other, type_offset)),
            },
        };
        type_offset = offset + header_len - 2;
        ethertype = u16::from_be_bytes(take(frame, type_offset, Layer::Vlan)?);
        offset += header_len;
    }
    Err(HeaderError::invalid(Layer::Vlan, offset, "too many vlan tags"))
}

/// An inner link with the outer VLAN where it has none of its own.
fn in_vlan(vlan: Option<u16>, link: Result<Link, HeaderError>) -> Result<Link, HeaderError> {
    link.map(|link| Link { vlan: link.vlan.or(vlan), ..link })
}

/// Bytes between a type and the original one, where a switch put its time there:
/// Arista's header says so itself; a Cisco TTAG has any type and six bytes,
/// behind which an IP header of the original type begins.
#[cold]
fn stamp_len(frame: &[u8], ethertype: u16, type_offset: usize, offset: usize) -> Option<usize> {
    if ethertype == arista_7280::ETHERTYPE {
        return arista_7280::header_len(frame.get(type_offset..)?);
    }
    let original = u16::from_be_bytes(take(frame, offset + 6, Layer::Link).ok()?);
    let [first] = take::<1>(frame, offset + 8, Layer::Link).ok()?;
    let is_ip = match original {
        ETHERTYPE_IPV4 => (0x45..=0x4F).contains(&first),
        ETHERTYPE_IPV6 => first >> 4 == 6,
        _ => false,
    };
    (ethertype > LENGTH_MAX && is_ip).then_some(8)
}

fn not_ip(ethertype: u16, offset: usize) -> HeaderError {
    HeaderError::Other {
        layer: Layer::Link,
        offset: offset as u32,
        number: u32::from(ethertype),
        name: ethertype_name(ethertype),
    }
}

/// Common names from the IEEE ethertype registry.
fn ethertype_name(ethertype: u16) -> &'static str {
    match ethertype {
        0..=LENGTH_MAX => "802.3 frame",
        0x0806 => "arp",
        0x8035 => "rarp",
        0x8808 => "ethernet flow control",
        0x8809 => "ethernet slow protocols",
        0x8863 | 0x8864 => "pppoe",
        0x888E => "802.1x",
        0x88CC => "lldp",
        0x88E5 => "macsec",
        0x88F7 => "ptp in a tunnel",
        _ => "ethertype not read",
    }
}
