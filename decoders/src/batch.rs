//! Rows of `messages` as column buffers.
//!
//! ```text
//!            row 0   row 1   row 2
//! present    0b101   0b001   0b111     one word a row: which nullable columns are set
//! ts         ....    ....    ....      always set
//! price      1.2e9     -     3.4e9     a slot a row; garbage where the bit is 0
//! ```
//!
//! Framings push rows in wire order; engines fill the columns of a row by its
//! index, in any order, so that a whole block of messages of one type can be
//! decoded column by column. The store turns the buffers into Arrow arrays.

use std::array;

pub use crate::columns::{DecimalCol, EnumCol, IntCol, NameCol, SmallCol, TextCol, TimeCol};
use crate::kind::{Kind, Sender, SeqUnit};
use crate::names::Name;

/// Rows a batch has room for: 4096 rows of the widest shape are about 1.5 MB, and
/// with the arrays made of them stay in the second-level cache.
pub const BATCH_ROWS: usize = 4096;

/// A batch with more text and raw bytes than this is full, whatever its rows.
pub const BATCH_TEXT_MAX: usize = 8 << 20;

/// Decimal columns hold the value times 10^9.
pub const DECIMAL_SCALE: i32 = 9;

/// The batch has no room for all rows of a message; nothing of it was pushed.
/// Hand the batch out, clear it and decode the message again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch of messages is full")]
pub struct Full;

/// What a framing knows of a message, copied into each of its rows.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Time of the packet that completed the message, ns since the epoch.
    pub ts: i64,
    /// Time of the packet with the first byte, where it is another packet.
    pub ts_first: Option<i64>,
    /// When the framing says the packet was sent.
    pub ts_send: Option<i64>,
    /// Position in its capture of the packet that completed the message.
    pub packet_ix: u32,
    /// The message's place among those that complete in the packet, from 0.
    pub msg_ix: u16,
    /// Number of the flow in its capture.
    pub flow_id: u32,
    /// Protocol id, e.g. `nasdaq.totalview-itch.5.0`.
    pub protocol: Name,
    /// Feed line (`A`, `B`) where configured.
    pub line: Option<Name>,
    /// Session the sequence belongs to.
    pub session: Option<Name>,
    /// Feed channel, unit or partition.
    pub channel: Option<u32>,
    /// Sequence number, with its unit.
    pub seq: Option<(u64, SeqUnit)>,
    /// Messages missing just before this one; `None` is unknown.
    pub gap_before: Option<u32>,
    /// Bits of [`crate::kind::flags`].
    pub flags: u32,
    /// First byte in the captured frame, where the message lies whole in it.
    pub raw_off: Option<u32>,
    /// Bytes of the message.
    pub raw_len: u32,
    /// TCP: bytes of its direction before the message.
    pub tcp_off: Option<u64>,
    /// Which end sent it, where known.
    pub sender: Option<Sender>,
}

/// A slot for every row a batch has room for.
pub type Rows<T> = [T; BATCH_ROWS];

/// Column buffers for up to [`BATCH_ROWS`] rows.
///
/// The slices are as long as the capacity; only the first [`len`](Self::len)
/// slots mean anything, and of a nullable column only those whose bit is set
/// in [`present`](Self::present).
#[derive(Debug)]
pub struct MessageBatch {
    len: usize,
    present: Box<Rows<u64>>,
    ts: Box<Rows<i64>>,
    packet_ix: Box<Rows<u32>>,
    msg_ix: Box<Rows<u16>>,
    entry: Box<Rows<u16>>,
    flow_id: Box<Rows<u32>>,
    scope: Box<Rows<u32>>,
    protocol: Box<Rows<u32>>,
    msg_type: Box<Rows<u32>>,
    kind: Box<Rows<u8>>,
    flags: Box<Rows<u32>>,
    raw_len: Box<Rows<u32>>,
    times: [Box<Rows<i64>>; TimeCol::ALL.len()],
    ints: [Box<Rows<u64>>; IntCol::ALL.len()],
    smalls: [Box<Rows<u32>>; SmallCol::ALL.len()],
    decimals: [Box<Rows<i128>>; DecimalCol::ALL.len()],
    names: [Box<Rows<u32>>; NameCol::ALL.len()],
    enums: [Box<Rows<u8>>; EnumCol::ALL.len()],
    spans: [Box<Rows<(u32, u32)>>; TextCol::ALL.len()],
    text: Vec<u8>,
}

