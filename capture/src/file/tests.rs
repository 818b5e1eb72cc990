//! The readers against images made here by hand and by the writers, and
//! against every way of damaging them.

use super::*;
use crate::packet::{CAPLEN_MAX, Direction, PacketMeta, TsSource, ts_flags};
use crate::pcap_writer::PcapWriter;
use crate::pcapng_writer::PcapngWriter;
use crate::time::Timestamp;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::io::Write;

/// Everything a source gives: packets, warnings, and the error that ended it.
pub(super) struct Outcome {
    pub(super) packets: Vec<(PacketMeta, Vec<u8>)>,
    pub(super) warnings: Vec<Warning>,
    pub(super) error: Option<CaptureError>,
    pub(super) losses: LossCounters,
}

fn drain(mut source: FileSource) -> Outcome {
    let mut batch = PacketBatch::new();
    let mut packets = Vec::new();
    let error = loop {
        let progress = source.next_batch(&mut batch);
        packets.extend(batch.iter().map(|packet| (packet.meta, packet.data.to_vec())));
        match progress {
            Ok(Progress::More) => {}
            Ok(Progress::End) => break None,
            Err(error) => break Some(error),
        }
    };
    Outcome { packets, warnings: source.take_warnings(), error, losses: source.losses() }
}

pub(super) fn read(image: &[u8]) -> Result<Outcome, CaptureError> {
    from_reader("image", Box::new(Cursor::new(image.to_vec())), TimestampFrom::Record).map(drain)
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn packet(ix: u32, ns: i64, len: usize) -> (PacketMeta, Vec<u8>) {
    let ts = Timestamp::from_ns(ns);
    let meta = PacketMeta {
        ts,
        ts_ps: 0,
        ts_record: ts,
        ts_source: TsSource::Record,
        ts_flags: 0,
        packet_ix: ix,
        interface: 0,
        direction: Direction::Unknown,
        link_type: LinkType::ETHERNET,
        wire_len: len as u32,
    };
    (meta, (0..len).map(|i| i as u8 ^ ix as u8).collect())
}

fn some_packets() -> Vec<(PacketMeta, Vec<u8>)> {
    (0..5)
        .map(|ix| packet(ix, 1_700_000_000_000_000_000 + i64::from(ix), 61 + ix as usize))
        .collect()
}

fn pcap_image(packets: &[(PacketMeta, Vec<u8>)]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET).unwrap();
    for (meta, data) in packets {
        writer.write(meta, data).unwrap();
    }
    writer.finish().unwrap()
}

fn pcapng_image(packets: &[(PacketMeta, Vec<u8>)]) -> Vec<u8> {
    let interfaces = [(LinkType::ETHERNET, "eth0"), (LinkType::ETHERNET, "eth1")];
    let mut writer = PcapngWriter::new(Vec::new(), &interfaces).unwrap();
    for (meta, data) in packets {
        writer.write(meta, data).unwrap();
    }
    let losses = LossCounters { ring: Some(7), interface: Some(2), recorded: None };
    writer.write_losses(1, Timestamp::from_ns(1), &losses).unwrap();
    writer.finish().unwrap()
}

/// A pcap header in either order, then one record of `data`.
fn by_hand(magic: u32, big: bool, more: &[u8], record_more: &[u8], network: u32) -> Vec<u8> {
    let u32 = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let u16 = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
    let mut image = u32(magic).to_vec();
    image.extend([u16(2), u16(4)].concat());
    image.extend([u32(0), u32(0), u32(65_535), u32(network)].concat());
    image.extend(more);
    image.extend([u32(10), u32(999_999), u32(3), u32(60)].concat());
    image.extend(record_more);
    image.extend([1, 2, 3]);
    image
}

#[test]
fn every_pcap_magic_in_both_orders() {
    for (magic, ns) in [
        (0xa1b2_c3d4, 10_999_999_000),
        (0xa1b2_3c4d, 10_000_999_999),
        (0x1c00_01ac, 10_999_999_000),
    ] {
        for big in [false, true] {
            let more: &[u8] = if magic == 0x1c00_01ac { &[0; 4] } else { &[] };
            let outcome = read(&by_hand(magic, big, more, &[], 1)).unwrap();
            let (meta, data) = &outcome.packets[0];
            assert_eq!((meta.ts.ns(), meta.wire_len, data.as_slice()), (ns, 60, &[1, 2, 3][..]));
            assert!(outcome.warnings.is_empty());
        }
    }
}

