//! Link-layer headers: Ethernet with VLAN tags (IEEE 802.3, 802.1Q, 802.1ad),
//! Linux cooked capture v1 and v2, raw IP.

use super::bytes::take;
use super::error::{HeaderError, Layer};
use taptrail_capture::packet::LinkType;

/// Most VLAN tags followed in one frame; provider networks use two or three.
pub const VLAN_DEPTH_MAX: usize = 8;

/// Where the network header begins, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Offset of the IP header in the frame.
    pub ip_offset: usize,
    /// Innermost VLAN id.
    pub vlan: Option<u16>,
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86DD;
/// Up to here the field is a length (IEEE 802.3), not a type.
const LENGTH_MAX: u16 = 0x05DC;

/// Reads the link header.
///
/// # Errors
/// Where it is cut short or carries something other than IP.
pub fn parse(link_type: LinkType, frame: &[u8]) -> Result<Link, HeaderError> {
    match link_type {
        LinkType::ETHERNET => ethernet(frame),
        LinkType::LINUX_SLL => cooked(frame, 14, 16),
        LinkType::LINUX_SLL2 => cooked(frame, 0, 20),
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => Ok(Link { ip_offset: 0, vlan: None }),
        LinkType(number) => Err(HeaderError::Other {
            layer: Layer::Link,
            offset: 0,
            number: u32::from(number),
            name: "link type not read",
        }),
    }
}

#[inline]
fn ethernet(frame: &[u8]) -> Result<Link, HeaderError> {
    let header: [u8; 14] = take(frame, 0, Layer::Link)?;
    after_type(frame, u16::from_be_bytes([header[12], header[13]]), 14)
}

fn cooked(frame: &[u8], type_offset: usize, header_len: usize) -> Result<Link, HeaderError> {
    if frame.len() < header_len {
        return Err(HeaderError::short(Layer::Link, 0, header_len, frame.len()));
    }
    let ethertype = u16::from_be_bytes(take(frame, type_offset, Layer::Link)?);
    after_type(frame, ethertype, header_len)
}

/// Follows VLAN tags from the type field's value to the IP header at `offset`.
#[inline]
fn after_type(frame: &[u8], ethertype: u16, offset: usize) -> Result<Link, HeaderError> {
    let (mut ethertype, mut offset, mut vlan) = (ethertype, offset, None);
    for _ in 0..=VLAN_DEPTH_MAX {
        match ethertype {
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => return Ok(Link { ip_offset: offset, vlan }),
            0x8100 | 0x88A8 | 0x9100 => {
                let tag: [u8; 4] = take(frame, offset, Layer::Vlan)?;
                vlan = Some(u16::from_be_bytes([tag[0], tag[1]]) & 0x0FFF);
                ethertype = u16::from_be_bytes([tag[2], tag[3]]);
                offset += 4;
            }
            other => return Err(not_ip(other, offset - 2)),
        }
    }
    Err(HeaderError::invalid(Layer::Vlan, offset, "too many vlan tags"))
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
        0x8847 | 0x8848 => "mpls",
        0x8863 | 0x8864 => "pppoe",
        0x888E => "802.1x",
        0x88CC => "lldp",
        0x88E5 => "macsec",
        0x88F7 => "ptp over ethernet",
        _ => "ethertype not read",
    }
}
