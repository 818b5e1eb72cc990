//! Packets, messages and flows of the network, imported as captures.

use crate::support::network::{ITCH, Network, Order, POINTS, START, Seen};
use arrow::array::{
    ArrayRef, BinaryArray, Decimal128Array, Int64Array, RecordBatch, StringArray, UInt64Array,
    new_null_array,
};
use arrow::compute::cast;
use std::sync::Arc;
use taptrail_capture::point::{PointConfig, PointName};
use taptrail_store::catalog::drops::{DropPlace, Drops};
use taptrail_store::catalog::manifest::{CaptureLosses, Counters, ImportManifest, SourceFile};
use taptrail_store::catalog::{FORMAT_VERSION, Store};
use taptrail_store::segment::properties::Provenance;
use taptrail_store::segment::writer::TableWriter;
use taptrail_store::tables::Table;
use taptrail_store::tables::flows::FlowRow;
use taptrail_store::tables::row::Row;

/// Bytes of every frame: headers, then the message.
const FRAME: u64 = 98;

/// Where the message begins in it.
const HEADERS: u64 = 62;

/// Imports what was seen at each point.
pub fn import(store: &Store, network: &Network) {
    for (point, capture_id) in POINTS {
        let mut seen: Vec<(&Order, &Seen)> = network.at(point).collect();
        seen.sort_by_key(|(_, seen)| (seen.ts, seen.packet_ix));
        import_point(store, point, capture_id, &seen);
    }
}

/// Packets that the ring of a capture dropped in its first millisecond.
fn ring_drops(packets: u64) -> Drops {
    let packets = Some(packets);
    Drops { place: DropPlace::Ring, ts_lo: START, ts_hi: START + 1_000_000, packets }
}

fn import_point(store: &Store, point: &str, capture_id: u64, seen: &[(&Order, &Seen)]) {
    let lock = store.lock().unwrap();
    let scratch = lock.scratch().unwrap();
    let mut segments = Vec::new();
    for table in ["packets", "messages"] {
        let table = Table::named(table).unwrap();
        let columns = table.columns.iter().map(|column| {
            let array = column_of(column.name, seen).unwrap_or_else(|| {
                assert!(column.nullable, "{}.{}", table.name, column.name);
                new_null_array(&column.kind.arrow(), seen.len())
            });
            cast(&array, &column.kind.arrow()).unwrap()
        });
        let batch = RecordBatch::try_new(table.schema(), columns.collect()).unwrap();
        let mut writer = TableWriter::new(table, scratch.path(), &Provenance::default());
        writer.write(batch).unwrap();
        segments.extend(writer.finish().unwrap());
    }
    let flows = Table::named("flows").unwrap();
    let mut writer = TableWriter::new(flows, scratch.path(), &Provenance::default());
    writer.write(FlowRow::to_batch(&[flow(capture_id, seen)]).unwrap()).unwrap();
    segments.extend(writer.finish().unwrap());
    lock.commit_import(&scratch, manifest(point, capture_id, seen.len() as u64), segments).unwrap();
}

