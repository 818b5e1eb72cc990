use super::origin::{Bytes, Origin, Run};
use super::reassembly::{
    Budget, Consumer, HOLE_ACKNOWLEDGED_WAIT_NS, HOLE_SEGMENTS_MAX, HOLE_WAIT_NS, Incoming, Lost,
    Reassembly,
};
use crate::headers::TcpInfo;
use crate::headers::transport::tcp_flags::{ACK, RST, SYN};
use proptest::prelude::*;

/// A framing of records of four bytes.
#[derive(Default)]
struct Fours {
    records: Vec<(u64, [u8; 4], u32, u32, bool)>,
    gaps: Vec<(u64, u64)>,
    again: Vec<(u64, Vec<u8>, bool)>,
    lost: Vec<u8>,
    begins: Vec<bool>,
}

impl<'p> Consumer<'p> for Fours {
    fn begin(&mut self, at_start: bool) {
        self.begins.push(at_start);
    }

    fn run(&mut self, run: &mut Run<'p, '_>) -> usize {
        let mut done = 0;
        while let Some(record) = run.bytes.slice(done..done + 4).get().first_chunk::<4>().copied() {
            let span = run.span(done..done + 4).unwrap();
            let at = run.start + done as u64;
            let (first, last) = (span.first.place_ix(), span.last.place_ix());
            self.records.push((at, record, first, last, span.whole));
            done += 4;
        }
        done
    }

    fn again(&mut self, start: u64, bytes: Bytes<'p, '_>, _origin: Origin, copy: bool) {
        self.again.push((start, bytes.get().to_vec(), copy));
    }

    fn gap(&mut self, at: u64, missing: u64, _behind: Origin) {
        self.gaps.push((at, missing));
    }

    fn lost(&mut self, _start: u64, bytes: &[u8], _origins: &[Origin], _why: Lost) {
        self.lost.extend_from_slice(bytes);
    }
}

struct Wire {
    reassembly: Reassembly,
    budget: Budget,
    fours: Fours,
    packet_ix: u32,
    ts: i64,
}

impl Wire {
    fn new() -> Self {
        let (reassembly, budget) = (Reassembly::new(), Budget::default());
        Self { reassembly, budget, fours: Fours::default(), packet_ix: 0, ts: 0 }
    }

    fn put(&mut self, seq: u32, flags: u8, payload: &[u8], wire_len: usize) {
        let tcp = TcpInfo { seq, ack: 1, flags, window: 100 };
        let incoming = Incoming {
            tcp,
            payload,
            wire_len: wire_len as u32,
            ip_id: 0,
            packet_ix: self.packet_ix,
            ts: self.ts,
            frame_off: 54,
        };
        self.reassembly.segment(&incoming, &mut self.budget, &mut self.fours);
        self.packet_ix += 1;
        self.ts += 1_000;
        assert_eq!(self.budget.used, self.reassembly.held());
    }

    fn data(&mut self, seq: u32, payload: &[u8]) {
        self.put(seq, ACK, payload, payload.len());
    }
}

#[test]
fn in_order_segments_are_cut_in_place() {
    let mut wire = Wire::new();
    wire.put(u32::MAX - 1, SYN, &[], 0);
    wire.data(u32::MAX, b"aaaabb");
    wire.data(5, b"bbcccc");
    let expected =
        vec![(0, *b"aaaa", 1, 1, true), (4, *b"bbbb", 1, 2, false), (8, *b"cccc", 2, 2, true)];
    assert_eq!(wire.fours.records, expected);
    assert_eq!(wire.fours.begins, [true]);
}

#[test]
fn a_late_segment_completes_what_waited() {
    let mut wire = Wire::new();
    wire.data(100, b"aaaa");
    wire.data(108, b"cccc");
    assert_eq!(wire.fours.records.len(), 1);
    wire.data(104, b"bbbb");
    let packets: Vec<_> = wire.fours.records.iter().map(|r| (r.1, r.2, r.3, r.4)).collect();
    assert_eq!(packets, [(*b"aaaa", 0, 0, true), (*b"bbbb", 2, 2, true), (*b"cccc", 1, 2, false)]);
}

#[test]
fn the_first_copy_of_a_byte_wins() {
    let mut wire = Wire::new();
    wire.data(0, b"aaaa");
    wire.data(8, b"cccc");
    wire.data(6, b"XXXXXXXX");
    wire.data(2, b"YYbbYYYY");
    let texts: Vec<_> = wire.fours.records.iter().map(|r| r.1).collect();
    assert_eq!(texts, [*b"aaaa", *b"bbXX", *b"cccc"]);
    assert_eq!(wire.reassembly.held(), 2);
}

#[test]
fn repeated_bytes_are_told_as_copy_or_retransmit() {
    let mut wire = Wire::new();
    wire.data(0, b"aaaabbbb");
    wire.data(0, b"aaaabbbb");
    wire.ts += 10_000_000;
    wire.data(4, b"bbbbcccc");
    assert_eq!(wire.fours.again, [(0, b"aaaabbbb".to_vec(), true), (4, b"bbbb".to_vec(), false)]);
    assert_eq!(wire.fours.records.len(), 3);
}

#[test]
fn a_copy_of_what_waits_is_told_once_it_is_in_order() {
    let mut wire = Wire::new();
    wire.data(0, b"aaaa");
    wire.data(8, b"cccc");
    wire.data(8, b"cccc");
    assert!(wire.fours.again.is_empty());
    wire.data(4, b"bbbb");
    assert_eq!(wire.fours.again, [(8, b"cccc".to_vec(), true)]);
    assert_eq!((wire.fours.records.len(), wire.reassembly.held()), (3, 0));
}

