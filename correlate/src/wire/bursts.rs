//! Microbursts: the busiest windows of a lane.
//!
//! ```text
//! frames, spread over their wire time   ▂▂▂ ▂▂▂▂▂▂▂▂▂▂▂   ▂▂
//! window that ends with a frame              ├──────────┤        the whole window busy: 100 %
//! ```
//!
//! At 10 Gb/s one microsecond is 1,250 bytes, less than one large frame: so a
//! frame counts by the part of its wire time that lies in the window. The
//! fullest window may be moved later until it ends with a frame, so only those
//! are looked at. Where the link's rate is not known a frame is all at its
//! start.
//!
//! Stamps coarser than frames give many frames one time. So only so many frames
//! are looked at where a window cuts, and so many held in one.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Lengths of windows in ns.
pub const WINDOWS_NS: [i64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Windows kept of each length.
pub const BUSIEST: usize = 5;

/// Frames of one window that are held; the oldest of more are left out, counted.
pub const FRAMES_MAX: usize = 1 << 16;

/// Frames that are looked at where an end of a window cuts: no more are on the
/// wire at once, whatever shares a lane.
const CUT_MAX: usize = 64;

/// Preamble with its delimiter, FCS, and the gap behind, in bytes.
const AROUND_FRAME: u64 = 8 + 4 + 12;

/// Shortest frame without its FCS.
const FRAME_MIN: u64 = 60;

/// A busy window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// Its start, as stamped.
    pub ts: i64,
    /// Bytes on the wire in it.
    pub bytes: u64,
    /// Frames in it.
    pub frames: u64,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    start: i64,
    end: i64,
    bytes: u64,
}

/// Windows of one length.
#[derive(Clone, Debug)]
struct Window {
    length: i64,
    frames: VecDeque<Frame>,
    bytes: u64,
    /// Ends of frames whose windows have not been looked at: where two
    /// directions share a lane, frames that begin later lie in them.
    ends: BinaryHeap<Reverse<i64>>,
    /// The longest wire time so far.
    longest_ns: i64,
    /// The fullest of the windows that overlap the latest.
    latest: Option<Busy>,
    busiest: Vec<Busy>,
    /// Frames left out of a window because of [`FRAMES_MAX`].
    left_out: u64,
}

impl Window {
    fn new(length: i64) -> Self {
        Self {
            length,
            frames: VecDeque::new(),
            bytes: 0,
            ends: BinaryHeap::new(),
            longest_ns: 0,
            latest: None,
            busiest: Vec::new(),
            left_out: 0,
        }
    }

    /// Takes the next frame, and looks at the windows that ended before it.
    fn push(&mut self, frame: Frame) {
        self.look_until(frame.start);
        if self.ends.len() >= FRAMES_MAX
            && let Some(Reverse(end)) = self.ends.pop()
        {
            self.look(end);
        }
        if self.frames.len() >= FRAMES_MAX
            && let Some(oldest) = self.frames.pop_front()
        {
            self.bytes -= oldest.bytes;
            self.left_out += 1;
        }
        self.frames.push_back(frame);
        self.bytes += frame.bytes;
        self.ends.push(Reverse(frame.end));
        self.longest_ns = self.longest_ns.max(frame.end.saturating_sub(frame.start));
    }

    fn look_until(&mut self, ts: i64) {
        while let Some(&Reverse(end)) = self.ends.peek().filter(|Reverse(end)| *end <= ts) {
            self.ends.pop();
            self.look(end);
        }
    }

