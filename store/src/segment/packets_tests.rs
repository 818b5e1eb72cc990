//! Packets written and read back.

use super::*;
use crate::arrays::packets::PacketRows;
use arrow::array::Array;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::prelude::*;
use std::fs::File;
use taptrail_capture::packet::{LinkType, PacketMeta};
use taptrail_capture::time::Timestamp;

/// A packet of `len` bytes at `ts`.
pub(crate) fn push(batch: &mut PacketBatch, packet_ix: u32, ts: i64, len: usize) {
    batch.push(meta(packet_ix, ts, len), &vec![packet_ix as u8; len]);
}

fn meta(packet_ix: u32, ts: i64, len: usize) -> PacketMeta {
    PacketMeta {
        ts: Timestamp::from_ns(ts),
        ts_ps: -7,
        ts_record: Timestamp::from_ns(ts.wrapping_add(1)),
        ts_source: TsSource::Metamako,
        ts_flags: 5,
        packet_ix,
        interface: 2,
        direction: Direction::Out,
        link_type: LinkType::ETHERNET,
        wire_len: len as u32 + 4,
    }
}

/// The segments of these batches.
pub(crate) fn written(
    directory: &Path,
    capture_id: u64,
    batches: Vec<PacketBatch>,
) -> Vec<Unplaced> {
    let table = Table::named("packets").unwrap();
    let writer = PacketWriter::new(table, capture_id, directory, &Provenance::default());
    let mut writer = writer.unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap()
}

fn at(times: &[i64]) -> PacketBatch {
    let mut batch = PacketBatch::new();
    (0..).zip(times).for_each(|(ix, &ts)| push(&mut batch, ix, ts, 60));
    batch
}

/// Every packet of a file.
fn read(file: &Path, capture_id: u64) -> Vec<(PacketMeta, Vec<u8>)> {
    let file = File::open(file).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut all = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        assert_eq!(batch.schema(), Table::named("packets").unwrap().schema());
        assert_eq!(batch.column_by_name("line").unwrap().null_count(), batch.num_rows());
        let rows = PacketRows::new(&batch).unwrap();
        assert!((0..rows.len()).all(|row| rows.capture_id(row) == capture_id));
        all.extend((0..rows.len()).map(|row| (rows.meta(row), rows.data(row).to_vec())));
    }
    all
}

fn owned(batches: &[PacketBatch]) -> Vec<(PacketMeta, Vec<u8>)> {
    let packets = batches.iter().flat_map(PacketBatch::iter);
    packets.map(|packet| (packet.meta, packet.data.to_vec())).collect()
}

