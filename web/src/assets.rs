//! The dashboard's files, embedded in the binary.

use crate::error::ApiError;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

/// What `npm run build` made of `ui/`.
#[derive(RustEmbed)]
#[folder = "ui/dist"]
struct Dist;

/// A file of the dashboard; `/` is its page.
pub(crate) async fn file(method: Method, uri: Uri) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let Some(file) = Dist::get(path) else {
        return ApiError::not_found(format!("there is no file {path}")).into_response();
    };
    // Names below assets/ carry a hash of the contents.
    let kept = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let headers = [(header::CONTENT_TYPE, content_type(path)), (header::CACHE_CONTROL, kept)];
    (headers, file.data).into_response()
}

/// A path below /api that means nothing.
pub(crate) async fn no_such_route(uri: Uri) -> ApiError {
    ApiError::not_found(format!("there is no {}: see /api/openapi.json", uri.path()))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_file_has_a_type_and_the_page_is_there() {
        assert!(Dist::get("index.html").is_some());
        for path in Dist::iter() {
            assert_ne!(content_type(&path), "application/octet-stream", "{path}");
        }
    }
}