    fn look(&mut self, end: i64) {
        let ts = end.saturating_sub(self.length);
        while let Some(first) = self.frames.front().filter(|first| first.end <= ts) {
            self.bytes -= first.bytes;
            self.frames.pop_front();
        }
        let overlaps = |latest: &Busy| ts < latest.ts.saturating_add(self.length);
        if self.latest.as_ref().is_some_and(|l| overlaps(l) && self.bytes <= l.bytes) {
            return;
        }
        let early = self.frames.iter().take(CUT_MAX).take_while(|frame| frame.start < ts);
        let early: u64 = early.map(|frame| frame.before(ts)).sum();
        let may_be_late = |frame: &&Frame| frame.start.saturating_add(self.longest_ns) > end;
        let late = self.frames.iter().rev().take(CUT_MAX).take_while(may_be_late);
        let late: u64 = late.map(|frame| frame.bytes - frame.before(end)).sum();
        let bytes = self.bytes.saturating_sub(early.saturating_add(late));
        let found = Busy { ts, bytes, frames: self.frames.len() as u64 };
        match self.latest {
            Some(latest) if overlaps(&latest) => {
                if found.bytes > latest.bytes {
                    self.latest = Some(found);
                }
            }
            Some(latest) => {
                self.keep(latest);
                self.latest = Some(found);
            }
            None => self.latest = Some(found),
        }
    }

    fn keep(&mut self, busy: Busy) {
        let at = self.busiest.partition_point(|other| other.bytes >= busy.bytes);
        if at < BUSIEST {
            self.busiest.insert(at, busy);
            self.busiest.truncate(BUSIEST);
        }
    }

    fn finish(&mut self) -> Vec<Busy> {
        self.look_until(i64::MAX);
        if let Some(latest) = self.latest.take() {
            self.keep(latest);
        }
        std::mem::take(&mut self.busiest)
    }
}

impl Frame {
    /// Bytes of it that are on the wire before `ts`.
    fn before(&self, ts: i64) -> u64 {
        let length = self.end.saturating_sub(self.start);
        if length <= 0 {
            return u64::from(self.start <= ts) * self.bytes;
        }
        let before = ts.saturating_sub(self.start).clamp(0, length) as u64;
        match self.bytes.checked_mul(before) {
            Some(product) => product / length as u64,
            None => (u128::from(self.bytes) * u128::from(before) / length as u128) as u64,
        }
    }
}

/// One direction of one interface of a point.
#[derive(Clone, Debug)]
pub struct Lane {
    link_gbps: Option<u32>,
    windows: Vec<Window>,
    /// Bytes on the wire.
    pub bytes: u64,
    /// Frames.
    pub frames: u64,
}

impl Lane {
    /// A lane of a link of this rate.
    pub fn new(link_gbps: Option<u32>) -> Self {
        let windows = WINDOWS_NS.map(Window::new).to_vec();
        Self { link_gbps: link_gbps.filter(|&gbps| gbps > 0), windows, bytes: 0, frames: 0 }
    }

    /// Takes the next frame in order of time: its first bit's time and its
    /// length without FCS.
    pub fn push(&mut self, start: i64, length: u64) {
        let bytes = length.max(FRAME_MIN) + AROUND_FRAME;
        let wire_ns = self.link_gbps.map_or(0, |gbps| (bytes * 8).div_ceil(gbps.into()));
        let end = start.saturating_add(wire_ns as i64);
        self.bytes += bytes;
        self.frames += 1;
        for window in &mut self.windows {
            window.push(Frame { start, end, bytes });
        }
    }

    /// The busiest windows of each length, the fullest first.
    pub fn finish(&mut self) -> Vec<(i64, Vec<Busy>)> {
        self.windows.iter_mut().map(|window| (window.length, window.finish())).collect()
    }

    /// Frames that were left out of the fullest windows, of all lengths.
    pub fn left_out(&self) -> u64 {
        self.windows.iter().map(|window| window.left_out).sum()
    }

