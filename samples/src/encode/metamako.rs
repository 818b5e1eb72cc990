//! The trailer a Metamako / Arista 7130 MetaWatch tap appends to a frame.
//!
//! ```text
//! frame | original FCS 4 | seconds 4 | nanoseconds 4 | flags 1 | device 2 | port 1 | new FCS 4
//! ```
//! Big-endian, but the check sequences as sent (least significant byte
//! first). Source: the tap's published trailer layout, without TLVs.

/// Flag: the frame's own check sequence was right.
const FCS_VALID: u8 = 0x01;
const NS_PER_S: i64 = 1_000_000_000;

/// Appends the trailer for a stamp of `ts_ns` since the epoch (before 2106).
pub fn append(frame: &mut Vec<u8>, ts_ns: i64, device: u16, port: u8) {
    let fcs = crc32(frame);
    frame.extend_from_slice(&fcs.to_le_bytes());
    frame.extend_from_slice(&(ts_ns.div_euclid(NS_PER_S) as u32).to_be_bytes());
    frame.extend_from_slice(&(ts_ns.rem_euclid(NS_PER_S) as u32).to_be_bytes());
    frame.push(FCS_VALID);
    frame.extend_from_slice(&device.to_be_bytes());
    frame.push(port);
    let fcs = crc32(frame);
    frame.extend_from_slice(&fcs.to_le_bytes());
}

/// The Ethernet check sequence: CRC-32 of IEEE 802.3 section 3.2.9.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailer_bytes() {
        let mut frame = b"123456789".to_vec();
        append(&mut frame, 0x6000_0001 * NS_PER_S + 0x0102_0304, 0x0506, 7);
        // CRC-32 of "123456789" is cbf43926, sent low byte first.
        assert_eq!(&frame[9..13], &[0x26, 0x39, 0xF4, 0xCB]);
        let stamp = [0x60, 0, 0, 1, 1, 2, 3, 4, 1, 5, 6, 7];
        assert_eq!(&frame[13..25], &stamp);
        assert_eq!(frame.len(), 9 + 20);
    }
}
