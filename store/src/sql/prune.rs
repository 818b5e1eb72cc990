//! Leaves out segments that cannot hold a wanted row, by what their manifests
//! say: times, point and capture.

use crate::sql::table::{Listed, timestamp};
use crate::tables::Table;
use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use std::collections::HashSet;

/// Removes the segments in which no row passes all `filters`.
pub(super) fn prune(
    listed: &mut Vec<Listed>,
    table: &Table,
    schema: &SchemaRef,
    filters: &[Expr],
    state: &dyn Session,
) -> Result<()> {
    let Some(filter) = conjunction(filters.to_vec()) else { return Ok(()) };
    let filter = state.create_physical_expr(filter, &DFSchema::try_from(schema.clone())?)?;
    let predicate =
        PruningPredicateBuilder::new().with_file_schema(schema.clone()).try_build(filter)?;
    let wanted = predicate.prune(&Known { listed, time: table.time })?;
    let mut wanted = wanted.into_iter();
    listed.retain(|_| wanted.next().unwrap_or(true));
    Ok(())
}

/// The manifests' knowledge, one container a segment.
struct Known<'a> {
    listed: &'a [Listed],
    time: Option<&'static str>,
}

impl Known<'_> {
    fn bound(&self, column: &str, time: impl Fn(&Listed) -> Option<i64>) -> Option<ArrayRef> {
        let values: Option<Vec<ScalarValue>> = match column {
            "point" => {
                let points = self.listed.iter().map(|listed| listed.point.clone());
                points.map(|point| Some(ScalarValue::from(point?))).collect()
            }
            "capture_id" => {
                let ids = self.listed.iter().map(|listed| listed.capture_id);
                ids.map(|id| Some(ScalarValue::from(id?))).collect()
            }
            _ if Some(column) == self.time => {
                self.listed.iter().map(|listed| time(listed).map(timestamp)).collect()
            }
            _ => None,
        };
        ScalarValue::iter_to_array(values?).ok()
    }
}

impl PruningStatistics for Known<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(&column.name, |listed| Some(listed.segment.time?.min_ns))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(&column.name, |listed| Some(listed.segment.time?.max_ns))
    }

    fn num_containers(&self) -> usize {
        self.listed.len()
    }

    fn null_counts(&self, _column: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
