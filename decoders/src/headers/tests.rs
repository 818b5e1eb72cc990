use super::error::{HeaderError, Layer};
use super::transport::tcp_flags::{ACK, PSH};
use super::{Transport, parse};
use crate::testing::{Frame, ipv4_udp};
use proptest::prelude::*;
use taptrail_capture::packet::LinkType;

const ETHERNET: LinkType = LinkType::ETHERNET;

#[test]
fn udp_over_ipv4_and_padding_is_cut() {
    let mut frame = Frame::udp("10.0.0.1:1000", "233.1.2.3:2000", b"hello").ethernet();
    frame.extend_from_slice(&[0; 17]);
    let segment = parse(ETHERNET, &frame).unwrap();
    assert_eq!(segment.transport, Transport::Udp);
    assert_eq!(segment.src.to_string(), "10.0.0.1");
    assert_eq!(segment.dst.to_string(), "233.1.2.3");
    assert_eq!((segment.src_port, segment.dst_port), (1000, 2000));
    assert_eq!(&frame[segment.payload], b"hello");
    assert!(!segment.truncated);
}

#[test]
fn tcp_options_are_skipped() {
    let frame = Frame::tcp("10.0.0.1:1", "10.0.0.2:2", 7, ACK | PSH, b"data").ethernet();
    let mut with_options = frame.clone();
    with_options[16..18].copy_from_slice(&((20 + 32 + 4) as u16).to_be_bytes());
    with_options[14 + 20 + 12] = 8 << 4;
    with_options.splice(54..54, [1u8; 12]);
    for frame in [frame, with_options] {
        let segment = parse(ETHERNET, &frame).unwrap();
        assert_eq!(&frame[segment.payload.clone()], b"data");
        assert_eq!(segment.tcp.unwrap().seq, 7);
        assert_eq!(segment.tcp.unwrap().flags, ACK | PSH);
    }
}

#[test]
fn vlan_tags_cooked_captures_and_raw_ip() {
    let ip = ipv4_udp("10.0.0.1:1", "10.0.0.2:2", b"x");
    let tagged = |tags: &[u8]| [&[0u8; 12], tags, &[0x08, 0x00], &ip[..]].concat();
    let qinq = tagged(&[0x88, 0xA8, 0, 5, 0x81, 0, 0x20, 141]);
    assert_eq!(parse(ETHERNET, &qinq).unwrap().vlan, Some(141));
    let cooked = [&[0u8; 14][..], &[0x08, 0x00], &ip[..]].concat();
    assert_eq!(parse(LinkType::LINUX_SLL, &cooked).unwrap().payload.len(), 1);
    let cooked2 = [&[0x08, 0x00][..], &[0u8; 18], &ip[..]].concat();
    assert_eq!(parse(LinkType::LINUX_SLL2, &cooked2).unwrap().payload.len(), 1);
    assert_eq!(parse(LinkType::RAW, &ip).unwrap().vlan, None);
    let endless = [&[0u8; 12], &[0x81, 0, 0, 1].repeat(40)[..]].concat();
    assert!(matches!(
        parse(ETHERNET, &endless),
        Err(HeaderError::Invalid { layer: Layer::Vlan, .. })
    ));
}

#[test]
fn ipv6_with_extension_headers() {
    let frame = Frame::udp("[2001:db8::1]:9", "[ff02::1]:10", b"six").ethernet();
    let segment = parse(ETHERNET, &frame).unwrap();
    assert_eq!((&frame[segment.payload], segment.ttl), (&b"six"[..], 64));
    let mut extended = frame.clone();
    extended[14 + 6] = 0;
    extended[14 + 5] += 8;
    extended.splice(54..54, [17, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(parse(ETHERNET, &extended).unwrap().payload.len(), 3);
    extended[54] = 0;
    assert!(parse(ETHERNET, &extended).is_err());
}

#[test]
fn fragments_are_named() {
    let mut frame = Frame::udp("10.0.0.1:1", "10.0.0.2:2", b"x").ethernet();
    frame[20] = 0x20;
    assert_eq!(parse(ETHERNET, &frame).unwrap_err().reason(), "ip fragment, first");
    frame[21] = 0x03;
    assert_eq!(parse(ETHERNET, &frame).unwrap_err().reason(), "ip fragment, later");
    frame[20] = 0x40;
    frame[21] = 0;
    assert!(parse(ETHERNET, &frame).is_ok(), "don't fragment is no fragment");
}

#[test]
fn a_snapped_payload_is_marked() {
    let frame = Frame::udp("10.0.0.1:1", "10.0.0.2:2", b"0123456789").ethernet();
    let segment = parse(ETHERNET, &frame[..frame.len() - 4]).unwrap();
    assert!(segment.truncated);
    assert_eq!((segment.payload.len(), segment.wire_len), (6, 10));
}

#[test]
fn total_length_zero_reaches_to_the_end() {
    let mut frame = Frame::tcp("10.0.0.1:1", "10.0.0.2:2", 0, ACK, b"offloaded").ethernet();
    frame[16..18].copy_from_slice(&[0, 0]);
    assert_eq!(parse(ETHERNET, &frame).unwrap().payload.len(), 9);
}

#[test]
fn what_carries_no_payload_says_what_it_is() {
    let arp = [&[0u8; 12], &[0x08, 0x06][..], &[0; 28]].concat();
    assert_eq!(parse(ETHERNET, &arp).unwrap_err().reason(), "arp");
    let short = parse(ETHERNET, &[0; 9]).unwrap_err();
    assert_eq!(short.to_string(), "link header at byte 0: needs 14 bytes, has 9");
    let mut icmp = Frame::udp("10.0.0.1:1", "10.0.0.2:2", b"x").ethernet();
    icmp[23] = 1;
    assert_eq!(parse(ETHERNET, &icmp).unwrap_err().to_string(), "ipv4 at byte 23: icmp (number 1)");
}

proptest! {
    #[test]
    fn no_prefix_or_flip_panics_or_leaves_the_frame(
        v6: bool, tcp: bool, flip in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(),
    ) {
        let (src, dst) = if v6 { ("[::1]:1", "[::2]:2") } else { ("1.2.3.4:1", "5.6.7.8:2") };
        let frame = if tcp { Frame::tcp(src, dst, 1, ACK, b"payload") } else { Frame::udp(src, dst, b"payload") };
        let mut frame = frame.ethernet();
        let bit = flip.index(frame.len() * 8);
        frame[bit / 8] ^= 1 << (bit % 8);
        frame.truncate(cut.index(frame.len() + 1));
        if let Ok(segment) = parse(ETHERNET, &frame) {
            prop_assert!(segment.payload.end <= frame.len());
            prop_assert!(segment.payload.start <= segment.payload.end);
        }
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), link in 0u16..300) {
        let _ = parse(LinkType(link), &bytes);
        let _ = parse(LinkType::RAW, &bytes);
    }
}