impl Default for MessageBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// A row that is to have what another one of its message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyOf {
    /// The other one.
    pub from: u32,
    /// The row.
    pub to: u32,
}

impl CopyOf {
    /// Both as a column's indexes.
    #[inline(always)]
    fn slots(self) -> (usize, usize) {
        const MASK: usize = BATCH_ROWS - 1;
        (self.from as usize & MASK, self.to as usize & MASK)
    }
}

fn copy_down<T: Copy>(fills: bool, column: &mut Rows<T>, copies: &[CopyOf]) {
    for copy in copies.iter().filter(|_| fills) {
        let (from, to) = copy.slots();
        column[to] = column[from];
    }
}

/// Kind, type and name of all rows, with the presence words.
#[derive(Debug)]
pub struct HeadsMut<'b> {
    /// Numbers of [`Kind`].
    pub kind: &'b mut Rows<u8>,
    /// Native types, as numbers of the decoder's names.
    pub msg_type: &'b mut Rows<u32>,
    /// Slots of [`NameCol::MsgName`].
    pub msg_name: &'b mut Rows<u32>,
    /// The presence words.
    pub present: &'b mut Rows<u64>,
}

/// Empty slots, made on the heap.
fn rows<T: Clone + Default + std::fmt::Debug>() -> Box<Rows<T>> {
    let slots = vec![T::default(); BATCH_ROWS].into_boxed_slice();
    slots.try_into().expect("as many slots as rows")
}

impl MessageBatch {
    /// An empty batch with room for [`BATCH_ROWS`] rows.
    pub fn new() -> Self {
        Self {
            len: 0,
            present: rows(),
            ts: rows(),
            packet_ix: rows(),
            msg_ix: rows(),
            entry: rows(),
            flow_id: rows(),
            scope: rows(),
            protocol: rows(),
            msg_type: rows(),
            kind: rows(),
            flags: rows(),
            raw_len: rows(),
            times: array::from_fn(|_| rows()),
            ints: array::from_fn(|_| rows()),
            smalls: array::from_fn(|_| rows()),
            decimals: array::from_fn(|_| rows()),
            names: array::from_fn(|_| rows()),
            enums: array::from_fn(|_| rows()),
            spans: array::from_fn(|_| rows()),
            text: Vec::new(),
        }
    }

