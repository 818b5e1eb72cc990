//! `messages`: one row a decoded event, the same columns for every protocol.
//!
//! ```text
//! ts | protocol | seq | kind      | symbol | side | price | qty | order_id | ... | raw_off | raw_len
//!    |          |     | order.add | ALFA   | buy  | 10.01 | 100 | 1000005  |     | 62      | 36
//! ```
//!
//! A message with several entries is several rows that share capture_id,
//! packet_ix and msg_ix; those three name a message for ever.

use crate::tables::column::Column;
use crate::tables::column::ColumnType::{Bytes, Decimal, Name, Text, Time, U16, U32, U64};

/// The table's columns, in order. `point` stands in the path.
pub const COLUMNS: &[Column] = &[
    Column::maybe("line", Name, "Feed line (A, B), where configured."),
    Column::always(
        "ts",
        Time,
        "Time of the packet that completed the message: all bytes up to its end seen in order.",
    ),
    Column::maybe(
        "ts_first",
        Time,
        "Time of the packet with its first byte, where that is another one.",
    ),
    Column::always("capture_id", U64, "The capture: hash of point and content."),
    Column::always(
        "packet_ix",
        U32,
        "Position in the capture, from 0, of the packet that completed it.",
    ),
    Column::always("msg_ix", U16, "Place among the messages that complete in that packet, from 0."),
    Column::always("entry", U16, "Entry within the message, from 0."),
    Column::always("flow_id", U32, "The flow in this capture: joins to flows."),
    Column::always(
        "protocol",
        Name,
        "Protocol id, e.g. nasdaq.totalview-itch.5.0; a framing's own messages carry the framing's.",
    ),
    Column::maybe("venue", Name, "ISO MIC of the venue."),
    Column::maybe(
        "session",
        Name,
        "Session that the sequence belongs to: Mold session, FIX sender>target, unit.",
    ),
    Column::maybe("channel", U32, "Feed channel, unit or partition."),
    Column::maybe("seq", U64, "Sequence number."),
    Column::maybe("seq_unit", Name, "What seq counts: message, packet or byte."),
    Column::maybe("instrument_seq", U64, "Sequence within the instrument."),
    Column::maybe(
        "gap_before",
        U32,
        "Messages missing just before this one; 0 is none, null is unknown.",
    ),
    Column::always("flags", U32, "Bits; flag_names(flags) spells them out."),
    Column::maybe("ts_exch", Time, "When the venue says the event happened."),
    Column::maybe("ts_send", Time, "When the venue says it sent the message."),
    Column::always(
        "kind",
        Name,
        "What happened, in the same words for every venue: order.add, req.new, rpt.fill, ...",
    ),
    Column::always("msg_type", Name, "Native type code: A, D, 35=8."),
    Column::maybe("msg_name", Name, "The native type's name."),
    Column::maybe("side", Name, "buy, sell, sell_short, sell_short_exempt, cross or both."),
    Column::maybe(
        "price",
        Decimal,
        "Price in the instrument's currency; null where the wire says there is none.",
    ),
    Column::maybe(
        "price_kind",
        Name,
        "What the price means where it is no plain limit: market, peg, ...",
    ),
    Column::maybe("qty", Decimal, "Quantity the message is about, shares or contracts."),
    Column::maybe("qty_delta", Decimal, "Quantity executed or removed by this event."),
    Column::maybe("qty_leaves", Decimal, "Quantity left open after it."),
    Column::maybe("qty_cum", Decimal, "Quantity executed so far."),
    Column::maybe("symbol", Name, "Native symbol, padding removed."),
    Column::maybe("instrument_id", U64, "Locate code, security id."),
    Column::maybe(
        "order_id",
        U64,
        "The resting order's number; also where the wire has it as canonical decimal text.",
    ),
    Column::maybe("order_id_txt", Text, "The order's id where it is no number."),
    Column::maybe("cl_ord_id", Text, "Client order id."),
    Column::maybe("orig_cl_ord_id", Text, "Client order id of the version before."),
    Column::maybe("exec_id", Text, "Execution id."),
    Column::maybe("quote_id", Text, "Quote id."),
    Column::maybe("orig_order_id", U64, "The order's number before a replace."),
    Column::maybe("match_id", U64, "The venue's number of the match."),
    Column::maybe("trigger_seq", U64, "The feed sequence that the order says triggered it."),
    Column::maybe("participant", Name, "MPID or firm."),
    Column::maybe("account", Name, "Account."),
    Column::maybe("ord_type", Name, "Order type, FIX 40 meaning."),
    Column::maybe("tif", Name, "Time in force, FIX 59 meaning."),
    Column::maybe("ord_status", Name, "Order status, FIX 39 meaning."),
    Column::maybe("exec_type", Name, "Execution type, FIX 150 meaning."),
    Column::maybe("level", U32, "Depth of a price level."),
    Column::maybe("action", Name, "What happens to the level: new, change, delete, ..."),
    Column::maybe("bid_price", Decimal, "Best bid."),
    Column::maybe("bid_qty", Decimal, "Quantity at the best bid."),
    Column::maybe("ask_price", Decimal, "Best ask."),
    Column::maybe("ask_qty", Decimal, "Quantity at the best ask."),
    Column::maybe("reason_code", Name, "Native reason code."),
    Column::maybe("status", Name, "Trading status."),
    Column::maybe("trade_type", Name, "Kind of trade or cross."),
    Column::maybe("tcp_off", U64, "Bytes of the TCP direction before the message."),
    Column::maybe(
        "raw_off",
        U32,
        "First byte of the message, counted from the first captured byte of the frame, where it lies whole in it.",
    ),
    Column::always("raw_len", U32, "Bytes of the message."),
    Column::maybe("raw", Bytes, "The message's bytes where no one packet holds them all."),
    Column::maybe(
        "scope",
        U32,
        "Messages that teach each other: joins to learned; null where the protocol teaches nothing.",
    ),
    Column::maybe("sender", Name, "Which end of a session sent it: client or server."),
];
