//! Every format from bytes written out by hand, detection over many packets,
//! and every way of damaging them.

use super::frame::fcs;
use super::stamper::{Stamper, Stamping};
use super::*;
use crate::packet::{Direction, LinkType, PacketBatch, PacketMeta, ts_flags};
use crate::point::{FramePoint, TimestampFrom};
use proptest::prelude::*;

/// 2023-11-14 22:13:20.123456789.
const SEC: u32 = 1_700_000_000;
const NS: u32 = 123_456_789;
const STAMPED: i64 = 1_700_000_000_123_456_789;
/// The host saw it 40 us later.
const RECORD: i64 = STAMPED + 40_000;

fn meta(ns: i64, wire_len: usize) -> PacketMeta {
    let ts = Timestamp::from_ns(ns);
    PacketMeta {
        ts,
        ts_ps: 0,
        ts_record: ts,
        ts_source: TsSource::Record,
        ts_flags: 0,
        packet_ix: 0,
        interface: 0,
        direction: Direction::Unknown,
        link_type: LinkType::ETHERNET,
        wire_len: wire_len as u32,
    }
}

/// An Ethernet frame with an IPv4 datagram of 46 bytes, `seed` in its payload.
fn plain(seed: u8) -> Vec<u8> {
    let mut frame = vec![1, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 0, seed, 8, 0];
    frame.extend([0x45, 0, 0, 46, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 233, 1, 2, 3]);
    frame.extend([0x0f, 0xa0, 0x0f, 0xa1, 0, 26, 0, 0]);
    frame.extend((0..18).map(|i: u8| i.wrapping_mul(37) ^ seed));
    frame
}

fn times() -> [u8; 8] {
    let [s0, s1, s2, s3] = SEC.to_be_bytes();
    let [n0, n1, n2, n3] = NS.to_be_bytes();
    [s0, s1, s2, s3, n0, n1, n2, n3]
}

/// Original FCS, then `rest`.
fn with_fcs(mut frame: Vec<u8>, rest: &[u8]) -> Vec<u8> {
    frame.extend(fcs(&frame));
    frame.extend(rest);
    frame
}

fn tlv_trailer(mut frame: Vec<u8>, fields: &[u8], magic: u16) -> Vec<u8> {
    let start = frame.len();
    frame.extend(fields);
    frame.push(fields.len() as u8);
    frame.extend(magic.to_be_bytes());
    let sum = tlv::checksum(&frame[start..]);
    frame.extend(sum.to_be_bytes());
    frame
}

fn metamako(seed: u8) -> Vec<u8> {
    with_fcs(plain(seed), &[&times()[..], &[0x01, 0, 165, 14]].concat())
}

fn cpacket(seed: u8) -> Vec<u8> {
    with_fcs(plain(seed), &[&times()[..], &[0x42, 0, 7, 3]].concat())
}

fn exablaze(seed: u8) -> Vec<u8> {
    // 0.123456789 s in 2^-40, cut: 135_742_175_104 and a bit.
    let fraction = (u128::from(NS) << 40) / 1_000_000_000;
    let fraction = &(fraction as u64).to_be_bytes()[3..];
    with_fcs(plain(seed), &[&[9, 4][..], &SEC.to_be_bytes(), fraction, &[0]].concat())
}

fn ixia(seed: u8) -> Vec<u8> {
    let fields = [&[1, 2, 0, 60][..], &[7, 8], &times()].concat();
    tlv_trailer(plain(seed), &fields, 0xaf12)
}

fn gigamon_fields(seed: u8) -> Vec<u8> {
    let fields = [&[2, 3, 0, 1, 5][..], &[6, 8], &times()].concat();
    tlv_trailer(plain(seed), &fields, 0x22e5)
}

fn gigamon_18(seed: u8) -> Vec<u8> {
    let frame = with_fcs(plain(seed), &[&[1, 2][..], &times()].concat());
    with_fcs(frame, &[])
}

fn vss(seed: u8) -> Vec<u8> {
    let mut time = times();
    time[4] |= 0x80;
    [plain(seed), time.to_vec(), vec![0, 12]].concat()
}