    /// Bits a second of so many bytes in a window, and their share of the
    /// link's rate in millionths.
    pub fn rate(&self, bytes: u64, window_ns: i64) -> (u64, Option<u64>) {
        let window_ns = window_ns.max(1) as u64;
        let bits_per_s = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(window_ns);
        let bits_per_s = u64::try_from(bits_per_s).unwrap_or(u64::MAX);
        let share = self.link_gbps.map(|gbps| bits_per_s / (u64::from(gbps) * 1_000));
        (bits_per_s, share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busiest(lane: &mut Lane, window_ns: i64) -> Vec<Busy> {
        let found = lane.finish();
        found.into_iter().find(|(length, _)| *length == window_ns).unwrap().1
    }

    #[test]
    fn a_frame_longer_than_the_window_fills_it_and_no_more() {
        let mut lane = Lane::new(Some(10));
        lane.push(1_000_000, 1_514);
        let busy = busiest(&mut lane, 1_000)[0];
        // 1,538 bytes take 1,231 ns: the last 1,000 of them.
        assert_eq!((busy.ts, busy.frames), (1_000_231, 1));
        assert_eq!(lane.rate(busy.bytes, 1_000).1.unwrap() / 1_000, 1_000);
    }

    #[test]
    fn back_to_back_frames_fill_the_link_and_lone_ones_do_not() {
        let mut lane = Lane::new(Some(10));
        // Short frames of 84 bytes on the wire: 68 ns.
        (0..100).for_each(|n| lane.push(5_000 + n * 68, 40));
        lane.push(90_000_000, 40);
        lane.push(95_000_000, 1_000);
        let busy = busiest(&mut lane, 1_000);
        assert!((980_000..=1_000_000).contains(&lane.rate(busy[0].bytes, 1_000).1.unwrap()));
        assert!(busy.windows(2).all(|pair| pair[0].bytes >= pair[1].bytes));
        let mut starts: Vec<i64> = busy.iter().map(|busy| busy.ts).collect();
        starts.sort_unstable();
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= 1_000), "no overlap");
        assert_eq!((lane.frames, lane.bytes), (102, 101 * 84 + 1_024));
    }

    #[test]
    fn frames_of_two_directions_may_overlap() {
        let mut lane = Lane::new(Some(1));
        for start in [0, 100, 3_000, 12_500] {
            lane.push(start, 1_476);
            lane.push(start + 50, 60);
        }
        let busy = busiest(&mut lane, 10_000)[0];
        // From 2,000 to 12,000: all of that of the first two large frames, 9,000
        // of the third's 12,000 ns, and the third short frame.
        assert_eq!((busy.ts, busy.bytes), (2_000, 1_250 + 1_250 + 1_125 + 84));
    }

    #[test]
    fn without_a_rate_frames_are_points() {
        let mut lane = Lane::new(None);
        [0, 400, 900, 5_000].iter().for_each(|&ts| lane.push(ts, 76));
        let busy = busiest(&mut lane, 1_000)[0];
        assert_eq!(
            (busy.bytes, busy.frames, lane.rate(300, 1_000)),
            (300, 3, (2_400_000_000, None))
        );
    }

    #[test]
    fn frames_of_one_time_without_end_are_held_to_a_limit() {
        for rate in [None, Some(10)] {
            let mut lane = Lane::new(rate);
            let more = 1_000;
            (0..FRAMES_MAX + more).for_each(|_| lane.push(7, 60));
            assert_eq!(lane.left_out(), (WINDOWS_NS.len() * more) as u64);
            let held = |window: &Window| window.frames.len().max(window.ends.len());
            assert!(lane.windows.iter().all(|window| held(window) == FRAMES_MAX));
            assert!(busiest(&mut lane, 1_000)[0].frames <= FRAMES_MAX as u64);
        }
    }

    #[test]
    fn agrees_with_counting_every_nanosecond() {
        let mut lane = Lane::new(Some(1));
        let frames: Vec<(i64, u64)> =
            (0..40_u64).map(|n| ((n * n % 17 * 400 + n * 1_700) as i64, 60 + n * 7 % 90)).collect();
        let mut frames = frames;
        frames.sort_unstable();
        // One link sends one frame at a time.
        let mut free = 0;
        let mut wire = vec![0_u64; 120_000];
        for &(at, length) in &frames {
            let (start, bytes) = (at.max(free), length + 24);
            free = start + bytes as i64 * 8;
            lane.push(start, length);
            (start..free).for_each(|ns| wire[ns as usize] = 1);
        }
        let busy = busiest(&mut lane, 10_000)[0];
        let fullest = wire.windows(10_000).map(|w| w.iter().sum::<u64>()).max().unwrap();
        assert!((busy.bytes * 8).abs_diff(fullest) <= 16, "{} {fullest}", busy.bytes * 8);
    }
}