fn column_of(name: &str, seen: &[(&Order, &Seen)]) -> Option<ArrayRef> {
    let number = |of: &dyn Fn(&Order, &Seen) -> Option<u64>| -> ArrayRef {
        Arc::new(seen.iter().map(|(order, seen)| of(order, seen)).collect::<UInt64Array>())
    };
    let time = |of: &dyn Fn(&Seen) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(seen.iter().map(|(_, seen)| of(seen))))
    };
    let text = |of: &dyn Fn(&Order, &Seen) -> Option<String>| -> ArrayRef {
        Arc::new(seen.iter().map(|(order, seen)| of(order, seen)).collect::<StringArray>())
    };
    let decimal = |of: &dyn Fn(&Order) -> i128| -> ArrayRef {
        let values = Decimal128Array::from_iter_values(seen.iter().map(|(order, _)| of(order)));
        Arc::new(values.with_precision_and_scale(38, 9).unwrap())
    };
    Some(match name {
        "ts" | "ts_record" => time(&|seen| seen.ts),
        "capture_id" => number(&|_, seen| Some(seen.capture_id())),
        "packet_ix" => number(&|_, seen| Some(seen.packet_ix.into())),
        "msg_ix" | "entry" | "flow_id" | "flags" | "ts_ps" | "ts_flags" | "interface" => {
            number(&|_, _| Some(0))
        }
        "link_type" => number(&|_, _| Some(1)),
        "wire_len" | "cap_len" => number(&|_, _| Some(FRAME)),
        "raw_off" => number(&|_, _| Some(HEADERS)),
        "raw_len" => number(&|_, _| Some(FRAME - HEADERS)),
        "ts_source" => text(&|_, _| Some("record".to_owned())),
        "direction" => text(&|_, _| Some("in".to_owned())),
        "line" => text(&|_, seen| seen.line.map(str::to_owned)),
        "protocol" => text(&|_, seen| Some(seen.protocol.to_owned())),
        "kind" => text(&|_, seen| Some(seen.kind.to_owned())),
        "msg_type" => text(&|_, seen| Some(seen.msg_type.to_owned())),
        "seq" => number(&|_, seen| seen.seq),
        "symbol" => text(&|order, _| Some(order.symbol.to_owned())),
        "side" => text(&|order, _| Some(order.side.to_owned())),
        "cl_ord_id" => text(&|order, seen| (seen.protocol != ITCH).then(|| order.cl_ord_id())),
        "price" => decimal(&|order| order.price),
        "qty" => decimal(&|order| order.qty),
        "data" => {
            Arc::new(BinaryArray::from_iter_values(seen.iter().map(|(order, _)| {
                (0..FRAME).map(|i| (i * 7 + order.id) as u8).collect::<Vec<_>>()
            })))
        }
        _ => return None,
    })
}

fn flow(capture_id: u64, seen: &[(&Order, &Seen)]) -> FlowRow {
    let count = seen.len() as u64;
    let times = seen.iter().map(|(_, seen)| seen.ts);
    FlowRow {
        capture_id,
        flow_id: 0,
        transport: "udp".into(),
        src_addr: "10.20.5.9".into(),
        src_port: Some(26400),
        dst_addr: "233.54.12.101".into(),
        dst_port: Some(26477),
        vlan: None,
        tunnel: None,
        outer_src: None,
        outer_dst: None,
        protocol: seen.first().map(|(_, seen)| seen.protocol.into()),
        recognised: Some("certain".into()),
        line: None,
        packets: count,
        bytes: count * 36,
        messages: count,
        first_ts: times.clone().min().unwrap_or(0),
        last_ts: times.max().unwrap_or(0),
        gaps: 0,
        missing: 0,
        errors: 0,
        note: None,
    }
}

fn manifest(point: &str, capture_id: u64, packets: u64) -> ImportManifest {
    let lost = (point == "P2").then_some(12);
    ImportManifest {
        format: FORMAT_VERSION,
        software: "test".to_owned(),
        config_hash: String::new(),
        decode: None,
        point: point.to_owned(),
        point_config: PointConfig::named(PointName::try_from(point.to_owned()).unwrap()),
        capture_id,
        revision: 0,
        source: SourceFile {
            name: format!("{point}.pcap"),
            bytes: packets * (FRAME + 16),
            content_blake3: String::new(),
            segment: None,
        },
        node: None,
        counters: Counters {
            packets,
            packet_bytes: packets * FRAME,
            rows: packets,
            messages: [(ITCH.to_owned(), packets)].into(),
            not_decoded: Default::default(),
            losses: CaptureLosses { ring: lost, interface: None, recorded: None },
            drops: lost.into_iter().map(ring_drops).collect(),
        },
        warnings: Vec::new(),
        warnings_dropped: 0,
        first_ts: None,
        continues: None,
        learned: Vec::new(),
        files: Vec::new(),
    }
}
