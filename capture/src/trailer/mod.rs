//! Times that a tap or switch wrote into the frame itself.

pub mod metamako;

use crate::packet::{PacketMeta, TsSource, ts_flags};
use crate::point::TimestampFrom;

/// Sets the packet's time from the trailer the point is configured for.
///
/// A packet without one keeps the record's time and gets
/// [`ts_flags::TRAILER_MISSING`]. Packets cut by the snap length have no
/// trailer: their last bytes are something else.
#[inline]
pub fn stamp(from: TimestampFrom, meta: &mut PacketMeta, data: &[u8]) {
    match from {
        TimestampFrom::Record => {}
        TimestampFrom::Metamako => stamp_metamako(meta, data),
    }
}

fn stamp_metamako(meta: &mut PacketMeta, data: &[u8]) {
    let snapped = (data.len() as u64) < u64::from(meta.wire_len);
    let has_time = meta.ts_flags & (ts_flags::NO_TIME | ts_flags::TIME_OUT_OF_RANGE) == 0;
    let near = has_time.then_some(meta.ts_record);
    let found = if snapped { None } else { metamako::find(data, near) };
    match found {
        Some(trailer) => {
            meta.ts = trailer.ts;
            meta.ts_source = TsSource::Metamako;
            meta.ts_flags |= trailer.flags;
        }
        None => meta.ts_flags |= ts_flags::TRAILER_MISSING,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Direction, LinkType};
    use crate::time::Timestamp;

    fn meta(wire_len: u32) -> PacketMeta {
        PacketMeta {
            ts: Timestamp::from_ns(1_454_635_868_000_000_000),
            ts_record: Timestamp::from_ns(1_454_635_868_000_000_000),
            ts_source: TsSource::Record,
            ts_flags: 0,
            packet_ix: 0,
            interface: 0,
            direction: Direction::Unknown,
            link_type: LinkType::ETHERNET,
            wire_len,
        }
    }

    fn stamped() -> Vec<u8> {
        let mut frame = vec![0xaa; 60];
        metamako::append(&mut frame, Timestamp::from_ns(1_454_635_868_000_000_777), 1, 165, 14);
        frame
    }

    #[test]
    fn keeps_both_times() {
        let frame = stamped();
        let mut meta = meta(frame.len() as u32);
        stamp(TimestampFrom::Metamako, &mut meta, &frame);
        assert_eq!(meta.ts.ns() - meta.ts_record.ns(), 777);
        assert_eq!((meta.ts_source, meta.ts_flags), (TsSource::Metamako, ts_flags::FCS_VALID));
    }

    #[test]
    fn never_on_a_snapped_packet() {
        let frame = stamped();
        let mut meta = meta(frame.len() as u32 + 1);
        stamp(TimestampFrom::Metamako, &mut meta, &frame);
        assert_eq!((meta.ts, meta.ts_flags), (meta.ts_record, ts_flags::TRAILER_MISSING));
    }

    #[test]
    fn not_unless_configured() {
        let frame = stamped();
        let mut meta = meta(frame.len() as u32);
        stamp(TimestampFrom::Record, &mut meta, &frame);
        assert_eq!((meta.ts, meta.ts_flags), (meta.ts_record, 0));
    }
}
