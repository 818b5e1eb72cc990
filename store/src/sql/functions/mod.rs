//! SQL functions of our own. A distributed engine registers the same ones.

pub mod fields;
pub mod flag_names;
pub mod hdr;
pub mod hex;

use crate::catalog::Store;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::prelude::SessionContext;
use std::sync::Arc;

/// The scalar functions.
pub fn scalars() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::new_from_impl(flag_names::FlagNames::new()),
        ScalarUDF::new_from_impl(hex::Hex::new()),
    ]
}

/// The aggregate functions.
pub fn aggregates() -> Vec<AggregateUDF> {
    vec![AggregateUDF::new_from_impl(hdr::HdrQuantile::new())]
}

/// Adds every function to a session.
pub(super) fn register(context: &SessionContext, store: &Store) {
    context.register_udtf("fields", Arc::new(fields::Fields::new(store.clone())));
    scalars().into_iter().for_each(|function| context.register_udf(function));
    aggregates().into_iter().for_each(|function| context.register_udaf(function));
}
