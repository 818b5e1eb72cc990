//! A morning of ITCH, made up: what benches of several crates decode.
//!
//! The mix is that of a busy morning (A 40 %, D 35 %, U 10 %, E 7 %, X 3 %,
//! F 3 %, P 1 %, C 1 %), 31 bytes on average, over 8,000 symbols with few very
//! busy ones.

use std::ops::Range;
use taptrail_decoders::batch::{BATCH_ROWS, Head, MessageBatch};
use taptrail_decoders::decoder::FILL_ROWS;
use taptrail_decoders::fixed::catalog;
use taptrail_decoders::fixed::decoder::{FixedDecoder, Queued, Seen};
use taptrail_decoders::kind::SeqUnit;
use taptrail_decoders::names::{Name, Names};

/// Messages of one sample: enough to leave the second-level cache.
pub const MESSAGES: usize = 128 * BATCH_ROWS;

const SYMBOLS: u64 = 8_000;

/// Numbers without a pattern, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// Low numbers are far more frequent than high ones.
    fn busy_symbol(&mut self) -> u64 {
        (0..2).fold(self.below(SYMBOLS), |limit, _| self.below(limit + 1))
    }
}

/// Messages one after the other, as on the wire, and where each begins.
pub struct Stream {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Stream {
    /// So many messages, the same in every run.
    pub fn new(messages: usize) -> Self {
        let mut rng = Dice(7);
        let mut stream = Self { bytes: Vec::new(), starts: Vec::new() };
        for i in 0..messages {
            stream.starts.push(stream.bytes.len());
            stream.message(&mut rng, i as u64);
        }
        stream.starts.push(stream.bytes.len());
        stream
    }

    /// The `i`th message.
    pub fn body(&self, i: usize) -> &[u8] {
        &self.bytes[self.starts[i]..self.starts[i + 1]]
    }

    fn put(&mut self, width: usize, number: u64) {
        self.bytes.extend(&number.to_be_bytes()[8 - width..]);
    }

    fn message(&mut self, rng: &mut Dice, i: u64) {
        let symbol = rng.busy_symbol();
        let code = match rng.below(100) {
            0..40 => b'A',
            40..75 => b'D',
            75..85 => b'U',
            85..92 => b'E',
            92..95 => b'X',
            95..98 => b'F',
            98 => b'P',
            _ => b'C',
        };
        self.bytes.push(code);
        self.put(2, symbol + 1);
        self.put(2, 0);
        self.put(6, 34_200_000_000_000 + i * 300);
        self.put(8, 1_000_000 + i);
        match code {
            b'A' | b'F' | b'P' => self.order(rng, symbol, code, i),
            b'U' => {
                self.put(8, 2_000_000 + i);
                self.put(4, 100);
                self.put(4, 10_000 + rng.below(5_000_000));
            }
            b'E' | b'C' | b'X' => {
                self.put(4, 100);
                if code != b'X' {
                    self.put(8, i);
                }
                if code == b'C' {
                    self.bytes.push(b'Y');
                    self.put(4, 1_000_000);
                }
            }
            _ => {}
        }
    }

    fn order(&mut self, rng: &mut Dice, symbol: u64, code: u8, i: u64) {
        self.bytes.push(if rng.below(2) == 0 { b'B' } else { b'S' });
        self.put(4, 1 + rng.below(1_000));
        self.bytes.extend(format!("{:<8}", format!("S{symbol}")).bytes());
        self.put(4, 10_000 + rng.below(5_000_000));
        match code {
            b'F' => self.bytes.extend(b"VIRT"),
            b'P' => self.put(8, i),
            _ => {}
        }
    }
}

fn head(i: u64, len: usize) -> Head {
    Head {
        ts: 1_673_361_000_000_000_000 + i as i64 * 300,
        ts_first: None,
        ts_send: None,
        packet_ix: i as u32,
        msg_ix: 0,
        flow_id: 1,
        protocol: Name(0),
        line: Some(Name(1)),
        session: Some(Name(2)),
        channel: None,
        seq: Some((i, SeqUnit::Message)),
        gap_before: Some(0),
        flags: 0,
        raw_off: Some(62),
        raw_len: len as u32,
        tcp_off: None,
        sender: None,
    }
}

/// A decoder, with the names of heads.
pub fn decoder(names: &mut Names) -> FixedDecoder {
    for name in ["nasdaq.totalview-itch.5.0", "A", "000010059B"] {
        names.intern(name.as_bytes());
    }
    let protocol = catalog::by_id("nasdaq.totalview-itch.5.0").expect("shipped");
    FixedDecoder::new(protocol, names)
}

/// Rows of some messages, pushed as the framing would.
pub fn push(stream: &Stream, messages: Range<usize>, batch: &mut MessageBatch) {
    for i in messages {
        batch.push(&head(i as u64, stream.body(i).len()), 0, Name(0));
    }
}

/// Messages whose rows are pushed, the first one at `row`.
pub fn queue<'a>(
    stream: &'a Stream,
    messages: Range<usize>,
    row: usize,
    queued: &mut Vec<Queued<'a>>,
) {
    queued.clear();
    queued.extend(messages.zip(row as u32..).map(|(i, row)| Queued {
        row,
        body: stream.body(i),
        scope: 1,
        sender: None,
        seen: Seen::NOTHING,
    }));
}

/// A batch of messages, pushed and filled as many at a time as the pipeline does.
pub fn fill<'a>(
    stream: &'a Stream,
    from: usize,
    batch: &mut MessageBatch,
    (decoder, names): (&mut FixedDecoder, &mut Names),
    queued: &mut Vec<Queued<'a>>,
) {
    batch.clear();
    for start in (from..from + BATCH_ROWS).step_by(FILL_ROWS) {
        let (messages, row) = (start..start + FILL_ROWS, batch.len());
        push(stream, messages.clone(), batch);
        queue(stream, messages, row, queued);
        decoder.decode(queued, batch, names);
    }
}