#[test]
fn kuznetsov_records_name_interface_and_direction() {
    let image = by_hand(0xa1b2_cd34, true, &[], &[0, 0, 0, 9, 8, 0, 4, 0], 1);
    let outcome = read(&image).unwrap();
    let (meta, data) = &outcome.packets[0];
    assert_eq!((meta.interface, meta.direction), (9, Direction::Out));
    assert_eq!(data, &[1, 2, 3]);
}

#[test]
fn the_network_field_may_state_the_fcs() {
    let image = by_hand(0xa1b2_c3d4, false, &[], &[], 0x2400_0001);
    let source = from_reader("image", Box::new(Cursor::new(image)), TimestampFrom::Record).unwrap();
    let interface = &source.interfaces()[0];
    assert_eq!((interface.link_type, interface.fcs_len), (LinkType::ETHERNET, Some(4)));
    assert!(read(&by_hand(0xa1b2_c3d4, false, &[], &[], 0x0224_0001)).is_err());
}

#[test]
fn what_is_no_capture_is_said_so() {
    let reason = |image: &[u8]| match read(image) {
        Err(CaptureError::Format { offset: 0, reason, .. }) => reason,
        other => panic!("{:?}", other.map(|outcome| outcome.packets)),
    };
    assert!(reason(b"").contains("empty"));
    assert!(reason(b"hi").contains("68 69"));
    assert!(reason(b"hello, this is text").contains("68 65 6c 6c 6f"));
    assert!(reason(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0]).contains("zstdcat"));
    assert!(reason(&pcap_image(&[])[..20]).contains("needs 24 bytes, has 20"));
    assert!(reason(&GZIP_MAGIC).contains("gzip data ends at once"));
    assert!(reason(&gzip(b"not packets")).contains("6e 6f 74"));
}

#[test]
fn a_missing_file_and_a_directory_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path| open(path, TimestampFrom::Record).err().unwrap().to_string();
    assert!(open(&folder.path().join("none.pcap")).contains("none.pcap"));
    assert!(open(folder.path()).contains("directory"));
}

#[test]
fn gzip_of_one_and_of_several_members() {
    let image = pcapng_image(&some_packets());
    let (front, back) = image.split_at(100);
    for packed in [gzip(&image), [gzip(front), gzip(back)].concat()] {
        let outcome = read(&packed).unwrap();
        assert_eq!(outcome.packets, some_packets());
        assert!(outcome.error.is_none() && outcome.warnings.is_empty());
    }
}

