//! Decoding in tests: messages in, cells out.

use std::sync::Arc;

use crate::batch::{
    DecimalCol, EnumCol, Head, IntCol, MessageBatch, NameCol, SmallCol, TextCol, TimeCol,
};
use crate::fixed::catalog;
use crate::fixed::decoder::{FixedDecoder, Queued};
use crate::fixed::protocol::FixedProtocol;
use crate::kind::{Kind, Sender};
use crate::names::{Name, Names, latin1};

/// Midnight of 10 January 2023 in New York, ns since the epoch.
pub const MIDNIGHT_NS: i64 = 1_673_326_800_000_000_000;

/// Half past nine, ns since midnight.
pub const OPEN_NS: u64 = 34_200_000_000_000;

/// The packets' time: 5 us after the venue says.
pub const TS_NS: i64 = MIDNIGHT_NS + OPEN_NS as i64 + 5_000;

/// A shipped protocol.
pub fn shipped(id: &str) -> Arc<FixedProtocol> {
    catalog::by_id(id).expect("shipped")
}

/// Rows with everything needed to read them.
pub struct Rows {
    /// The decoder, with what it learned.
    pub decoder: FixedDecoder,
    /// The rows.
    pub batch: MessageBatch,
    /// Their names.
    pub names: Names,
}

impl Rows {
    /// No rows yet.
    pub fn new(protocol: Arc<FixedProtocol>) -> Self {
        let mut names = Names::new();
        names.intern(b"test");
        let decoder = FixedDecoder::new(protocol, &mut names);
        Self { decoder, batch: MessageBatch::new(), names }
    }

    /// Pushes and decodes messages as blocks of `block` messages.
    pub fn decode(&mut self, messages: &[(Vec<u8>, u32)], sender: Option<Sender>, block: usize) {
        for messages in messages.chunks(block) {
            let mut queue = Vec::new();
            for (body, scope) in messages {
                let seen = self.decoder.look(body, sender);
                let row = self.batch.push(&head(body.len()), 0, Name(0)).expect("room") as u32;
                for entry in 1..seen.rows {
                    self.batch.push(&head(body.len()), entry, Name(0)).expect("room");
                }
                queue.push(Queued { row, body, scope: *scope, sender, seen });
            }
            self.decoder.decode(&queue, &mut self.batch, &mut self.names);
        }
    }

    /// A row's filled columns as `name=value`, in the order of the columns,
    /// without those that every row has from its head.
    pub fn cells(&self, row: usize) -> String {
        let mut cells = vec![
            Kind::from_number(self.batch.kind()[row]).expect("a kind").text().to_owned(),
            self.names.text(Name(self.batch.msg_type()[row])).to_owned(),
        ];
        let has = |bit: u64| self.batch.present()[row] & bit != 0;
        for &col in TimeCol::ALL.iter().filter(|col| has(col.bit())) {
            cells.push(format!("{}={}", col.text(), self.batch.times(col)[row] - MIDNIGHT_NS));
        }
        for &col in IntCol::ALL.iter().filter(|col| has(col.bit())) {
            cells.push(format!("{}={}", col.text(), self.batch.ints(col)[row]));
        }
        for &col in SmallCol::ALL.iter().filter(|col| has(col.bit())) {
            cells.push(format!("{}={}", col.text(), self.batch.smalls(col)[row]));
        }
        for &col in DecimalCol::ALL.iter().filter(|col| has(col.bit())) {
            let value = self.batch.decimals(col)[row];
            let (sign, size) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
            let (whole, part) = (size / 1_000_000_000, size % 1_000_000_000);
            let text = format!("{sign}{whole}.{part:09}");
            let text = text.trim_end_matches('0').trim_end_matches('.');
            cells.push(format!("{}={text}", col.text()));
        }
        for &col in NameCol::ALL.iter().filter(|col| has(col.bit())) {
            let name = Name(self.batch.names(col)[row]);
            cells.push(format!("{}={}", col.text(), self.names.text(name)));
        }
        for &col in TextCol::ALL {
            if let Some(text) = self.batch.text(row, col) {
                cells.push(format!("{}={}", col.text(), latin1(text)));
            }
        }
        for &col in EnumCol::ALL.iter().filter(|col| has(col.bit())) {
            let number = self.batch.enums(col)[row];
            cells.push(format!("{}={}", col.text(), col.value_text(number).expect("a word")));
        }
        cells.join(" ")
    }
}

/// What a framing knows of a message.
pub fn head(len: usize) -> Head {
    Head {
        ts: TS_NS,
        ts_first: None,
        ts_send: None,
        packet_ix: 1,
        msg_ix: 0,
        flow_id: 0,
        protocol: Name(0),
        line: None,
        session: None,
        channel: None,
        seq: None,
        gap_before: None,
        flags: 0,
        raw_off: None,
        raw_len: len as u32,
        tcp_off: None,
        sender: None,
    }
}

/// The cells of one message, and its flags.
pub fn decode_one(id: &str, body: &[u8], sender: Option<Sender>) -> (String, u32) {
    let mut rows = Rows::new(shipped(id));
    rows.decode(&[(body.to_vec(), 0)], sender, 1);
    (rows.cells(0), rows.batch.flags()[0])
}
