//! PTP directly in Ethernet (IEEE 1588-2019, annex E).
//!
//! ```text
//! destination 6 │ source 6 │ [VLAN 4] │ 0x88F7 │ type 1 · version 1 · length 2 · … │ padding
//! ```

use super::bytes::take;
use super::error::{HeaderError, Layer};
use super::tunnel::Path;
use super::{Segment, Transport};
use std::net::{IpAddr, Ipv6Addr};

/// PTP's EtherType.
pub(super) const ETHERTYPE: u32 = 0x88F7;

/// The common header of every message.
const HEADER_LEN: usize = 34;

/// The message behind the type at `type_offset`.
///
/// # Errors
/// Where its header is cut short or states a length below itself.
pub(super) fn parse(frame: &[u8], type_offset: usize, path: Path) -> Result<Segment, HeaderError> {
    let start = type_offset + 2;
    let head: [u8; 4] = take(frame, start, Layer::Link)?;
    let wire_len = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if wire_len < HEADER_LEN {
        return Err(HeaderError::invalid(Layer::Link, start, "ptp length below its header"));
    }
    let tagged = path.is_empty() && type_offset > 12;
    let tag = take::<2>(frame, type_offset.saturating_sub(2), Layer::Vlan).ok();
    let vlan = tag.filter(|_| tagged).map(|tag| u16::from_be_bytes(tag) & 0x0FFF);
    let address = |at| match take::<6>(frame, at, Layer::Link) {
        Ok(mac) if path.is_empty() && type_offset >= 12 => link_local(mac),
        _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let start = start.min(frame.len());
    let end = (start + wire_len).min(frame.len());
    Ok(Segment {
        transport: Transport::Ethernet,
        src: address(6),
        dst: address(0),
        src_port: 0,
        dst_port: 0,
        vlan,
        ttl: 0,
        ip_id: 0,
        payload: start..end,
        wire_len: wire_len as u32,
        truncated: end - start < wire_len,
        tcp: None,
        path,
    })
}

/// The link-local address made of an Ethernet address (RFC 4291, appendix A).
fn link_local([a, b, c, d, e, f]: [u8; 6]) -> IpAddr {
    let interface = u64::from_be_bytes([a ^ 2, b, c, 0xFF, 0xFE, d, e, f]);
    IpAddr::V6(Ipv6Addr::from_bits(0xFE80 << 112 | u128::from(interface)))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use taptrail_capture::packet::LinkType;

    #[test]
    fn a_message_without_ip_has_addresses_all_the_same() {
        let message = [&[0x0B, 2, 0, 64][..], &[7; 60]].concat();
        let addresses = [0x01, 0x1B, 0x19, 0, 0, 0, 0x00, 0x80, 0x63, 0xAA, 0xBB, 0xCC];
        let frame = [&addresses[..], &[0x81, 0, 0, 5, 0x88, 0xF7], &message, &[0; 9]].concat();
        let segment = parse(LinkType::ETHERNET, &frame).unwrap();
        assert_eq!(segment.src.to_string(), "fe80::280:63ff:feaa:bbcc");
        assert_eq!((segment.transport, segment.vlan), (Transport::Ethernet, Some(5)));
        assert_eq!(&frame[segment.payload.clone()], message);
        for len in 0..frame.len() {
            if let Ok(segment) = parse(LinkType::ETHERNET, &frame[..len]) {
                assert!(segment.payload.end <= len);
            }
        }
    }
}
