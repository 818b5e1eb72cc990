//! `packets`: one row a captured packet, its bytes included.
//!
//! ```text
//! ts | ts_ps | ts_record | ts_source | capture_id | packet_ix | wire_len | cap_len | data
//! ```

use crate::tables::column::Column;
use crate::tables::column::ColumnType::{Bytes, I64, Name, Time, U32, U64};

/// The table's columns, in order. `point` stands in the path.
pub const COLUMNS: &[Column] = &[
    Column::always(
        "ts",
        Time,
        "Best time of the packet: the tap's stamp where the point is configured so, else the record's.",
    ),
    Column::always(
        "ts_ps",
        I64,
        "Picoseconds to add to ts, -500 to 999; 0 where its source is no finer than a nanosecond.",
    ),
    Column::always("ts_record", Time, "The capture record's own time."),
    Column::always(
        "ts_source",
        Name,
        "What gave ts: record, or the stamp's format: metamako, exablaze, cpacket, ixia, gigamon, vss, expcap, arista7280, arista7150, ttag, erspan.",
    ),
    Column::always(
        "ts_flags",
        U32,
        "Bits: 1 trailer missing, 2 clock degraded, 4 FCS valid, 8 device marked duplicate, 16 time out of range, 32 no time, 64 clock in holdover, 128 clock without reference, 256 FCS bad, 512 receive error, 1024 the adapter was to stamp it and the system did.",
    ),
    Column::always("capture_id", U64, "The capture: hash of point and content."),
    Column::always("packet_ix", U32, "Position in the capture, from 0."),
    Column::always("interface", U32, "Interface number in the capture (pcapng), else 0."),
    Column::always("direction", Name, "in, out or unknown, as the capture says."),
    Column::always("link_type", U32, "Link type, as numbered by the tcpdump registry."),
    Column::always("wire_len", U32, "Bytes on the wire."),
    Column::always("cap_len", U32, "Bytes captured."),
    Column::maybe("line", Name, "Feed line, where known."),
    Column::always("data", Bytes, "The captured bytes, trailer and FCS included."),
];
