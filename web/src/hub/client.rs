//! A node's side: a hub behind HTTPS as a target.

use crate::error::ServeError;
use crate::hub::routes::{Have, REQUEST};
use crate::hub::tls::{Loaded, explained};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use taptrail_store::ship::nodes::Report;
use taptrail_store::ship::offer::Offer;
use taptrail_store::ship::{Answer, Target, TargetError};
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Longer than the hub takes to give up.
const WHOLE: Duration = REQUEST.saturating_add(Duration::from_secs(10));

/// Most bytes of an answer: a list of all files of an import.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// A hub, by its address.
#[derive(Debug)]
pub struct HubTarget {
    agent: Agent,
    base: String,
}

impl HubTarget {
    /// The hub at `base`, `https://HOST:PORT`. Connects once something is sent.
    ///
    /// # Errors
    /// Where the certificates cannot be used or `base` is no such address.
    pub fn new(base: &str, loaded: &Loaded) -> Result<Self, ServeError> {
        let base = base.trim_end_matches('/').to_owned();
        if !base.starts_with("https://") {
            let reason = "needs https://HOST:PORT".to_owned();
            return Err(ServeError::Certificate { path: Path::new(&base).to_owned(), reason });
        }
        let unusable = |error: ureq::Error| ServeError::Certificate {
            path: Path::new("key").to_owned(),
            reason: error.to_string(),
        };
        let agent = Agent::config_builder()
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(WHOLE))
            .user_agent(concat!("taptrail/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls(loaded).map_err(unusable)?)
            .build()
            .new_agent();
        Ok(Self { agent, base })
    }

    fn send<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, TargetError> {
        let url = format!("{}/ship/v1/{path}", self.base);
        let away = |error: ureq::Error| {
            TargetError::Unavailable(format!("{}: {}", self.base, explained(&error.to_string())))
        };
        let mut response = self.agent.put(&url).send(body).map_err(away)?;
        let status = response.status().as_u16();
        let read = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let bytes = read.map_err(away)?;
        if status == 200 {
            return serde_json::from_slice(&bytes).map_err(|error| {
                TargetError::Unavailable(format!("{}: an answer that is none: {error}", self.base))
            });
        }
        let text = message(&bytes).unwrap_or_else(|| format!("status {status}"));
        let text = format!("{}: {text}", self.base);
        Err(match status {
            403 => TargetError::Denied(text),
            400..=499 => TargetError::Refused(text),
            _ => TargetError::Unavailable(text),
        })
    }

    fn send_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, TargetError> {
        let json = serde_json::to_vec(body);
        self.send(path, &json.map_err(|error| TargetError::Refused(error.to_string()))?)
    }
}

fn message(bytes: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    Some(value.get("error")?.get("message")?.as_str()?.to_owned())
}

fn tls(loaded: &Loaded) -> Result<TlsConfig, ureq::Error> {
    let key = PrivateKey::from_pem(&loaded.key_pem)?;
    let own = |ders: &[rustls::pki_types::CertificateDer<'static>]| -> Vec<Certificate<'static>> {
        ders.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
    };
    Ok(TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&own(&loaded.authority)))
        .client_cert(Some(ClientCert::new_with_certs(&own(&loaded.chain), key)))
        .build())
}

impl Target for HubTarget {
    fn offer(&mut self, offer: &Offer) -> Result<Answer, TargetError> {
        self.send_json("imports", offer)
    }

    fn put(
        &mut self,
        blake3: &str,
        total: u64,
        offset: u64,
        bytes: &[u8],
    ) -> Result<u64, TargetError> {
        let path = format!("files/{blake3}?total={total}&offset={offset}");
        self.send::<Have>(&path, bytes).map(|have| have.have)
    }

    fn report(&mut self, report: &Report) -> Result<(), TargetError> {
        self.send_json::<Value>("report", report).map(drop)
    }
}
