//! Every wrapping around one datagram, made by hand; and what only looks like
//! one.

use super::tunnel::TUNNELS_MAX;
use super::{Segment, parse};
use crate::testing::{Frame, ipv4_udp};
use proptest::prelude::*;
use taptrail_capture::packet::LinkType;

const ETHERNET: LinkType = LinkType::ETHERNET;

/// The datagram that is inside everything.
fn inner_ip() -> Vec<u8> {
    ipv4_udp("10.1.1.1:1111", "233.2.2.2:2222", b"inner")
}

fn inner_ethernet() -> Vec<u8> {
    Frame::udp("10.1.1.1:1111", "233.2.2.2:2222", b"inner").ethernet()
}

/// An Ethernet frame around an IPv4 packet of `protocol`.
fn in_ip(protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = Frame::udp("192.0.2.1:1", "192.0.2.2:2", body).ethernet();
    frame.drain(34..42);
    let total = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&total.to_be_bytes());
    frame[23] = protocol;
    frame
}

fn in_udp(port: u16, body: &[u8]) -> Vec<u8> {
    Frame::udp("192.0.2.1:50000", &format!("192.0.2.2:{port}"), body).ethernet()
}

fn gre(kind: u16, flags: u16, optional: &[u8], body: &[u8]) -> Vec<u8> {
    in_ip(47, &[&flags.to_be_bytes(), &kind.to_be_bytes(), optional, body].concat())
}

fn vxlan(body: &[u8]) -> Vec<u8> {
    [&[8, 0, 0, 0, 0, 1, 2, 0], body].concat()
}

fn geneve(kind: u16, body: &[u8]) -> Vec<u8> {
    [&[0x01, 0][..], &kind.to_be_bytes(), &[0, 1, 2, 0], &[0; 4], body].concat()
}

fn with_type(ethertype: u16, body: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &ethertype.to_be_bytes(), body].concat()
}

/// Every wrapping with its path.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let (ip, ethernet) = (inner_ip(), inner_ethernet());
    let label = |bottom: u8| [0, 0x11, 0x20 | bottom, 64];
    let erspan_iii = |frame_type: u8, more: u8, body: &[u8]| {
        let header = [0x20, 5, 0, 9, 0, 0, 0, 1, 0, 0, frame_type << 2, more];
        let platform: &[u8] = if more & 1 == 1 { &[0x14; 8] } else { &[] };
        gre(0x22EB, 0x1000, &[0, 0, 0, 1], &[&header, platform, body].concat())
    };
    let six_in_four = &Frame::udp("[2001:db8::1]:5", "[ff02::1]:6", b"inner").ethernet()[14..];
    vec![
        ("ip-in-ip", in_ip(4, &ip)),
        ("ip-in-ip", in_ip(41, six_in_four)),
        ("gre", gre(0x0800, 0, &[], &ip)),
        ("gre", gre(0x0800, 0xB000, &[0; 12], &ip)),
        ("gre", gre(0x6558, 0x2000, &[0; 4], &ethernet)),
        ("gre>mpls", gre(0x8847, 0, &[], &[&label(1)[..], &ip].concat())),
        ("gre", gre(0x880B, 0x3081, &[0; 12], &[&[0xFF, 3, 0, 0x21][..], &ip].concat())),
        ("gre", gre(0x880B, 0x2001, &[0; 4], &[&[0x21][..], &ip].concat())),
        ("erspan1", gre(0x88BE, 0, &[], &ethernet)),
        (
            "erspan2",
            gre(0x88BE, 0x1000, &[0; 4], &[&[0x10, 5, 0, 9, 0, 0, 0, 1], &ethernet[..]].concat()),
        ),
        ("erspan3", erspan_iii(0, 0, &ethernet)),
        ("erspan3", erspan_iii(0, 5, &ethernet)),
        ("erspan3", erspan_iii(2, 4, &ip)),
        ("vxlan", in_udp(4789, &vxlan(&ethernet))),
        ("geneve", in_udp(6081, &geneve(0x6558, &ethernet))),
        ("geneve", in_udp(6081, &geneve(0x0800, &ip))),
        ("gtp-u", in_udp(2152, &[&[0x30, 255, 0, 33, 0, 0, 0, 1], &ip[..]].concat())),
        (
            "gtp-u",
            in_udp(
                2152,
                &[&[0x36, 255, 0, 33, 0, 0, 0, 1, 0, 1, 0, 0x85, 1, 9, 9, 0], &ip[..]].concat(),
            ),
        ),
        ("gre", in_udp(4754, &[&[0, 0, 8, 0], &ip[..]].concat())),
        ("mpls", in_udp(6635, &[&label(1)[..], &ip].concat())),
        ("mpls", in_ip(137, &[&label(1)[..], &ip].concat())),
        ("mpls", with_type(0x8847, &[&label(0)[..], &label(1), &ip].concat())),
        ("mpls>pseudowire", with_type(0x8847, &[&label(1)[..], &[0; 4], &ethernet].concat())),
        ("mpls>pseudowire", with_type(0x8847, &[&label(1)[..], &ethernet].concat())),
        ("geneve>vxlan", in_udp(6081, &geneve(0x6558, &in_udp(4789, &vxlan(&ethernet))))),
        (
            "",
            with_type(0xD28B, &[&[0, 1, 1, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 8, 0], &ip[..]].concat()),
        ),
        ("", with_type(0xD28B, &[&[0, 1, 0, 0x21, 3, 4, 5, 6, 7, 8, 8, 0], &ip[..]].concat())),
        ("", with_type(0x88B5, &[&[1, 2, 3, 4, 5, 6, 8, 0], &ip[..]].concat())),
    ]
}

