//! How a request to an object store says who sends it: AWS Signature Version 4, in its
//! headers.
//!
//! ```text
//! secret ─HMAC day─region─service─▶ key ─HMAC─▶ signature of: method · path · headers · SHA-256 of the body
//! ```
//!
//! Source: AWS, "Amazon S3 API Reference", "Authenticating Requests: Using the
//! Authorization Header". Queries are not used, so none is signed.

use chrono::{DateTime, Utc};
use ring::{digest, hmac};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Who sends requests.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys {
    /// Names the key.
    pub id: String,
    /// The key.
    pub secret: String,
    /// With keys that are good for a while only.
    pub token: Option<String>,
}

impl std::fmt::Debug for Keys {
    /// Without what is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// `GET`, `PUT`, `HEAD`.
    pub method: &'a str,
    /// As [`escaped`] gives it.
    pub path: &'a str,
    /// With the port, where the address has one.
    pub host: &'a str,
    /// Headers beside those that are added, names in lower case.
    pub headers: &'a [(&'static str, &'a str)],
    /// SHA-256 of the body, as [`sha256_hex`] gives it.
    pub body_sha256: &'a str,
}

/// SHA-256 of bytes as hex digits.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A path as a URL has it: all but letters, digits, `-_.~` and `/` as `%XX`.
pub(super) fn escaped(path: &str) -> String {
    path.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                text.push(char::from(byte));
            }
            _ => {
                // As above.
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    })
}

/// The headers that make a request a signed one, `host` left out.
pub(super) fn sign(
    keys: &Keys,
    region: &str,
    request: &Request<'_>,
    now: DateTime<Utc>,
) -> Vec<(&'static str, String)> {
    let time = now.format("%Y%m%dT%H%M%SZ").to_string();
    let day = now.format("%Y%m%d").to_string();
    let mut added = vec![
        ("x-amz-content-sha256", request.body_sha256.to_owned()),
        ("x-amz-date", time.clone()),
    ];
    added.extend(keys.token.iter().map(|token| ("x-amz-security-token", token.clone())));
    let mut headers: BTreeMap<&str, &str> = request.headers.iter().copied().collect();
    headers.insert("host", request.host);
    headers.extend(added.iter().map(|(name, value)| (*name, value.as_str())));
    let names: Vec<&str> = headers.keys().copied().collect();
    let names = names.join(";");
    let lines: String =
        headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let Request { method, path, body_sha256, .. } = request;
    let canonical = format!("{method}\n{path}\n\n{lines}\n{names}\n{body_sha256}");
    let scope = format!("{day}/{region}/s3/aws4_request");
    let canonical = sha256_hex(canonical.as_bytes());
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical}");
    let first = format!("AWS4{}", keys.secret).into_bytes();
    let parts = [day.as_str(), region, "s3", "aws4_request", &text];
    let signature = parts.iter().fold(first, |key, part| hmac_sha256(&key, part));
    let signature = hex(&signature);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={signature}",
        keys.id
    );
    added.push(("authorization", authorization));
    added
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the source above.
    fn signature(request: &Request<'_>) -> String {
        let keys = Keys {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        };
        let now = "2013-05-24T00:00:00Z".parse().unwrap();
        let headers = sign(&keys, "us-east-1", request, now);
        let (_, authorization) = headers.last().unwrap();
        authorization.split_once("Signature=").unwrap().1.to_owned()
    }

    #[test]
    fn signatures_are_those_of_the_published_examples() {
        let host = "examplebucket.s3.amazonaws.com";
        let get = Request {
            method: "GET",
            path: "/test.txt",
            host,
            headers: &[("range", "bytes=0-9")],
            body_sha256: &sha256_hex(b""),
        };
        let is = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        assert_eq!(signature(&get), is);
        let put = Request {
            method: "PUT",
            path: &escaped("/test$file.text"),
            host,
            headers: &[
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ],
            body_sha256: &sha256_hex(b"Welcome to Amazon S3."),
        };
        let is = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
        assert_eq!(signature(&put), is);
    }

    #[test]
    fn paths_of_segments_are_escaped() {
        let path = "/b/packets/point=P 1/date=2026-01-05/hour=14/ab.parquet";
        let is = "/b/packets/point%3DP%201/date%3D2026-01-05/hour%3D14/ab.parquet";
        assert_eq!(escaped(path), is);
        assert_eq!(escaped("/ä~"), "/%C3%A4~");
    }
}
