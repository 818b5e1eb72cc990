//! Any bytes as a capture file: its format by the first bytes, its time stamps
//! by each of the formats a point can be configured for, the first byte saying
//! which. Packets are numbered without a hole, none is longer than allowed, and
//! what is read twice is the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use taptrail_capture::file;
use taptrail_capture::packet::{CAPLEN_MAX, PacketBatch, PacketMeta};
use taptrail_capture::point::{FramePoint, TimestampFrom};
use taptrail_capture::source::{PacketSource, Progress};
use taptrail_capture::trailer::stamper::Stamping;

const FORMATS: [TimestampFrom; 17] = [
    TimestampFrom::Record,
    TimestampFrom::Auto,
    TimestampFrom::Metamako,
    TimestampFrom::Exablaze,
    TimestampFrom::ExablazeTicks,
    TimestampFrom::Cpacket,
    TimestampFrom::Ixia,
    TimestampFrom::Gigamon,
    TimestampFrom::Vss,
    TimestampFrom::Expcap,
    TimestampFrom::Arista7280,
    TimestampFrom::Arista7280Mac,
    TimestampFrom::Arista7280MacTai,
    TimestampFrom::Arista7150,
    TimestampFrom::Ttag,
    TimestampFrom::Erspan,
    TimestampFrom::Auto,
];

fuzz_target!(|data: &[u8]| {
    let Some((first, image)) = data.split_first() else { return };
    let stamping = Stamping {
        frame_point: if first & 0x80 == 0 { FramePoint::Start } else { FramePoint::End },
        link_gbps: Some(10),
        ..FORMATS[usize::from(first & 0x7f) % FORMATS.len()].into()
    };
    assert_eq!(read(image, stamping), read(image, stamping));
});

/// Everything a capture gives, until it ends or an error ends it.
fn read(image: &[u8], stamping: Stamping) -> Vec<PacketMeta> {
    let mut metas = Vec::new();
    let input = Box::new(Cursor::new(image.to_vec()));
    let Ok(mut source) = file::from_reader("fuzzed", input, stamping) else { return metas };
    let mut batch = PacketBatch::new();
    while let Ok(progress) = source.next_batch(&mut batch) {
        for packet in batch.iter() {
            assert_eq!(packet.meta.packet_ix as usize, metas.len());
            assert!(packet.data.len() <= CAPLEN_MAX as usize);
            metas.push(packet.meta);
        }
        if progress == Progress::End {
            break;
        }
    }
    metas
}