fn expcap(seed: u8) -> Vec<u8> {
    let ps = &(u64::from(NS) * 1000 + 250).to_le_bytes()[..5];
    [&plain(seed)[..], &SEC.to_le_bytes(), ps, &[0, 3, 1, 0, 0, 0, 0]].concat()
}

/// `between` stands between the addresses and the type.
fn in_header(seed: u8, between: &[u8]) -> Vec<u8> {
    let mut frame = plain(seed);
    frame.splice(12..12, between.iter().copied());
    frame
}

fn arista_64(seed: u8) -> Vec<u8> {
    in_header(seed, &[&[0xd2, 0x8b, 0, 1, 1, 0x10][..], &times()].concat())
}

/// TAI, 48 bits.
fn arista_48(seed: u8) -> Vec<u8> {
    let [_, _, s2, s3] = (SEC + 37).to_be_bytes();
    in_header(seed, &[&[0xd2, 0x8b, 0, 1, 0, 0x21, s2, s3][..], &NS.to_be_bytes()].concat())
}

fn arista_mac(seed: u8) -> Vec<u8> {
    let mut frame = plain(seed);
    frame[6..8].copy_from_slice(&SEC.to_be_bytes()[2..]);
    frame[8..12].copy_from_slice(&NS.to_be_bytes());
    frame
}

fn ttag(seed: u8) -> Vec<u8> {
    in_header(seed, &[&[0x88, 0xb5][..], &STAMPED.to_be_bytes()[2..]].concat())
}

fn erspan_iii(seed: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let inner = plain(seed);
    let total = 20 + 8 + 20 + inner.len() as u16;
    frame.extend([0x45, 0]);
    frame.extend(total.to_be_bytes());
    frame.extend([0, 1, 0, 0, 64, 47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0x10, 0, 0x22, 0xeb, 0, 0, 0, 1]);
    frame.extend([0x20, 5, 0, 9]);
    frame.extend(NS.to_be_bytes());
    frame.extend([0, 0, 0, 0b0000_0101]);
    frame.extend([5 << 2, 0, 0, 0]);
    frame.extend(SEC.to_be_bytes());
    frame.extend(inner);
    frame
}

type Make = fn(u8) -> Vec<u8>;

/// Format, sample, stamp's source, picoseconds, flags, bytes of trailer.
const SAMPLES: [(TimestampFrom, Make, TsSource, i16, u16); 14] = [
    (TimestampFrom::Metamako, metamako, TsSource::Metamako, 0, ts_flags::FCS_VALID),
    (TimestampFrom::Cpacket, cpacket, TsSource::Cpacket, 0, 0),
    (TimestampFrom::Exablaze, exablaze, TsSource::Exablaze, 0, 0),
    (TimestampFrom::Ixia, ixia, TsSource::Ixia, 0, ts_flags::HOLDOVER),
    (TimestampFrom::Gigamon, gigamon_fields, TsSource::Gigamon, 0, 0),
    (TimestampFrom::Gigamon, gigamon_18, TsSource::Gigamon, 0, 0),
    (TimestampFrom::Vss, vss, TsSource::Vss, 0, 0),
    (TimestampFrom::Expcap, expcap, TsSource::Expcap, 250, 0),
    (TimestampFrom::Arista7280, arista_64, TsSource::Arista7280, 0, 0),
    (TimestampFrom::Arista7280, arista_48, TsSource::Arista7280, 0, 0),
    (TimestampFrom::Arista7280Mac, arista_mac, TsSource::Arista7280, 0, 0),
    (TimestampFrom::Ttag, ttag, TsSource::Ttag, 0, 0),
    (TimestampFrom::Erspan, erspan_iii, TsSource::Erspan, 0, 0),
    (TimestampFrom::Record, plain, TsSource::Record, 0, 0),
];

fn wire_len(from: TimestampFrom, frame: &[u8]) -> usize {
    if from == TimestampFrom::Expcap { frame.len() - 16 } else { frame.len() }
}

/// Stamps one packet.
fn stamp(from: impl Into<Stamping>, meta: PacketMeta, frame: &[u8]) -> PacketMeta {
    let mut batch = PacketBatch::new();
    batch.push(meta, frame);
    Stamper::new(from.into()).batch(&mut batch);
    batch.get(0).meta
}

