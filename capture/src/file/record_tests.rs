//! ERF, FMADIO and expcap against images made by hand, and every way of
//! damaging them.

use super::tests::{Outcome, gzip, read};
use super::*;
use crate::packet::{TsSource, ts_flags};

/// 2023-11-14 22:13:20.5 in 32.32.
const TICKS: u64 = 1_700_000_000 << 32 | 1 << 31;
const NS: i64 = 1_700_000_000_500_000_000;

/// A record: `counter` is loss or colour, `body` all behind the header.
fn record(kind: u8, flags: u8, counter: u16, wire_len: u16, body: &[u8]) -> Vec<u8> {
    let len = 16 + body.len() as u16;
    let mut record = TICKS.to_le_bytes().to_vec();
    record.extend([kind, flags]);
    record.extend([len, counter, wire_len].map(u16::to_be_bytes).concat());
    record.extend(body);
    record
}

fn erf() -> Vec<u8> {
    let frame = [7u8; 60];
    let padded = |extensions: &[u8]| [extensions, &[0, 0][..], &frame, &[0; 2]].concat();
    [
        record(2, 0x04, 0, 64, &padded(&[])),
        // Interface 6 by its two parts; a loss of 5, receive error.
        record(2, 0x04 | 0x42 | 0x10, 5, 60, &padded(&[])),
        // Coloured, two extension headers.
        record(11 | 0x80, 1, 77, 60, &padded(&[0x91, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0, 0, 0, 0, 0, 2])),
        record(27 | 0x80, 4, 9, 60, &padded(&[0x11; 8])),
        record(48, 0, 9, 0, &[0; 8]),
        record(22, 0, 0, 20, &[0x45; 24]),
        record(1, 0, 1, 99, &[0xff; 40]),
    ]
    .concat()
}

#[test]
fn erf_records_of_every_kind() {
    for image in [erf(), gzip(&erf())] {
        let Outcome { packets, warnings, error, losses } = read(&image).unwrap();
        assert!(warnings.is_empty() && error.is_none(), "{warnings:?}");
        let facts: Vec<_> = packets
            .iter()
            .map(|(meta, data)| (meta.link_type.0, meta.interface, data.len(), meta.wire_len))
            .collect();
        assert_eq!(
            facts,
            [(1, 0, 62, 64), (1, 6, 60, 60), (1, 1, 60, 60), (228, 0, 20, 20), (197, 0, 56, 56)]
        );
        assert!(packets.iter().all(|(meta, _)| meta.ts.ns() == NS));
        assert!(packets[..3].iter().all(|(_, data)| data.starts_with(&[7; 60])));
        assert_eq!(packets[1].0.ts_flags, ts_flags::RECEIVE_ERROR);
        assert_eq!(losses.recorded, Some(6));
    }
}

#[test]
fn a_fraction_of_2_to_the_minus_32_keeps_its_picoseconds() {
    let mut image = erf();
    // 3 ticks are 698.5 ps: the next nanosecond is nearer.
    image[..8].copy_from_slice(&(1_700_000_000u64 << 32 | 3).to_le_bytes());
    let meta = read(&image).unwrap().packets[0].0;
    assert_eq!((meta.ts.ns(), meta.ts_ps), (1_700_000_000_000_000_001, -302));
}

#[test]
fn an_erf_record_below_its_header_ends_with_a_warning() {
    let mut image = erf().repeat(2);
    let at = erf().len() + 10;
    image[at..at + 2].copy_from_slice(&7u16.to_be_bytes());
    let outcome = read(&image).unwrap();
    assert_eq!(outcome.packets.len(), 5);
    assert_eq!(outcome.warnings[0].offset, Some(erf().len() as u64));
    assert!(outcome.warnings[0].text.contains("claims 7 bytes"));
}

#[test]
fn erf_extension_headers_without_end_are_counted() {
    let image = [erf(), record(2 | 0x80, 0, 0, 60, &[0x80; 400]), erf()].concat();
    let outcome = read(&image).unwrap();
    assert_eq!(outcome.packets.len(), 10);
    assert!(outcome.warnings[0].text.starts_with("1 blocks are too short"));
}

/// A chunk of packets with the lengths `lens`, with the writer's counters or
/// without.
fn chunk(newer: bool, lens: &[u16], claimed: u32) -> Vec<u8> {
    let ns = NS as u64;
    let packet = |(ix, len): (usize, &u16)| {
        let mut bytes = (ns + ix as u64).to_le_bytes().to_vec();
        bytes.extend([*len, len + 4].map(u16::to_le_bytes).concat());
        bytes.extend([3, u8::from(ix == 1), 0, 0]);
        bytes.extend(vec![ix as u8; usize::from(*len)]);
        bytes
    };
    let packets: Vec<u8> = lens.iter().enumerate().flat_map(packet).collect();
    let mut chunk = (lens.len() as u16).to_le_bytes().to_vec();
    chunk.extend([0; 2]);
    chunk.extend([0, 0, packets.len() as u32 + claimed].map(u32::to_le_bytes).concat());
    chunk.extend([ns, ns + lens.len() as u64].map(u64::to_le_bytes).concat());
    chunk.extend(if newer { &[0xee; 16][..] } else { &[] });
    chunk.extend(packets);
    chunk.extend(vec![0; claimed as usize]);
    chunk
}