    /// Forgets the rows, keeps the memory.
    pub fn clear(&mut self) {
        self.len = 0;
        self.text.clear();
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Rows that still fit.
    pub fn room(&self) -> usize {
        if self.text.len() > BATCH_TEXT_MAX { 0 } else { BATCH_ROWS - self.len }
    }

    /// Appends a row with what the framing knows, kind [`Kind::Unknown`], and
    /// gives its index; `None` where the batch is full.
    #[inline]
    pub fn push(&mut self, head: &Head, entry: u16, msg_type: Name) -> Option<usize> {
        if self.room() == 0 {
            return None;
        }
        // There is room, so that this changes nothing: the row needs no check.
        let row = self.len & (BATCH_ROWS - 1);
        self.len += 1;
        self.ts[row] = head.ts;
        self.packet_ix[row] = head.packet_ix;
        self.msg_ix[row] = head.msg_ix;
        self.entry[row] = entry;
        self.flow_id[row] = head.flow_id;
        self.scope[row] = 0;
        self.protocol[row] = head.protocol.0;
        self.msg_type[row] = msg_type.0;
        self.kind[row] = Kind::Unknown as u8;
        self.flags[row] = head.flags;
        self.raw_len[row] = head.raw_len;
        self.present[row] = self.set_head_nullable(row, head);
        Some(row)
    }

    /// Sets the nullable columns of a new row and gives its presence word.
    #[inline(always)]
    fn set_head_nullable(&mut self, row: usize, head: &Head) -> u64 {
        let mut present = 0;
        if let Some(ts) = head.ts_first {
            self.times[TimeCol::TsFirst as usize][row] = ts;
            present |= TimeCol::TsFirst.bit();
        }
        if let Some(ts) = head.ts_send {
            self.times[TimeCol::TsSend as usize][row] = ts;
            present |= TimeCol::TsSend.bit();
        }
        if let Some(line) = head.line {
            self.names[NameCol::Line as usize][row] = line.0;
            present |= NameCol::Line.bit();
        }
        if let Some(session) = head.session {
            self.names[NameCol::Session as usize][row] = session.0;
            present |= NameCol::Session.bit();
        }
        if let Some(channel) = head.channel {
            self.smalls[SmallCol::Channel as usize][row] = channel;
            present |= SmallCol::Channel.bit();
        }
        if let Some((seq, unit)) = head.seq {
            self.ints[IntCol::Seq as usize][row] = seq;
            self.enums[EnumCol::SeqUnit as usize][row] = unit as u8;
            present |= IntCol::Seq.bit() | EnumCol::SeqUnit.bit();
        }
        if let Some(sender) = head.sender {
            self.enums[EnumCol::Sender as usize][row] = sender as u8;
            present |= EnumCol::Sender.bit();
        }
        if let Some(gap) = head.gap_before {
            self.smalls[SmallCol::GapBefore as usize][row] = gap;
            present |= SmallCol::GapBefore.bit();
        }
        if let Some(offset) = head.raw_off {
            self.smalls[SmallCol::RawOff as usize][row] = offset;
            present |= SmallCol::RawOff.bit();
        }
        if let Some(offset) = head.tcp_off {
            self.ints[IntCol::TcpOff as usize][row] = offset;
            present |= IntCol::TcpOff.bit();
        }
        present
    }

    /// Says what a row is.
    pub fn set_kind(&mut self, row: usize, kind: Kind) {
        self.kind[row] = kind as u8;
    }

    /// Sets a row's native message type.
    pub fn set_msg_type(&mut self, row: usize, msg_type: Name) {
        self.msg_type[row] = msg_type.0;
    }

    /// Sets a row's message length, for engines that find it by decoding.
    pub fn set_raw_len(&mut self, row: usize, len: u32) {
        self.raw_len[row] = len;
    }

    /// Takes back all rows from `len` on; their texts keep their room until
    /// the batch is cleared.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Adds flag bits to a row.
    pub fn add_flags(&mut self, row: usize, flags: u32) {
        self.flags[row] |= flags;
    }

    /// Sets a time, ns since the epoch.
    pub fn set_time(&mut self, row: usize, col: TimeCol, ns: i64) {
        self.times[col as usize][row] = ns;
        self.present[row] |= col.bit();
    }

    /// Sets a 64-bit number.
    pub fn set_int(&mut self, row: usize, col: IntCol, value: u64) {
        self.ints[col as usize][row] = value;
        self.present[row] |= col.bit();
    }

    /// Sets a 32-bit number.
    pub fn set_small(&mut self, row: usize, col: SmallCol, value: u32) {
        self.smalls[col as usize][row] = value;
        self.present[row] |= col.bit();
    }

    /// Sets a decimal, given times 10^9.
    pub fn set_decimal(&mut self, row: usize, col: DecimalCol, value: i128) {
        self.decimals[col as usize][row] = value;
        self.present[row] |= col.bit();
    }

    /// Sets an interned text.
    pub fn set_name(&mut self, row: usize, col: NameCol, name: Name) {
        self.names[col as usize][row] = name.0;
        self.present[row] |= col.bit();
    }

    /// Sets a vocabulary's number.
    pub fn set_enum(&mut self, row: usize, col: EnumCol, number: u8) {
        self.enums[col as usize][row] = number;
        self.present[row] |= col.bit();
    }

    /// Sets a text, copied into the batch.
    pub fn set_text(&mut self, row: usize, col: TextCol, bytes: &[u8]) {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(bytes);
        self.spans[col as usize][row] = (start, bytes.len() as u32);
        self.present[row] |= col.bit();
    }

    /// Sets a text to the last so many bytes of those given, which are kept all:
    /// a copy of known size is a few moves.
    #[inline]
    pub fn set_end<const N: usize>(
        &mut self,
        row: usize,
        col: TextCol,
        bytes: &[u8; N],
        len: usize,
    ) {
        self.text.extend_from_slice(bytes);
        let len = len.min(N);
        self.spans[col as usize][row] = ((self.text.len() - len) as u32, len as u32);
        self.present[row] |= col.bit();
    }

    /// Sets a text to the first so many bytes of those given.
    #[inline]
    pub fn set_start<const N: usize>(
        &mut self,
        row: usize,
        col: TextCol,
        bytes: &[u8; N],
        len: usize,
    ) {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        let len = len.min(N);
        self.text.truncate(start + len);
        self.spans[col as usize][row] = (start as u32, len as u32);
        self.present[row] |= col.bit();
    }

    /// The presence words; each class's `bit()` says which bit is whose.
    pub fn present(&self) -> &[u64] {
        &self.present[..self.len]
    }

    /// Completion times, ns since the epoch.
    pub fn ts(&self) -> &[i64] {
        &self.ts[..self.len]
    }

    /// Packet positions.
    pub fn packet_ix(&self) -> &[u32] {
        &self.packet_ix[..self.len]
    }

    /// Places within the packet.
    pub fn msg_ix(&self) -> &[u16] {
        &self.msg_ix[..self.len]
    }

    /// Entry numbers.
    pub fn entry(&self) -> &[u16] {
        &self.entry[..self.len]
    }

    /// Which learned values are a row's; 0 is none.
    pub fn scope(&self) -> &[u32] {
        &self.scope[..self.len]
    }

    /// Sets it; a row that is not there is passed over.
    pub fn set_scope(&mut self, row: usize, scope: u32) {
        if row < self.len {
            self.scope[row] = scope;
        }
    }

    /// Flow numbers.
    pub fn flow_id(&self) -> &[u32] {
        &self.flow_id[..self.len]
    }

    /// Protocol ids, as numbers of the decoder's names.
    pub fn protocol(&self) -> &[u32] {
        &self.protocol[..self.len]
    }

    /// Native types, as numbers of the decoder's names.
    pub fn msg_type(&self) -> &[u32] {
        &self.msg_type[..self.len]
    }

    /// Numbers of [`Kind`].
    pub fn kind(&self) -> &[u8] {
        &self.kind[..self.len]
    }

    /// Flag bits.
    pub fn flags(&self) -> &[u32] {
        &self.flags[..self.len]
    }

    /// Message lengths in bytes.
    pub fn raw_len(&self) -> &[u32] {
        &self.raw_len[..self.len]
    }

    /// Slots of a time column.
    pub fn times(&self, col: TimeCol) -> &[i64] {
        &self.times[col as usize][..self.len]
    }

    /// Slots of a 64-bit column.
    pub fn ints(&self, col: IntCol) -> &[u64] {
        &self.ints[col as usize][..self.len]
    }

    /// Slots of a 32-bit column.
    pub fn smalls(&self, col: SmallCol) -> &[u32] {
        &self.smalls[col as usize][..self.len]
    }

    /// Slots of a decimal column, values times 10^9.
    pub fn decimals(&self, col: DecimalCol) -> &[i128] {
        &self.decimals[col as usize][..self.len]
    }

    /// Slots of an interned column.
    pub fn names(&self, col: NameCol) -> &[u32] {
        &self.names[col as usize][..self.len]
    }

    /// Slots of a vocabulary column.
    pub fn enums(&self, col: EnumCol) -> &[u8] {
        &self.enums[col as usize][..self.len]
    }

    /// The bytes of a text column in a row, where present.
    pub fn text(&self, row: usize, col: TextCol) -> Option<&[u8]> {
        if self.present()[row] & col.bit() == 0 {
            return None;
        }
        let (start, len) = self.spans[col as usize][row];
        self.text.get(start as usize..(start + len) as usize)
    }

    /// Columns of one class together with the presence words, for engines that
    /// write a whole block of rows column by column.
    pub fn decimals_mut(&mut self, col: DecimalCol) -> (&mut Rows<i128>, &mut Rows<u64>) {
        (&mut self.decimals[col as usize], &mut self.present)
    }

    /// See [`decimals_mut`](Self::decimals_mut).
    pub fn ints_mut(&mut self, col: IntCol) -> (&mut Rows<u64>, &mut Rows<u64>) {
        (&mut self.ints[col as usize], &mut self.present)
    }

    /// See [`decimals_mut`](Self::decimals_mut).
    pub fn times_mut(&mut self, col: TimeCol) -> (&mut Rows<i64>, &mut Rows<u64>) {
        (&mut self.times[col as usize], &mut self.present)
    }

    /// See [`decimals_mut`](Self::decimals_mut).
    pub fn names_mut(&mut self, col: NameCol) -> (&mut Rows<u32>, &mut Rows<u64>) {
        (&mut self.names[col as usize], &mut self.present)
    }

    /// See [`decimals_mut`](Self::decimals_mut).
    pub fn enums_mut(&mut self, col: EnumCol) -> (&mut Rows<u8>, &mut Rows<u64>) {
        (&mut self.enums[col as usize], &mut self.present)
    }

    /// The kinds of all rows, for engines that write a block.
    pub fn kind_mut(&mut self) -> &mut Rows<u8> {
        &mut self.kind
    }

    /// See [`decimals_mut`](Self::decimals_mut).
    pub fn smalls_mut(&mut self, col: SmallCol) -> (&mut Rows<u32>, &mut Rows<u64>) {
        (&mut self.smalls[col as usize], &mut self.present)
    }

    /// A time column with the completion times beside it, for clocks that need
    /// the packet's day.
    pub fn ts_and_times_mut(
        &mut self,
        col: TimeCol,
    ) -> (&Rows<i64>, &mut Rows<i64>, &mut Rows<u64>) {
        (&self.ts, &mut self.times[col as usize], &mut self.present)
    }

    /// Gives rows what another row has in all columns with one of these bits.
    pub fn copy_down(&mut self, bits: u64, copies: &[CopyOf]) {
        if copies.is_empty() {
            return;
        }
        macro_rules! columns {
            ($($class:ident: $columns:ident,)*) => {$(
                for (col, column) in $class::ALL.iter().zip(&mut self.$columns) {
                    copy_down(bits & col.bit() != 0, column, copies);
                }
            )*};
        }
        columns! {
            TimeCol: times, IntCol: ints, SmallCol: smalls, DecimalCol: decimals,
            NameCol: names, EnumCol: enums, TextCol: spans,
        }
        for copy in copies {
            let (from, to) = copy.slots();
            self.present[to] = self.present[to] & !bits | self.present[from] & bits;
        }
    }

    /// Sets and clears flag bits of a row, and gives those it had.
    pub fn change_flags(&mut self, row: usize, set: u32, clear: u32) -> u32 {
        let Some(flags) = self.flags.get_mut(row) else { return 0 };
        std::mem::replace(flags, *flags & !clear | set)
    }

    /// What says what a message is, for engines that write a block.
    pub fn heads_mut(&mut self) -> HeadsMut<'_> {
        HeadsMut {
            kind: &mut self.kind,
            msg_type: &mut self.msg_type,
            msg_name: &mut self.names[NameCol::MsgName as usize],
            present: &mut self.present,
        }
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