#[test]
fn every_format_gives_the_nanosecond_and_keeps_the_record() {
    for (from, make, source, ts_ps, flags) in SAMPLES {
        let frame = make(1);
        let stamped = stamp(from, meta(RECORD, wire_len(from, &frame)), &frame);
        let ts = if from == TimestampFrom::Record { RECORD } else { STAMPED };
        assert_eq!((stamped.ts.ns(), stamped.ts_ps, stamped.ts_source), (ts, ts_ps, source));
        assert_eq!((stamped.ts_record.ns(), stamped.ts_flags), (RECORD, flags), "{from:?}");
    }
}

#[test]
fn a_new_fcs_behind_changes_nothing() {
    for (from, make, ..) in SAMPLES.into_iter().filter(|(from, ..)| *from != TimestampFrom::Record)
    {
        if matches!(from, TimestampFrom::Expcap) || make(1) == gigamon_18(1) {
            continue;
        }
        let frame = with_fcs(make(1), &[]);
        let stamped = stamp(from, meta(RECORD, frame.len()), &frame);
        assert_eq!(stamped.ts.ns(), STAMPED, "{from:?}");
        let mut wrong = frame;
        *wrong.last_mut().unwrap() ^= 0x10;
        assert_eq!(stamp(from, meta(RECORD, wrong.len()), &wrong).ts.ns(), STAMPED, "{from:?}");
    }
}

#[test]
fn never_on_a_snapped_packet_and_never_far_from_the_record() {
    for (from, make, ..) in SAMPLES {
        if from == TimestampFrom::Record {
            continue;
        }
        let frame = make(1);
        let snapped = stamp(from, meta(RECORD, frame.len() + 1), &frame);
        assert_eq!((snapped.ts.ns(), snapped.ts_flags), (RECORD, ts_flags::TRAILER_MISSING));
        let relative = [arista_48(1), arista_mac(1), ttag(1)].contains(&frame);
        let later = RECORD + 31 * 86_400 * 1_000_000_000;
        let far = stamp(from, meta(later, wire_len(from, &frame)), &frame);
        assert_eq!(far.ts.ns() == later, !relative, "{from:?}");
        let not_ethernet = PacketMeta { link_type: LinkType::RAW, ..meta(RECORD, frame.len()) };
        assert_eq!(stamp(from, not_ethernet, &frame).ts.ns(), RECORD);
    }
}

#[test]
fn no_trailer_lies_inside_the_datagram() {
    // The whole sample is the payload of a datagram that says so.
    for make in [metamako, cpacket, exablaze, vss, gigamon_18, ixia] as [Make; 6] {
        let mut frame = make(1);
        let total = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&total.to_be_bytes());
        for from in [TimestampFrom::Metamako, TimestampFrom::Vss, TimestampFrom::Auto] {
            assert_eq!(stamp(from, meta(RECORD, frame.len()), &frame).ts.ns(), RECORD);
        }
    }
}

/// `count` packets of `make` in one batch, stamped by detection.
fn auto(make: Make, count: u8, break_fcs: bool) -> Vec<PacketMeta> {
    let mut batch = PacketBatch::new();
    for seed in 0..count {
        let mut frame = make(seed);
        if break_fcs {
            // A byte of the frame: the original FCS fits no more.
            frame[50] ^= 0xff;
        }
        let wire = if make(seed) == expcap(seed) { frame.len() - 16 } else { frame.len() };
        batch.push(meta(RECORD, wire), &frame);
    }
    Stamper::new(TimestampFrom::Auto.into()).batch(&mut batch);
    batch.iter().map(|packet| packet.meta).collect()
}

#[test]
fn one_packet_with_a_proof_is_enough() {
    let proven: [(Make, TsSource); 8] = [
        (metamako, TsSource::Metamako),
        (cpacket, TsSource::Cpacket),
        (exablaze, TsSource::Exablaze),
        (ixia, TsSource::Ixia),
        (gigamon_fields, TsSource::Gigamon),
        (gigamon_18, TsSource::Gigamon),
        (arista_64, TsSource::Arista7280),
        (arista_48, TsSource::Arista7280),
    ];
    for (make, source) in proven {
        let meta = auto(make, 1, false)[0];
        assert_eq!((meta.ts.ns(), meta.ts_source), (STAMPED, source));
    }
    for make in [vss, expcap, ttag, arista_mac, plain] as [Make; 5] {
        let meta = auto(make, 1, false)[0];
        assert_eq!((meta.ts.ns(), meta.ts_source, meta.ts_flags), (RECORD, TsSource::Record, 0));
    }
}

