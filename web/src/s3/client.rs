//! Objects of one bucket below one prefix, over HTTP.

use super::S3Error;
use super::sign::{Keys, Request, escaped, hex, sha256_hex, sign};
use chrono::Utc;
use ring::digest::{Context, SHA256};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use taptrail_store::ship::TargetError;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a request may take: a whole segment goes in one.
const WHOLE: Duration = Duration::from_secs(600);

/// Most bytes of an answer that is read: a manifest.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Bytes hashed at a time.
const HASH_BYTES: usize = 256 << 10;

/// Authorities that the system trusts, where distributions keep them.
const AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// What the environment says, by a variable's name.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A bucket, and the folder in it.
#[derive(Debug)]
pub(super) struct Bucket {
    agent: Agent,
    keys: Keys,
    region: String,
    /// `https://host:port`.
    origin: String,
    host: String,
    /// Before each key: `/`, the bucket where the host does not name it, the prefix.
    before: String,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    /// Size of the object.
    pub len: Option<u64>,
    pub body: Vec<u8>,
}

/// What is sent.
pub(super) enum Body<'a> {
    None,
    Bytes(&'a [u8]),
    File(&'a mut File),
}

impl Bucket {
    /// `s3://BUCKET/PREFIX`; where it is and by which keys says the environment.
    pub fn new(to: &str, ca: Option<&Path>, env: Environment<'_>) -> Result<Self, S3Error> {
        let rest = to.strip_prefix("s3://").unwrap_or_default().trim_end_matches('/');
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        if bucket.is_empty() || !bucket.chars().all(plain) || prefix.split('/').any(|p| p == "..") {
            return Err(S3Error::Address(to.to_owned()));
        }
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let must = |name: &'static str| set(name).ok_or(S3Error::Unset(name));
        let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = set("AWS_ENDPOINT_URL_S3").or_else(|| set("AWS_ENDPOINT_URL"));
        let (origin, path) = match endpoint {
            Some(endpoint) => (endpoint.trim_end_matches('/').to_owned(), format!("/{bucket}/")),
            None => (format!("https://{bucket}.s3.{region}.amazonaws.com"), "/".to_owned()),
        };
        let host = match origin.split_once("://") {
            Some(("http" | "https", host)) if !host.is_empty() && !host.contains('/') => host,
            _ => return Err(S3Error::Endpoint(origin)),
        };
        let host = host.to_owned();
        let before = if prefix.is_empty() { path } else { format!("{path}{prefix}/") };
        let keys = Keys {
            id: must("AWS_ACCESS_KEY_ID")?,
            secret: must("AWS_SECRET_ACCESS_KEY")?,
            token: set("AWS_SESSION_TOKEN"),
        };
        let agent = agent(origin.starts_with("https://"), ca, set("SSL_CERT_FILE"))?;
        Ok(Self { agent, keys, region, origin, host, before })
    }

    /// Sends one request. `absent`: only where there is no such object.
    pub fn send(
        &self,
        method: &'static str,
        key: &str,
        mut body: Body<'_>,
        absent: bool,
    ) -> Result<Answer, TargetError> {
        let path = escaped(&format!("{}{key}", self.before));
        let url = format!("{}{path}", self.origin);
        let body_sha256 = body.sha256().map_err(|error| unavailable(&url, &error))?;
        let headers: &[(&'static str, &str)] = if absent { &[("if-none-match", "*")] } else { &[] };
        let request =
            Request { method, path: &path, host: &self.host, headers, body_sha256: &body_sha256 };
        let mut builder = ureq::http::Request::builder().method(method).uri(&url);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        for (name, value) in sign(&self.keys, &self.region, &request, Utc::now()) {
            builder = builder.header(name, value);
        }
        let away = |error: &dyn std::fmt::Display| unavailable(&url, error);
        let sent = match body {
            Body::None => builder.body(()).map(|request| self.agent.run(request)),
            Body::Bytes(bytes) => builder.body(bytes).map(|request| self.agent.run(request)),
            Body::File(file) => builder.body(&*file).map(|request| self.agent.run(request)),
        };
        let mut response = sent.map_err(|error| away(&error))?.map_err(|error| away(&error))?;
        let len = response.headers().get("content-length");
        let len = len.and_then(|len| len.to_str().ok()?.parse().ok());
        let read = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = if method == "HEAD" { Vec::new() } else { read.map_err(|e| away(&e))? };
        let answer = Answer { status: response.status().as_u16(), len, body };
        answer.checked(&url)
    }
}

impl Body<'_> {
    fn sha256(&mut self) -> std::io::Result<String> {
        let file = match self {
            Self::None => return Ok(sha256_hex(b"")),
            Self::Bytes(bytes) => return Ok(sha256_hex(bytes)),
            Self::File(file) => file,
        };
        let (mut context, mut chunk) = (Context::new(&SHA256), vec![0; HASH_BYTES]);
        file.seek(SeekFrom::Start(0))?;
        loop {
            match file.read(&mut chunk)? {
                0 => break,
                len => context.update(chunk.get(..len).unwrap_or_default()),
            }
        }
        file.seek(SeekFrom::Start(0))?;
        Ok(hex(context.finish().as_ref()))
    }
}

impl Answer {
    /// Done, not there (404), or there already (409, 412); else an error.
    fn checked(self, url: &str) -> Result<Self, TargetError> {
        let said = |tag: &str| -> String {
            let text = String::from_utf8_lossy(&self.body);
            let found = text.split_once(&format!("<{tag}>")).and_then(|(_, rest)| {
                let (value, _) = rest.split_once("</")?;
                Some(value.chars().take(200).collect())
            });
            found.unwrap_or_default()
        };
        let text = || format!("{url}: status {} {} {}", self.status, said("Code"), said("Message"));
        match self.status {
            404 if said("Code") == "NoSuchBucket" => Err(TargetError::Denied(text())),
            200..=299 | 404 | 409 | 412 => Ok(self),
            400..=499 => Err(TargetError::Denied(text())),
            _ => Err(TargetError::Unavailable(text())),
        }
    }
}

fn unavailable(url: &str, error: &dyn std::fmt::Display) -> TargetError {
    TargetError::Unavailable(format!("{url}: {error}"))
}

fn agent(https: bool, ca: Option<&Path>, told: Option<String>) -> Result<Agent, S3Error> {
    let config = Agent::config_builder()
        .https_only(https)
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(CONNECT))
        .timeout_global(Some(WHOLE))
        .user_agent(concat!("taptrail/", env!("CARGO_PKG_VERSION")));
    if !https {
        return Ok(config.build().new_agent());
    }
    let known = AUTHORITIES.iter().map(PathBuf::from).find(|path| path.exists());
    let path = ca.map(Path::to_owned).or(told.map(PathBuf::from)).or(known);
    let path = path.ok_or(S3Error::NoAuthorities)?;
    let unusable = |error: &dyn std::fmt::Display| S3Error::Authorities {
        path: path.clone(),
        reason: error.to_string(),
    };
    let read = CertificateDer::pem_file_iter(&path).map_err(|error| unusable(&error))?;
    // A bundle of a system may hold what is no certificate.
    let all: Vec<_> = read.flatten().map(|der| Certificate::from_der(&der).to_owned()).collect();
    if all.is_empty() {
        return Err(unusable(&"no certificate in it"));
    }
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&all))
        .build();
    Ok(config.tls_config(tls).build().new_agent())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(to: &str, set: &[(&str, &str)]) -> Result<Bucket, S3Error> {
        let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        let all = [&keys[..], set].concat();
        let env = |name: &str| {
            all.iter().rev().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        };
        Bucket::new(to, None, &env)
    }

    #[test]
    fn the_environment_says_where_a_bucket_is() {
        let local = [("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/"), ("AWS_REGION", "eu-x")];
        let bucket_there = bucket("s3://trail/site/1/", &local).unwrap();
        assert_eq!(bucket_there.origin, "http://127.0.0.1:9000");
        assert_eq!(
            (&*bucket_there.host, &*bucket_there.before),
            ("127.0.0.1:9000", "/trail/site/1/")
        );
        assert_eq!(bucket_there.region, "eu-x");
        assert!(!format!("{bucket_there:?}").contains("secret"));
        for wrong in ["s3://", "s3:///x", "s3://Trail", "s3://b/../c", "http://b/c"] {
            assert!(matches!(bucket(wrong, &local), Err(S3Error::Address(_))), "{wrong}");
        }
        for wrong in ["ftp://x", "http://", "http://x/y", "x:1"] {
            let error = bucket("s3://b", &[("AWS_ENDPOINT_URL", wrong)]).err();
            assert!(matches!(error, Some(S3Error::Endpoint(_))), "{wrong}");
        }
        let unset = bucket("s3://b", &[local[0], ("AWS_SECRET_ACCESS_KEY", "")]).err();
        assert!(matches!(unset, Some(S3Error::Unset("AWS_SECRET_ACCESS_KEY"))));
    }
}