#[test]
fn a_hole_is_given_up_at_each_limit() {
    let mut wire = Wire::new();
    wire.data(0, b"aaaabb");
    wire.data(10, b"dddd");
    wire.ts += HOLE_WAIT_NS;
    wire.data(14, b"eeee");
    assert_eq!(wire.fours.gaps, [(6, 4)]);
    assert_eq!(wire.fours.lost, b"bb");
    // Behind the gap a record's packet is its own, not the one that showed the gap.
    assert_eq!(wire.fours.records[1], (10, *b"dddd", 1, 1, true));

    let mut wire = Wire::new();
    wire.data(0, b"aaaa");
    for i in 0..=HOLE_SEGMENTS_MAX as u32 {
        wire.ts = 0;
        wire.data(100 + i * 8, b"zzzz");
    }
    assert_eq!(wire.fours.gaps.first(), Some(&(4, 96)));
}

#[test]
fn a_hole_that_the_receiver_has_is_a_gap_soon() {
    let mut wire = Wire::new();
    wire.data(u32::MAX - 5, b"aaaa");
    wire.data(6, b"dddd");
    let late = wire.ts + 2 * HOLE_ACKNOWLEDGED_WAIT_NS;
    for (ack, now, gaps) in [(6, wire.ts, 0), (5, late, 0), (6, late, 1)] {
        wire.reassembly.acknowledge(ack, now, &mut wire.budget, &mut wire.fours);
        assert_eq!(wire.fours.gaps.len(), gaps, "{ack} {now}");
    }
    assert_eq!(wire.fours.gaps, [(4, 8)]);
}

#[test]
fn bytes_that_the_capture_cut_off_are_a_gap_at_once() {
    let mut wire = Wire::new();
    wire.put(0, ACK, b"aaaabb", 12);
    wire.put(12, ACK, b"dddd", 8);
    wire.put(20, ACK, b"ffff", 4);
    assert_eq!(wire.fours.gaps, [(6, 6), (16, 4)]);
    assert_eq!(wire.fours.records.len(), 3);
}

#[test]
fn a_new_connection_on_the_same_ports_starts_anew() {
    let mut wire = Wire::new();
    wire.put(10, SYN, &[], 0);
    wire.data(11, b"aaaab");
    wire.put(10, SYN, &[], 0);
    wire.put(99_999, SYN, &[], 0);
    wire.data(100_000, b"cccc");
    assert_eq!(wire.fours.begins, [true, true]);
    assert_eq!(wire.fours.lost, b"b");
    assert_eq!(wire.fours.records[1].0, 0);
}

#[test]
fn a_reset_lets_everything_go() {
    let mut wire = Wire::new();
    wire.data(0, b"aaaa");
    wire.data(8, b"cccc");
    wire.put(4, RST, &[], 0);
    assert_eq!(wire.fours.gaps, [(4, 4)]);
    assert_eq!(wire.reassembly.held(), 0);
}

#[test]
fn a_stray_is_ignored_unless_it_goes_on() {
    let mut wire = Wire::new();
    wire.data(0, b"aaaa");
    wire.data(0x4000_0000, b"xxxx");
    wire.data(4, b"bbbb");
    assert_eq!(wire.fours.records.len(), 2);
    wire.data(0x4000_0000, b"cccc");
    wire.data(0x4000_0004, b"dddd");
    assert_eq!(wire.fours.records.last().unwrap().1, *b"dddd");
    assert_eq!(wire.fours.gaps.len(), 1);
}

proptest! {
    /// However a stream is cut, shuffled and repeated, the records are the
    /// stream's, in order, once.
    #[test]
    fn any_order_gives_the_stream(
        isn: u32,
        cuts in prop::collection::vec(1usize..40, 1..30),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..90),
    ) {
        let mut segments = Vec::new();
        let mut stream = Vec::new();
        for cut in &cuts {
            let start = stream.len();
            stream.extend((start..start + cut).map(|i| (i % 251) as u8));
            segments.push((start, stream[start..].to_vec()));
        }
        let mut sent: Vec<usize> = order.iter().map(|i| i.index(segments.len())).collect();
        sent.extend(0..segments.len());
        let mut wire = Wire::new();
        wire.put(isn, SYN, &[], 0);
        for index in sent {
            let (start, bytes) = &segments[index];
            wire.data(isn.wrapping_add(1 + *start as u32), bytes);
        }
        let got: Vec<u8> = wire.fours.records.iter().flat_map(|r| r.1).collect();
        prop_assert_eq!(&got[..], &stream[..stream.len() / 4 * 4]);
        prop_assert!(wire.fours.gaps.is_empty());
    }

    /// Arbitrary segments: no panic, no byte given twice in order.
    #[test]
    fn anything_goes(
        segments in prop::collection::vec(
            (any::<u32>(), 0u8..32, prop::collection::vec(any::<u8>(), 0..20), 0usize..10),
            0..60,
        ),
        base: u32,
    ) {
        let mut wire = Wire::new();
        for (seq, flags, payload, more) in &segments {
            wire.put(base.wrapping_add(seq % 300), *flags, payload, payload.len() + more);
            wire.put(*seq, *flags, payload, payload.len() + more);
        }
        wire.reassembly.flush(&mut wire.fours);
        prop_assert_eq!(wire.reassembly.held(), 0);
    }
}