#[test]
fn a_port_whose_packets_agree_needs_no_proof() {
    let by_range: [(Make, TsSource); 5] = [
        (metamako, TsSource::Metamako),
        (cpacket, TsSource::Cpacket),
        (exablaze, TsSource::Exablaze),
        (vss, TsSource::Vss),
        (expcap, TsSource::Expcap),
    ];
    for (make, source) in by_range {
        let few = auto(make, auto::SEEN_MIN as u8 - 1, true);
        assert!(few.iter().all(|meta| meta.ts.ns() == RECORD && meta.ts_flags == 0));
        let enough = auto(make, auto::SEEN_MIN as u8, true);
        assert!(
            enough.iter().all(|meta| (meta.ts.ns(), meta.ts_source) == (STAMPED, source)),
            "{source:?}"
        );
    }
    let none = auto(plain, 200, false);
    assert!(none.iter().all(|meta| meta.ts_source == TsSource::Record && meta.ts_flags == 0));
}

#[test]
fn two_kinds_of_packets_do_not_agree() {
    let mut batch = PacketBatch::new();
    for seed in 0..100 {
        let mut frame = if seed % 20 == 0 { plain(seed) } else { metamako(seed) };
        frame[50] ^= 0xff;
        batch.push(meta(RECORD, frame.len()), &frame);
    }
    Stamper::new(TimestampFrom::Auto.into()).batch(&mut batch);
    assert!(batch.iter().all(|packet| packet.meta.ts_source == TsSource::Record));
}

#[test]
fn seconds_of_a_7280_may_be_four_late() {
    // Upper bits from behind the roll: 1_700_000_003.9 reads as ...007.9.
    let frame = in_header(
        1,
        &[
            &[0xd2, 0x8b, 0, 1, 1, 0x10][..],
            &(SEC + 7).to_be_bytes(),
            &900_000_000u32.to_be_bytes(),
        ]
        .concat(),
    );
    let true_ns = 1_700_000_003_900_000_000;
    for (record, expected) in
        [(true_ns + 100_000, true_ns), (true_ns + 4_000_100_000, true_ns + 4_000_000_000)]
    {
        let stamped = stamp(TimestampFrom::Arista7280, meta(record, frame.len()), &frame);
        assert_eq!(stamped.ts.ns(), expected);
    }
}

#[test]
fn an_end_of_frame_is_brought_to_its_start() {
    let frame = metamako(1);
    let stamping = Stamping {
        frame_point: FramePoint::End,
        link_gbps: Some(10),
        ..TimestampFrom::Metamako.into()
    };
    // 60 bytes and the check sequence: 64 x 0.8 ns.
    let stamped = stamp(stamping, meta(RECORD, frame.len()), &frame);
    assert_eq!((stamped.ts.ns(), stamped.ts_ps), (STAMPED - 51, -200));
    let long = vec![0; 1514];
    let stamping = Stamping { from: TimestampFrom::Record, ..stamping };
    let stamped = stamp(stamping, meta(RECORD, long.len()), &long);
    assert_eq!((stamped.ts.ns(), stamped.ts_ps), (RECORD - 1214, -400));
    assert_eq!(stamped.ts_record.ns(), RECORD);
}

/// An Arista key frame, with the skew or without.
fn arista_key(ticks: u64, utc_ns: i64, skew: bool) -> Vec<u8> {
    let mut frame = plain(0);
    frame[23] = 253;
    frame.truncate(34);
    frame.extend(ticks.to_be_bytes());
    frame.extend(utc_ns.to_be_bytes());
    frame.extend([0; 30]);
    frame.extend(if skew { &[0; 16][..] } else { &[] });
    let total = frame.len() as u16 - 14;
    frame[16..18].copy_from_slice(&total.to_be_bytes());
    frame
}

fn ticked(raw: u32, fcs_behind: bool) -> Vec<u8> {
    let frame = [plain(1), raw.to_be_bytes().to_vec()].concat();
    if fcs_behind { with_fcs(frame, &[]) } else { frame }
}

