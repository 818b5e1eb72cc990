//! Certificates: read from files, used on both sides, and their faults in words.
//!
//! The rules are those of rustls with ring: TLS 1.3 only, a private authority and
//! nobody else's.

use crate::error::ServeError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use taptrail_store::ship::NodeName;

/// Where the certificates are, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The authority that signed the other side's.
    pub ca: PathBuf,
    /// Our own, with what lies between it and the authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// What the files hold.
pub struct Loaded {
    /// Certificates of the authority.
    pub(crate) authority: Vec<CertificateDer<'static>>,
    /// Our own, the one that names us first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub(crate) key: PrivateKeyDer<'static>,
    /// The same as it stands in the file.
    pub(crate) key_pem: Vec<u8>,
}

fn unusable(path: &Path, reason: impl std::fmt::Display) -> ServeError {
    ServeError::Certificate { path: path.to_owned(), reason: reason.to_string() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServeError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| unusable(path, error))?;
    let all: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| unusable(path, error))?;
    if all.is_empty() {
        return Err(unusable(path, "no certificate in it: needs PEM"));
    }
    Ok(all)
}

impl std::fmt::Debug for Loaded {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("node", &self.node()).finish_non_exhaustive()
    }
}

impl Loaded {
    /// Reads the files.
    ///
    /// # Errors
    /// Where one is missing or not what it should be.
    pub fn read(files: &Files) -> Result<Self, ServeError> {
        let key_pem = std::fs::read(&files.key).map_err(|error| unusable(&files.key, error))?;
        let key = PrivateKeyDer::from_pem_slice(&key_pem);
        let loaded = Self {
            authority: certificates(&files.ca)?,
            chain: certificates(&files.certificate)?,
            key: key.map_err(|error| unusable(&files.key, error))?,
            key_pem,
        };
        loaded.server().map_err(|error| match error {
            ServeError::Certificate { reason, .. } => unusable(&files.certificate, reason),
            other => other,
        })?;
        Ok(loaded)
    }

    /// The node that the certificate names.
    ///
    /// # Errors
    /// Where it names none.
    pub fn node(&self) -> Result<NodeName, String> {
        self.chain.first().ok_or_else(|| "no certificate".to_owned()).and_then(node_of)
    }

    /// A server that asks for certificates.
    pub(crate) fn server(&self) -> Result<Arc<ServerConfig>, ServeError> {
        let wrong = |error: &dyn std::fmt::Display| unusable(Path::new("certificate"), error);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in &self.authority {
            roots.add(certificate.clone()).map_err(|error| wrong(&error))?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| wrong(&error))?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| wrong(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| wrong(&error))?;
        Ok(Arc::new(config))
    }
}

/// The one name in a certificate that is a node's.
pub(crate) fn node_of(certificate: &CertificateDer<'_>) -> Result<NodeName, String> {
    let parsed = webpki::EndEntityCert::try_from(certificate).map_err(|error| error.to_string())?;
    let names: Vec<&str> = parsed.valid_dns_names().collect();
    match names.as_slice() {
        [name] => NodeName::try_from((*name).to_owned()),
        _ => Err(format!(
            "the certificate has {} DNS names ({}): needs exactly one, the node's",
            names.len(),
            names.join(", ")
        )),
    }
}

/// Why a node's certificate was not good, as a label and in words.
pub(crate) fn why(error: &rustls::Error) -> (&'static str, String) {
    use rustls::Error::{AlertReceived, InvalidCertificate, NoCertificatesPresented};
    match error {
        NoCertificatesPresented => ("no_certificate", "it shows no certificate".to_owned()),
        InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                ("expired", format!("its certificate has expired ({error})"))
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
                "not_valid_yet",
                format!("its certificate is not valid yet: are the clocks right? ({error})"),
            ),
            CertificateError::UnknownIssuer => {
                ("unknown_issuer", "another authority signed its certificate".to_owned())
            }
            error => ("invalid", format!("its certificate is not good: {error}")),
        },
        AlertReceived(alert) => {
            ("refused_by_node", format!("it does not take our certificate: {alert:?}"))
        }
        error => ("other", error.to_string()),
    }
}

/// What a node says where a connection failed for a certificate; what it says of
/// everything else is `text` itself.
pub(crate) fn explained(text: &str) -> String {
    const KNOWN: [(&str, &str); 10] = [
        ("alert: CertificateExpired", "our certificate has expired: make a new one"),
        ("alert: CertificateRequired", "the hub asks for a certificate: see [ship] certificate"),
        ("alert: UnknownCA", "the hub's authority did not sign our certificate"),
        ("alert: DecryptError", "the hub's authority did not sign our certificate"),
        ("alert: UnsupportedCertificate", "our certificate is not one for a node"),
        ("alert: BadCertificate", "the hub does not take our certificate"),
        ("certificate: UnknownIssuer", "[ship] ca did not sign the hub's certificate"),
        ("certificate: Expired", "the hub's certificate has expired: make a new one"),
        ("certificate expired", "the hub's certificate has expired: make a new one"),
        ("not valid for name", "the hub's certificate has another name than [ship] to"),
    ];
    match KNOWN.iter().find(|(part, _)| text.contains(part)) {
        Some((_, words)) => format!("{words} ({text})"),
        None => text.to_owned(),
    }
}
