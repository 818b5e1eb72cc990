//! What requests bring along, with errors in the API's own shape.

use crate::error::ApiError;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Most rows of a page.
pub(crate) const PAGE_MAX: u32 = 1000;

/// The query string as a struct.
pub(crate) struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let query = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
        Ok(Self(query.0))
    }
}

/// The path's own parameters.
pub(crate) struct InPath<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        Ok(Self(path.map_err(|error| ApiError::bad_request(error.body_text()))?.0))
    }
}

/// The order of a sorted answer.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Asc,
    #[default]
    Desc,
}

impl Direction {
    pub fn sql(self) -> &'static str {
        match self {
            Self::Asc => "ASC",
            Self::Desc => "DESC",
        }
    }
}

/// Which part of the rows is asked for, as SQL.
pub(crate) fn page(limit: Option<u32>, offset: Option<u32>) -> Result<String, ApiError> {
    let limit = limit.unwrap_or(100);
    if limit > PAGE_MAX {
        return Err(ApiError::bad_request(format!("limit is {limit}, at most {PAGE_MAX} rows")));
    }
    Ok(format!("LIMIT {limit} OFFSET {}", offset.unwrap_or(0)))
}

/// Conditions joined, as a WHERE clause.
pub(crate) fn filter(conditions: &[String]) -> String {
    if conditions.is_empty() {
        return String::new();
    }
    format!("WHERE {}", conditions.join(" AND "))
}