fn payload<'a>(frame: &'a [u8], segment: &Segment) -> &'a [u8] {
    &frame[segment.payload.clone()]
}

#[test]
fn every_wrapping_is_opened_and_named() {
    for (path, mut frame) in samples() {
        frame.extend([0; 9]);
        let segment = parse(ETHERNET, &frame).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(segment.path.to_string(), path);
        assert_eq!(payload(&frame, &segment), b"inner", "{path}");
        assert!(!segment.truncated);
        let outer = segment.path.outer.map(|(src, dst)| format!("{src} {dst}"));
        let in_link = path.is_empty() || path.starts_with("mpls") && frame[12] == 0x88;
        assert_eq!(outer.as_deref(), (!in_link).then_some("192.0.2.1 192.0.2.2"), "{path}");
    }
}

#[test]
fn the_vlan_is_the_innermost_there_is() {
    let tagged = with_type(0x8100, &[&[0, 7, 8, 0], &inner_ip()[..]].concat());
    let outer_tag = |frame: Vec<u8>| [&frame[..12], &[0x81, 0, 0, 9], &frame[12..]].concat();
    let both = outer_tag(in_udp(4789, &vxlan(&tagged)));
    assert_eq!(parse(ETHERNET, &both).unwrap().vlan, Some(7));
    let outer = outer_tag(in_udp(4789, &vxlan(&inner_ethernet())));
    assert_eq!(parse(ETHERNET, &outer).unwrap().vlan, Some(9));
}

#[test]
fn a_port_alone_makes_no_tunnel() {
    for port in [4789, 6081, 2152, 4754, 6635] {
        for body in [&b"market data of another kind, long enough"[..], b"", &[8; 30], &[0; 60]] {
            let frame = in_udp(port, body);
            let segment = parse(ETHERNET, &frame).unwrap();
            assert_eq!((segment.dst_port, payload(&frame, &segment)), (port, body));
            assert!(segment.path.is_empty() && segment.path.outer.is_none());
        }
    }
}

#[test]
fn what_is_inside_and_not_read_is_said() {
    let arp = with_type(0x0806, &[0; 28]);
    assert_eq!(parse(ETHERNET, &in_udp(4789, &vxlan(&arp))).unwrap_err().reason(), "arp");
    let unknown = parse(ETHERNET, &gre(0x0BAD, 0, &[], &[0; 40])).unwrap_err();
    assert_eq!(unknown.to_string(), "link at byte 36: ethertype not read (number 2989)");
    let cut = gre(0x0800, 0, &[], &inner_ip());
    assert_eq!(parse(ETHERNET, &cut[..36]).unwrap_err().reason(), "tunnel header cut short");
}

#[test]
fn depth_is_bounded() {
    let mut ip = inner_ip();
    for depth in 1..=TUNNELS_MAX + 1 {
        ip = in_ip(4, &ip).split_off(14);
        let parsed = parse(LinkType::RAW, &ip);
        assert_eq!(parsed.is_ok(), depth <= TUNNELS_MAX, "{depth}");
    }
    let labels = with_type(0x8847, &[0; 400]);
    assert!(parse(ETHERNET, &labels).is_err());
}

#[test]
fn an_inner_datagram_ends_with_the_outer() {
    // The inner length is larger than what the outer holds.
    let mut ip = inner_ip();
    ip[3] += 50;
    ip[25] += 50;
    let mut frame = in_ip(4, &ip);
    frame.extend([0xEE; 80]);
    let segment = parse(ETHERNET, &frame).unwrap();
    assert_eq!(payload(&frame, &segment), b"inner");
}

/// Every prefix and every bit flip.
#[test]
fn damaged_wrappings_never_leave_the_frame() {
    for (_, whole) in samples() {
        let prefixes = (0..whole.len()).map(|len| whole[..len].to_vec());
        let flips = (0..whole.len() * 8).map(|bit| {
            let mut frame = whole.clone();
            frame[bit / 8] ^= 1 << (bit % 8);
            frame
        });
        for frame in prefixes.chain(flips) {
            if let Ok(segment) = parse(ETHERNET, &frame) {
                assert!(segment.payload.start <= segment.payload.end);
                assert!(segment.payload.end <= frame.len());
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_behind_any_start(
        which in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 0..200), keep in 14usize..60,
    ) {
        let samples = samples();
        let (_, sample) = which.get(&samples);
        let frame = [&sample[..keep.min(sample.len())], &bytes].concat();
        if let Ok(segment) = parse(ETHERNET, &frame) {
            prop_assert!(segment.payload.end <= frame.len());
        }
    }
}