#[test]
fn gzip_cut_or_damaged_gives_what_was_before() {
    let packets: Vec<_> = (0..3000).map(|ix| packet(ix, i64::from(ix), 700)).collect();
    let mut noise = packets.clone();
    let mut state = 1u32;
    for byte in noise.iter_mut().flat_map(|(_, data)| data) {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    let packed = gzip(&pcap_image(&noise));
    let outcome = read(&packed[..packed.len() / 2]).unwrap();
    assert!(outcome.packets.len() > 500 && outcome.error.is_none());
    assert!(outcome.warnings[0].text.contains("gzip data ends early"), "{:?}", outcome.warnings);
    assert_eq!(outcome.packets, noise[..outcome.packets.len()]);

    let mut damaged = packed.clone();
    let end = damaged.len() - 6;
    damaged[end] ^= 0x55;
    let outcome = read(&damaged).unwrap();
    assert!(matches!(outcome.error, Some(CaptureError::Format { .. })));
    assert!(outcome.packets.len() > 500);
}

#[test]
fn a_cut_record_is_a_warning_with_its_place() {
    let image = pcap_image(&some_packets());
    let outcome = read(&image[..image.len() - 10]).unwrap();
    assert_eq!(outcome.packets, some_packets()[..4]);
    let offset = 24 + (16 * 4) + (61 + 62 + 63 + 64);
    let warning = &outcome.warnings[0];
    assert_eq!(warning.offset, Some(offset));
    assert!(warning.text.contains("needs 81 bytes, has 71"), "{}", warning.text);
}

#[test]
fn a_four_gigabyte_record_ends_a_pcap_with_a_warning() {
    let mut image = pcap_image(&some_packets());
    let at = 24 + 16 + 61 + 8;
    image[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.pcap");
    std::fs::write(&path, &image).unwrap();
    let outcome = drain(open(&path, TimestampFrom::Record).unwrap());
    assert_eq!(outcome.packets, some_packets()[..1]);
    let warning = &outcome.warnings[0];
    assert_eq!(warning.offset, Some(101));
    let rest = format!("the {} bytes from here on are not read", image.len() - 101);
    assert!(warning.text.contains("4294967295") && warning.text.contains(&rest), "{warning}");
}

#[test]
fn a_fraction_over_a_second_is_added_and_told_once() {
    let mut image = pcap_image(&some_packets());
    image[28..32].copy_from_slice(&2_000_000_000u32.to_le_bytes());
    let outcome = read(&image).unwrap();
    assert_eq!(outcome.packets[0].0.ts.ns(), 1_700_000_002_000_000_000);
    assert_eq!(outcome.warnings.len(), 1);
}

#[test]
fn pcapng_keeps_interface_direction_and_losses() {
    let mut packets = some_packets();
    packets[1].0.interface = 1;
    packets[2].0.direction = Direction::Out;
    packets[3].0.wire_len = 1500;
    let outcome = read(&pcapng_image(&packets)).unwrap();
    assert_eq!(outcome.packets, packets);
    let losses = LossCounters { ring: Some(7), interface: Some(2), recorded: None };
    assert_eq!(outcome.losses, losses);
}

/// A block by hand, little-endian.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let len = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &len, &body, &len].concat()
}

fn section() -> Vec<u8> {
    let body = [&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    block(0x0a0d_0d0a, &body)
}

fn interface(options: &[u8]) -> Vec<u8> {
    block(1, &[&[1, 0, 0, 0, 0, 0, 0, 0][..], options].concat())
}

fn enhanced(interface: u32, ticks: u64, data: &[u8], options: &[u8]) -> Vec<u8> {
    let (high, low) = ((ticks >> 32) as u32, ticks as u32);
    let len = data.len() as u32;
    let fields = [interface, high, low, len, len].map(u32::to_le_bytes).concat();
    let mut body = [&fields[..], data].concat();
    body.resize(body.len().next_multiple_of(4), 0);
    block(6, &[&body[..], options].concat())
}

#[test]
fn times_with_resolution_and_offset() {
    // 2^-10 s a tick, 100 s added.
    let options = [9, 0, 1, 0, 0x8a, 0, 0, 0, 14, 0, 8, 0, 100, 0, 0, 0, 0, 0, 0, 0];
    let image = [
        section(),
        interface(&options),
        interface(&[]),
        enhanced(0, 512, b"ab", &[]),
        enhanced(1, 7, b"c", &[]),
    ]
    .concat();
    let outcome = read(&image).unwrap();
    let times: Vec<i64> = outcome.packets.iter().map(|(meta, _)| meta.ts.ns()).collect();
    assert_eq!(times, [100_500_000_000, 7_000]);
}

#[test]
fn a_time_out_of_range_is_zero_flagged_and_counted() {
    let options = [9, 0, 1, 0, 0, 0, 0, 0];
    let late = enhanced(0, u64::MAX, b"ab", &[]);
    let image = [section(), interface(&options), late.clone(), late].concat();
    let outcome = read(&image).unwrap();
    let meta = outcome.packets[1].0;
    assert_eq!((meta.ts.ns(), meta.ts_flags), (0, ts_flags::TIME_OUT_OF_RANGE));
    assert_eq!(outcome.warnings.len(), 1);
    assert!(outcome.warnings[0].text.starts_with("2 packet times"));
}

#[test]
fn sections_number_their_interfaces_on() {
    let one = [section(), interface(&[]), enhanced(0, 1, b"a", &[])].concat();
    let unknown = enhanced(5, 1, b"x", &[]);
    let image = [one.clone(), unknown, block(0x0bad, b"skipped"), one].concat();
    let outcome = read(&image).unwrap();
    let interfaces: Vec<u32> = outcome.packets.iter().map(|(meta, _)| meta.interface).collect();
    assert_eq!(interfaces, [0, 1]);
    assert!(outcome.warnings[0].text.contains("does not describe"));
}

#[test]
fn a_section_of_another_version_is_left_out_alone() {
    let one = [section(), interface(&[]), enhanced(0, 1, b"a", &[])].concat();
    let mut other = one.clone();
    other[12] = 2;
    let outcome = read(&[one.clone(), other.clone(), other, one].concat()).unwrap();
    assert_eq!(outcome.packets.len(), 2);
    assert_eq!(outcome.warnings.len(), 1);
    assert!(outcome.warnings[0].text.starts_with("2 sections"));
}

#[test]
fn simple_and_obsolete_packets_and_drop_counts() {
    let simple = block(3, &[&3u32.to_le_bytes()[..], b"abc"].concat());
    let fields = [5u32 << 16, 0, 8, 2, 2].map(u32::to_le_bytes).concat();
    let obsolete = block(2, &[&fields[..], b"de"].concat());
    let dropped = enhanced(0, 1, b"a", &[4, 0, 8, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    let outcome = read(&[section(), interface(&[]), simple, obsolete, dropped].concat()).unwrap();
    let data: Vec<&[u8]> = outcome.packets.iter().map(|(_, data)| data.as_slice()).collect();
    assert_eq!(data, [b"abc", &b"de"[..], b"a"]);
    assert_eq!(outcome.packets[0].0.ts_flags, ts_flags::NO_TIME);
    assert_eq!(outcome.packets[1].0.ts.ns(), 8_000);
    assert_eq!(outcome.losses.recorded, Some(8));
}

#[test]
fn long_blocks_are_passed_over() {
    let long = vec![9; CAPLEN_MAX as usize + 1];
    let longer = vec![9; 3 << 20];
    let image = [
        section(),
        interface(&[]),
        enhanced(0, 1, &long, &[]),
        block(0x0bad, &longer),
        enhanced(0, 1, &longer, &[]),
        enhanced(0, 2, b"kept", &[]),
    ]
    .concat();
    let outcome = read(&image).unwrap();
    assert_eq!(outcome.packets.len(), 1);
    assert_eq!(
        (outcome.packets[0].1.as_slice(), outcome.packets[0].0.packet_ix),
        (&b"kept"[..], 0)
    );
    assert!(outcome.warnings[0].text.starts_with("2 packets are longer"), "{:?}", outcome.warnings);
}

#[test]
fn a_bad_block_length_ends_with_a_warning() {
    let good = [section(), interface(&[]), enhanced(0, 2, b"kept", &[])].concat();
    for (len, says) in [(13u32, "multiple of 4"), (8, "multiple of 4"), (0xffff_fff0, "needs")] {
        let mut image = good.clone();
        image.extend([99u32.to_le_bytes(), len.to_le_bytes(), [0; 4]].concat());
        let outcome = read(&image).unwrap();
        assert_eq!(outcome.packets.len(), 1);
        assert_eq!(outcome.warnings[0].offset, Some(good.len() as u64));
        assert!(outcome.warnings[0].text.contains(says), "{:?}", outcome.warnings);
    }
}

#[test]
fn following_waits_for_the_rest_of_a_record() {
    for image in [pcap_image(&some_packets()), pcapng_image(&some_packets())] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("growing");
        let mut file = File::create(&path).unwrap();
        file.write_all(&image[..28]).unwrap();
        let mut source = open(&path, TimestampFrom::Record).unwrap();
        source.set_follow(true);
        let mut batch = PacketBatch::new();
        let mut packets = Vec::new();
        for piece in image[28..].chunks(17) {
            file.write_all(piece).unwrap();
            assert_eq!(source.next_batch(&mut batch).unwrap(), Progress::More);
            packets.extend(batch.iter().map(|packet| (packet.meta, packet.data.to_vec())));
        }
        assert_eq!(packets, some_packets());
        source.set_follow(false);
        assert_eq!(source.next_batch(&mut batch).unwrap(), Progress::End);
        assert!(batch.is_empty() && source.take_warnings().is_empty());
    }
}

/// Gives its pieces one a read, then fails.
struct Pieces(Vec<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::Error::new(ErrorKind::ConnectionReset, "gone"));
        }
        let piece = self.0.remove(0);
        buf[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

#[test]
fn a_pipe_gives_at_once_and_an_error_comes_after_its_packets() {
    let image = pcap_image(&some_packets());
    let (magic, rest) = image.split_at(GZIP_MAGIC.len());
    let (front, back) = rest.split_at(150);
    let pieces = Pieces([magic, front, back].map(<[u8]>::to_vec).to_vec());
    let mut source = from_reader("pipe", Box::new(pieces), TimestampFrom::Record).unwrap();
    let mut batch = PacketBatch::new();
    assert_eq!(source.next_batch(&mut batch).unwrap(), Progress::More);
    assert_eq!(batch.len(), 1);
    assert_eq!(source.next_batch(&mut batch).unwrap(), Progress::More);
    assert_eq!(batch.len(), 4);
    let error = source.next_batch(&mut batch).unwrap_err();
    assert!(matches!(error, CaptureError::Io { .. }) && batch.is_empty());
    assert_eq!(source.next_batch(&mut batch).unwrap(), Progress::End);
}

#[test]
fn a_file_read_error_comes_after_its_packets() {
    let image = pcap_image(&some_packets());
    let pieces = Pieces(vec![image[..3].to_vec(), image[3..].to_vec()]);
    let name = "disk".to_string();
    let mut source =
        FileSource::new(name, Box::new(pieces), None, false, TimestampFrom::Record.into()).unwrap();
    let mut batch = PacketBatch::new();
    assert_eq!(source.next_batch(&mut batch).unwrap(), Progress::More);
    assert_eq!(batch.len(), 5);
    assert!(source.next_batch(&mut batch).is_err());
    assert_eq!(source.next_batch(&mut batch).unwrap(), Progress::End);
}

/// Whatever the damage: no panic, and no more than the image can hold.
fn survives(image: &[u8]) {
    if let Ok(outcome) = read(image) {
        let data: usize = outcome.packets.iter().map(|(_, data)| data.len()).sum();
        assert!(data + outcome.packets.len() * 12 <= image.len());
    }
}

#[test]
fn every_prefix_gives_a_prefix() {
    for image in [pcap_image(&some_packets()), pcapng_image(&some_packets())] {
        for len in 0..image.len() {
            if let Ok(outcome) = read(&image[..len]) {
                assert_eq!(outcome.packets, some_packets()[..outcome.packets.len()]);
                assert!(outcome.error.is_none());
            }
        }
    }
}

#[test]
fn every_bit_flip_survives() {
    for mut image in [pcap_image(&some_packets()[..2]), pcapng_image(&some_packets()[..2])] {
        for bit in 0..image.len() * 8 {
            image[bit / 8] ^= 1 << (bit % 8);
            survives(&image);
            image[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

fn any_packets() -> impl Strategy<Value = Vec<(PacketMeta, Vec<u8>)>> {
    let one = (0..i64::from(u32::MAX) * 1_000_000_000, 0u32..2, 0u32..3, 0u32..2000, 0usize..300);
    prop::collection::vec(one, 0..20).prop_map(|drawn| {
        let draw =
            |(ix, (ns, interface, direction, more, len)): (usize, (i64, u32, u32, u32, usize))| {
                let (mut meta, data) = packet(ix as u32, ns, len);
                meta.interface = interface;
                meta.direction =
                    [Direction::Unknown, Direction::In, Direction::Out][direction as usize];
                meta.wire_len += more;
                (meta, data)
            };
        drawn.into_iter().enumerate().map(draw).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pcapng_comes_back_as_written(packets in any_packets()) {
        prop_assert_eq!(read(&pcapng_image(&packets)).unwrap().packets, packets);
    }

    #[test]
    fn pcap_comes_back_as_written(mut packets in any_packets()) {
        for (meta, _) in &mut packets {
            meta.interface = 0;
            meta.direction = Direction::Unknown;
        }
        prop_assert_eq!(read(&pcap_image(&packets)).unwrap().packets, packets);
    }

    #[test]
    fn any_bytes_after_a_good_start(tail in prop::collection::vec(any::<u8>(), 0..200), ng: bool) {
        let start = if ng { [section(), interface(&[])].concat() } else { pcap_image(&[]) };
        survives(&[start, tail].concat());
    }

    #[test]
    fn any_block(kind in 0u32..8, body in prop::collection::vec(any::<u8>(), 0..100)) {
        survives(&[section(), interface(&[]), block(kind, &body), block(kind, &body)].concat());
    }
}
