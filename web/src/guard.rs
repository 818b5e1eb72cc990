//! What every request passes and every answer carries.
//!
//! A page of a stranger could point its own name at this machine and then read
//! the API as if it were its own (DNS rebinding). Such a request always names
//! the stranger in `Host`, so only addresses, `localhost` and names that the
//! user gave are answered.

use crate::error::ApiError;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// Nothing is loaded from elsewhere, nothing runs or is styled inline, nothing
/// is framed, nothing is sent away.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; \
     object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Names besides addresses and `localhost` that requests may be sent to.
pub(crate) type Hosts = Arc<[String]>;

/// Refuses requests that are meant for another host; adds the headers.
pub(crate) async fn guard(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let uri_host = request.uri().authority().map(|authority| authority.host().to_owned());
    let host = uri_host.or_else(|| host_header(request.headers()));
    let mut response = match host {
        Some(host) if is_ours(&host, &hosts) => next.run(request).await,
        host => refused(host).into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let kept = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(kept);
    response
}

/// The host of the one Host header, without the port.
fn host_header(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::HOST).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    let authority = Authority::try_from(value.as_bytes()).ok()?;
    Some(authority.host().to_owned())
}

fn is_ours(host: &str, hosts: &[String]) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))
}

fn refused(host: Option<String>) -> ApiError {
    let named = host.map_or_else(|| "no usable Host".to_owned(), |host| format!("Host {host:?}"));
    ApiError {
        status: StatusCode::MISDIRECTED_REQUEST,
        code: "host",
        message: format!("the request has {named}: open this page by address or as localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_localhost_and_given_names_are_ours() {
        let given = ["tap.example".to_owned()];
        for host in ["127.0.0.1", "[::1]", "10.1.2.3", "localhost", "LOCALHOST", "Tap.Example"] {
            assert!(is_ours(host, &given), "{host}");
        }
        for host in ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "1"] {
            assert!(!is_ours(host, &given), "{host}");
        }
    }

    #[test]
    fn a_doubled_or_broken_host_is_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(host_header(&headers), None);
        headers.append(header::HOST, HeaderValue::from_static("127.0.0.1:8321"));
        assert_eq!(host_header(&headers).as_deref(), Some("127.0.0.1"));
        headers.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert_eq!(host_header(&headers), None);
        for broken in ["a b", "a/b", "[::1"] {
            let headers = HeaderMap::from_iter([(header::HOST, broken.parse().unwrap())]);
            assert_eq!(host_header(&headers), None, "{broken}");
        }
    }
}