fn any_meta() -> impl Strategy<Value = PacketMeta> {
    let names = (0..12u8, 0..3u8);
    let numbers = (any::<u16>(), any::<u32>(), any::<u32>(), any::<u16>(), any::<u32>());
    (-3..9i64, any::<i16>(), any::<i64>(), names, numbers).prop_map(
        |(ts, ts_ps, ts_record, (source, direction), (flags, ix, interface, link, len))| {
            PacketMeta {
                ts: Timestamp::from_ns(ts),
                ts_ps,
                ts_record: Timestamp::from_ns(ts_record),
                ts_source: TsSource::from_number(source),
                ts_flags: flags,
                packet_ix: ix,
                interface,
                direction: [Direction::Unknown, Direction::In, Direction::Out]
                    [usize::from(direction)],
                link_type: LinkType(link),
                wire_len: len,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_packets_come_back_by_time(
        batches in prop::collection::vec(
            prop::collection::vec((any_meta(), 0..90usize, any::<u8>()), 0..40),
            1..6,
        ),
        in_order in any::<bool>(),
        alike in any::<bool>(),
    ) {
        let mut batches = batches;
        let mut all: Vec<_> = batches.concat();
        if in_order {
            all.sort_by_key(|(meta, ..)| meta.ts);
        }
        if let (true, Some(&(first, ..))) = (alike, all.first()) {
            all.iter_mut().for_each(|(meta, ..)| *meta = PacketMeta { ts: meta.ts, ..first });
        }
        let mut rest = all.into_iter();
        let batches: Vec<PacketBatch> = batches
            .drain(..)
            .map(|batch| {
                let mut made = PacketBatch::new();
                for (meta, len, byte) in rest.by_ref().take(batch.len()) {
                    made.push(meta, &vec![byte; len]);
                }
                made
            })
            .collect();
        let mut expected = owned(&batches);
        expected.sort_by_key(|(meta, _)| meta.ts);
        let directory = tempfile::tempdir().unwrap();
        let finished = written(directory.path(), u64::MAX, batches);
        let found: Vec<_> =
            finished.iter().flat_map(|one| read(&one.file, u64::MAX)).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn rows_of_a_row_group_are_sorted_by_time() {
    let directory = tempfile::tempdir().unwrap();
    let finished = written(directory.path(), 9, vec![at(&[30, 10]), at(&[20, 10])]);
    assert_eq!(finished.len(), 1);
    let segment = &finished[0].segment;
    assert_eq!(segment.time, Some(TimeRange { min_ns: 10, max_ns: 30 }));
    assert!(segment.sorted);
    let found = read(&finished[0].file, 9);
    let found: Vec<_> = found.iter().map(|(m, _)| (m.ts.ns(), m.packet_ix)).collect();
    assert_eq!(found, [(10, 1), (10, 1), (20, 0), (30, 0)]);
}

#[test]
fn many_packets_are_several_row_groups_and_pages() {
    let directory = tempfile::tempdir().unwrap();
    let times: Vec<i64> = (0..4096).collect();
    let batches: Vec<PacketBatch> = (0..40).map(|_| at(&times)).collect();
    let mut expected = owned(&batches);
    for rows in expected.chunks_mut(ROW_GROUP_ROWS) {
        rows.sort_by_key(|(meta, _)| meta.ts);
    }
    let finished = written(directory.path(), 1, batches);
    let segment = &finished[0].segment;
    assert_eq!(segment.rows, 40 * 4096);
    assert_eq!(segment.row_groups.len(), 2);
    assert!(segment.row_groups.iter().all(|group| group.rows <= ROW_GROUP_ROWS as u64));
    assert!(!segment.sorted);
    assert!(read(&finished[0].file, 1) == expected);
}

#[test]
fn a_row_group_in_order_follows_one_that_was_not() {
    let directory = tempfile::tempdir().unwrap();
    let times = |start: i64| (start..start + 4096).collect::<Vec<i64>>();
    let disordered = (0..32).map(|_| at(&times(0)));
    let ordered = (1..34).map(|n| at(&times(n * 4096)));
    let batches: Vec<PacketBatch> = disordered.chain(ordered).collect();
    let mut expected = owned(&batches);
    expected.sort_by_key(|(meta, _)| meta.ts);
    let finished = written(directory.path(), 1, batches);
    assert_eq!(finished[0].segment.row_groups.len(), 3);
    assert!(finished[0].segment.sorted);
    assert!(read(&finished[0].file, 1) == expected);
}

#[test]
fn no_packets_no_segment() {
    let directory = tempfile::tempdir().unwrap();
    assert!(written(directory.path(), 1, vec![PacketBatch::new()]).is_empty());
}

fn column(file: &Path, name: &str) -> ColumnChunkMetaData {
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    let group = reader.metadata().row_group(0);
    group.columns().iter().find(|c| c.column_path().string() == name).unwrap().clone()
}

#[test]
fn payload_has_neither_dictionary_nor_statistics() {
    let directory = tempfile::tempdir().unwrap();
    let finished = written(directory.path(), 9, vec![at(&[1, 2, 3])]);
    let file = &finished[0].file;
    assert!(column(file, "data").statistics().is_none());
    assert_eq!(column(file, "data").dictionary_page_offset(), None);
    assert!(column(file, "ts").statistics().is_some());
    assert!(column(file, "ts_source").dictionary_page_offset().is_some());
    let nulls = column(file, "line").statistics().and_then(|found| found.null_count_opt());
    assert_eq!(nulls, Some(3));
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    let pairs = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
    let value = |key: &str| pairs.iter().find(|p| p.key == key).unwrap().value.clone();
    assert_eq!(value("taptrail.sorted").as_deref(), Some("segment"));
    assert_eq!(value("taptrail.table").as_deref(), Some("packets"));
}

#[test]
fn what_does_not_get_smaller_is_stored_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let mut batches = vec![PacketBatch::new(), PacketBatch::new()];
    let mut state = 1u64;
    for batch in &mut batches {
        for ix in 0..3_000 {
            let noise = (0..1_000).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            });
            batch.push(meta(ix, ix.into(), 1_000), &noise.collect::<Vec<_>>());
        }
    }
    let mut expected = owned(&batches);
    expected.sort_by_key(|(meta, _)| meta.ts);
    let finished = written(directory.path(), 1, batches);
    assert!(read(&finished[0].file, 1) == expected);
    let data = column(&finished[0].file, "data");
    assert_eq!(data.compression(), parquet::basic::Compression::UNCOMPRESSED);
    assert!(data.compressed_size() < 6_100_000);
}
