//! What a stamp's reader needs to know of the frame around it.

/// The shortest frame: two addresses and a type.
pub(super) const FRAME_LEN_MIN: usize = 14;

/// A frame check sequence.
pub(super) const FCS_LEN: usize = 4;

/// Most VLAN tags passed over.
const VLAN_DEPTH_MAX: usize = 4;

/// The check sequence of `bytes`, as it is sent: least significant byte first.
pub(super) fn fcs(bytes: &[u8]) -> [u8; FCS_LEN] {
    crc32fast::hash(bytes).to_le_bytes()
}

/// Whether the four bytes from `at` on are the check sequence of all before.
pub(super) fn has_fcs_at(frame: &[u8], at: usize) -> bool {
    let (Some(before), Some(behind)) = (frame.get(..at), frame.get(at..)) else { return false };
    before.len() >= FRAME_LEN_MIN && behind.first_chunk() == Some(&fcs(before))
}

/// Whether the frame's last four bytes are its check sequence.
pub(super) fn ends_in_fcs(frame: &[u8]) -> bool {
    frame.len().checked_sub(FCS_LEN).is_some_and(|at| has_fcs_at(frame, at))
}

/// The frame without its last four bytes.
pub(super) fn without_fcs(frame: &[u8]) -> Option<&[u8]> {
    frame.get(..frame.len().checked_sub(FCS_LEN)?)
}

/// Two bytes of a frame as a number.
pub(super) fn u16_at(frame: &[u8], at: usize) -> Option<u16> {
    frame.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// Four bytes of a frame as a number.
pub(super) fn u32_at(frame: &[u8], at: usize) -> Option<u32> {
    frame.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Eight bytes of a frame as a number.
pub(super) fn u64_at(frame: &[u8], at: usize) -> Option<u64> {
    frame.get(at..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// The type of what an Ethernet frame carries behind its VLAN tags, and where
/// that begins.
pub(super) fn network(frame: &[u8]) -> Option<(u16, usize)> {
    let mut at = 12;
    for _ in 0..=VLAN_DEPTH_MAX {
        match u16_at(frame, at)? {
            0x8100 | 0x88a8 | 0x9100 => at += 4,
            ethertype => return Some((ethertype, at + 2)),
        }
    }
    None
}

/// Where the IP datagram in an Ethernet frame ends by its own length; `None`
/// where there is none or it does not say.
pub(super) fn datagram_end(frame: &[u8]) -> Option<usize> {
    let (ethertype, at) = network(frame)?;
    let (len, header_len) = match ethertype {
        0x0800 => (u16_at(frame, at + 2)?, 0),
        0x86dd => (u16_at(frame, at + 4)?, 40),
        _ => return None,
    };
    (len != 0).then_some(at + header_len + usize::from(len))
}
