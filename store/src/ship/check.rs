//! What an offer must be before anything is done with it: a hub trusts a node's
//! name, never what the node says.

use crate::catalog::FORMAT_VERSION;
use crate::segment::Segment;
use crate::ship::offer::{Content, Offer, is_hash};
use crate::ship::{FILES_MAX, NodeName, PROTOCOL};
use crate::tables::{PER_CAPTURE, Table};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use taptrail_capture::point::PointName;

/// What is wrong with an offer of `node`, if anything. `bytes_max` is what all
/// files of one import may have together.
pub(super) fn check(offer: &Offer, node: &NodeName, bytes_max: u64) -> Result<(), String> {
    let import = &offer.import;
    if offer.protocol != PROTOCOL {
        return Err(format!(
            "the node speaks version {}, this hub {PROTOCOL}: update the older one",
            offer.protocol
        ));
    }
    if offer.node != *node {
        return Err(format!(
            "the node calls itself {}, its certificate {node}: set [ship] node = \"{node}\"",
            offer.node
        ));
    }
    if import.format != FORMAT_VERSION {
        return Err(format!(
            "the import has store format {}, this hub {FORMAT_VERSION}: update the older one",
            import.format
        ));
    }
    PointName::try_from(import.point.clone())?;
    if import.point != import.point_config.name.as_str() {
        return Err(format!("point {:?} is configured as another one", import.point));
    }
    if import.node.as_ref().is_some_and(|of| of != node) {
        return Err("the import came from another node".to_owned());
    }
    let point = PointName::try_from(import.point.clone())?;
    let segment = import.source.segment.as_deref();
    if !segment.is_none_or(taptrail_capture::segment_id::is_segment_id) {
        return Err("the segment's name is none".to_owned());
    }
    let named = import.source.capture_id(&point).ok_or("content_blake3 is no hash")?;
    if named != import.capture_id {
        return Err("capture_id is not that of this point and content".to_owned());
    }
    check_files(&import.files, &offer.files, bytes_max)
}

fn check_files(segments: &[Segment], files: &[Content], bytes_max: u64) -> Result<(), String> {
    if segments.len() != files.len() || files.len() > FILES_MAX {
        return Err(format!(
            "{} segments and {} files: needs as many, at most {FILES_MAX}",
            segments.len(),
            files.len()
        ));
    }
    let mut known = HashSet::new();
    let mut total = 0_u64;
    for (segment, file) in segments.iter().zip(files) {
        if !PER_CAPTURE.iter().any(|table| table.name == segment.table) {
            return Err(format!("{:?} is no table that a capture has", segment.table));
        }
        if !is_hash(&file.blake3) {
            return Err(format!("{:?} is no hash: needs 64 hex digits", file.blake3));
        }
        let rows = segment.row_groups.iter().try_fold(0_u64, |sum, g| sum.checked_add(g.rows));
        if rows != Some(segment.rows) {
            return Err(format!("the row groups of {} have other rows", segment.table));
        }
        if known.insert(&file.blake3) {
            total = total.saturating_add(file.bytes);
        }
    }
    if total > bytes_max {
        return Err(format!(
            "{total} bytes of one import are more than {bytes_max} ([hub] incoming_mib)"
        ));
    }
    Ok(())
}

/// What is wrong with a file that has come for a segment, if anything: it must be
/// Parquet with the segment's rows and columns.
pub(super) fn check_segment(path: &Path, segment: &Segment) -> Result<(), String> {
    let wrong = |what: &dyn std::fmt::Display| format!("a file of {}: {what}", segment.table);
    let file = File::open(path).map_err(|error| wrong(&error))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| wrong(&error))?;
    let metadata = reader.metadata();
    let rows = metadata.row_groups().iter().try_fold(0_i64, |sum, g| sum.checked_add(g.num_rows()));
    let rows = rows.and_then(|rows| u64::try_from(rows).ok());
    // Several segments may lie in one file.
    if rows.is_none_or(|rows| rows < segment.rows) {
        return Err(wrong(&format!("has {rows:?} rows, the manifest says {}", segment.rows)));
    }
    if metadata.num_row_groups() < segment.groups().end {
        return Err(wrong(&"has fewer row groups than the manifest says"));
    }
    let table = Table::named(&segment.table).ok_or_else(|| wrong(&"no such table"))?;
    let columns = table.schema();
    for field in reader.schema().fields() {
        let ours = columns.column_with_name(field.name()).map(|(_, ours)| ours);
        if ours.is_none_or(|ours| ours.data_type() != field.data_type()) {
            return Err(wrong(&format!("column {} is not one of this version's", field.name())));
        }
    }
    Ok(())
}