fn fmadio(newer: bool) -> Vec<u8> {
    let mut image = fmadio::MAGIC.to_vec();
    image.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0]);
    for lens in [&[][..], &[60, 61, 62], &[], &[64]] {
        image.extend(chunk(newer, lens, 0));
    }
    image
}

#[test]
fn fmadio_chunks_old_and_new() {
    // Where the first chunk is empty, only the newer form can be assumed.
    let old = [&fmadio(false)[..24], &chunk(false, &[60, 61, 62], 0), &chunk(false, &[64], 0)];
    for image in [fmadio(true), old.concat(), gzip(&fmadio(true))] {
        let Outcome { packets, warnings, .. } = read(&image).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        let lens: Vec<_> = packets.iter().map(|(meta, data)| (data.len(), meta.wire_len)).collect();
        assert_eq!(lens, [(60, 64), (61, 65), (62, 66), (64, 68)]);
        let metas: Vec<_> = packets.iter().map(|(meta, _)| meta).collect();
        assert_eq!((metas[2].ts.ns(), metas[2].interface), (NS + 2, 3));
        assert_eq!((metas[1].ts_flags, metas[2].ts_flags), (ts_flags::FCS_BAD, 0));
    }
}

#[test]
fn a_broken_fmadio_chunk_loses_only_its_rest() {
    let head = &fmadio(true)[..24];
    let mut broken = chunk(true, &[60, 61, 62], 9);
    // The second packet claims more than the chunk.
    broken[48 + 76 + 8..48 + 76 + 10].copy_from_slice(&60_000u16.to_le_bytes());
    let image = [head, &broken, &chunk(true, &[64], 0), &chunk(true, &[65], 9)].concat();
    let outcome = read(&image).unwrap();
    let lens: Vec<_> = outcome.packets.iter().map(|(_, data)| data.len()).collect();
    assert_eq!(lens, [60, 64, 65]);
    assert!(
        outcome.warnings[0].text.starts_with("2 blocks are too short"),
        "{:?}",
        outcome.warnings
    );
}

/// A nanosecond pcap as exact-capture writes it: a footer behind each packet,
/// and a padding record.
#[test]
fn expcap_padding_is_no_packet() {
    let mut image = 0xa1b2_3c4du32.to_le_bytes().to_vec();
    image.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0]);
    let footer = [&1_700_000_000u32.to_le_bytes()[..], &[0xe8, 3, 0, 0, 0, 0, 3, 1, 0, 0, 0, 0]];
    let packet = [&[9; 60][..], &footer.concat()].concat();
    for (wire_len, data) in [(60u32, packet.as_slice()), (0, &[0; 100]), (60, &packet)] {
        image
            .extend([1_700_000_000, 7, data.len() as u32, wire_len].map(u32::to_le_bytes).concat());
        image.extend(data);
    }
    let name = "expcap";
    let open = |from: TimestampFrom| {
        let mut source = from_reader(name, Box::new(Cursor::new(image.clone())), from).unwrap();
        let mut batch = PacketBatch::new();
        let mut metas = Vec::new();
        loop {
            let progress = source.next_batch(&mut batch).unwrap();
            metas.extend(batch.iter().map(|packet| packet.meta));
            if progress == Progress::End {
                return metas;
            }
        }
    };
    assert_eq!(open(TimestampFrom::Record).len(), 3);
    let metas = open(TimestampFrom::Expcap);
    assert_eq!(metas.len(), 2);
    assert_eq!((metas[1].packet_ix, metas[1].ts_source), (1, TsSource::Expcap));
    assert_eq!((metas[1].ts.ns(), metas[1].ts_ps), (1_700_000_000_000_000_001, 0));
}

/// Every prefix and every bit flip: no panic, nothing read that is not there.
#[test]
fn damaged_images_end_in_order() {
    for image in [erf(), fmadio(true), fmadio(false)] {
        let prefixes = (0..image.len()).map(|len| image[..len].to_vec());
        let flips = (0..image.len() * 8).map(|bit| {
            let mut image = image.clone();
            image[bit / 8] ^= 1 << (bit % 8);
            image
        });
        for damaged in prefixes.chain(flips) {
            let Ok(outcome) = read(&damaged) else { continue };
            let bytes: usize = outcome.packets.iter().map(|(_, data)| data.len()).sum();
            assert!(bytes <= damaged.len() && outcome.error.is_none());
        }
    }
}