#[test]
fn a_7150_is_measured_between_two_key_frames() {
    let (t0, u0) = (0x12_0000_0000u64, STAMPED);
    // 20 parts per million fast, 1.5 s later.
    let (t1, u1) = (t0 + 525_010_500, u0 + 1_500_000_000);
    let raw = |ticks: u64| ((ticks as u32 & 0x7fff_ff80) << 1) | (ticks as u32 & 0x7f);
    for (skew, fcs_behind) in [(false, false), (true, true)] {
        let mut batch = PacketBatch::new();
        let mut push = |frame: &[u8], ns: i64| batch.push(meta(ns + 40_000, frame.len()), frame);
        push(&arista_key(t0, u0, skew), u0);
        push(&ticked(raw(t0 + 10), fcs_behind), u0);
        push(&arista_key(t1, u1, skew), u1);
        // 0.5 s later: 175,003,500 ticks; then after three turns of 6.136 s.
        push(&ticked(raw(t1 + 175_003_500), fcs_behind), u1 + 500_000_000);
        push(&ticked(raw(t1 + 7_000_140_000), fcs_behind), u1 + 20_000_000_000);
        push(&ticked(raw(t1 + 1), fcs_behind), u1 + 70_000_000_000);
        Stamper::new(TimestampFrom::Arista7150.into()).batch(&mut batch);
        let got: Vec<_> = batch.iter().map(|p| (p.meta.ts.ns() - u0, p.meta.ts_flags)).collect();
        let missing = ts_flags::TRAILER_MISSING;
        assert_eq!(
            got,
            [
                (0, 0),
                (40_000, missing),
                (1_500_000_000, 0),
                (2_000_000_000, 0),
                (21_500_000_000, ts_flags::HOLDOVER),
                (71_500_040_000, missing),
            ]
        );
    }
}

#[test]
fn the_documented_tick_vector() {
    // Raw 0xFF10AB76 is tick 2,139,641,334: 3,362,828 ticks behind a key frame
    // at 2,136,278,506 are 9,608,080 ns at 350 MHz.
    let mut batch = PacketBatch::new();
    let mut push = |frame: &[u8], ns: i64| batch.push(meta(ns, frame.len()), frame);
    push(&arista_key(2_136_278_506 - 350_000_000, RECORD - 1_000_000_000, false), RECORD);
    push(&arista_key(2_136_278_506, RECORD, false), RECORD);
    push(&ticked(0xff10_ab76, true), RECORD + 9_600_000);
    Stamper::new(TimestampFrom::Arista7150.into()).batch(&mut batch);
    assert_eq!(batch.get(2).meta.ts.ns(), RECORD + 9_608_080);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..120), wire in 0usize..130) {
        for (from, ..) in SAMPLES {
            stamp(from, meta(RECORD, wire), &bytes);
        }
        stamp(TimestampFrom::Auto, meta(RECORD, wire), &bytes);
    }
}

/// Every prefix and every bit flip of every sample, for every format: no panic,
/// and a stamp near the record or none.
#[test]
fn damaged_samples_are_stamps_or_not() {
    for (_, make, ..) in SAMPLES {
        let whole = make(3);
        let prefixes = (0..whole.len()).map(|len| whole[..len].to_vec());
        let flips = (0..whole.len() * 8).map(|bit| {
            let mut frame = whole.clone();
            frame[bit / 8] ^= 1 << (bit % 8);
            frame
        });
        for frame in prefixes.chain(flips) {
            for (from, ..) in SAMPLES {
                let stamped = stamp(from, meta(RECORD, wire_len_of(&frame)), &frame);
                prop_near(stamped);
            }
            prop_near(stamp(TimestampFrom::Auto, meta(RECORD, frame.len()), &frame));
        }
    }
}

fn wire_len_of(frame: &[u8]) -> usize {
    frame.len().saturating_sub(16)
}

fn prop_near(meta: PacketMeta) {
    let difference = meta.ts.ns().abs_diff(meta.ts_record.ns());
    assert!(difference <= SEC_DIFFERENCE_MAX * 1_000_000_000);
    assert!((-500..1000).contains(&meta.ts_ps));
}
