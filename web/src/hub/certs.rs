//! Certificates for a hub and its nodes, from an authority of one's own.
//!
//! ```text
//! ca.key ─▶ ca.pem, to every machine    hub.key, hub.pem    a.key, a.pem of node a
//! ```
//!
//! Keys are ECDSA on P-256 and never leave the directory by themselves. What is
//! there is never overwritten; an authority that is there is used again.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use taptrail_store::ship::NodeName;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long an authority is good.
const AUTHORITY_DAYS: u32 = 3650;

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file is there already.
    #[error("{} is there already: remove it to have a new one", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The key of the authority, or a name, cannot be used.
    #[error("{what}: {error}")]
    Unusable {
        /// Which.
        what: String,
        /// Why.
        error: rcgen::Error,
    },
}

/// What to make.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Names and addresses by which nodes reach the hub; none: no certificate for
    /// a hub.
    pub hub: Vec<String>,
    /// Nodes.
    pub nodes: Vec<NodeName>,
    /// How long the certificates are good.
    pub days: u32,
}

/// Makes what is wanted in `directory`, and the authority where there is none; gives
/// the files it wrote.
///
/// # Errors
/// Where a file is there already or cannot be written.
pub fn make(directory: &Path, wanted: &Wanted) -> Result<Vec<PathBuf>, CertError> {
    fs::create_dir_all(directory).map_err(io(directory))?;
    let mut written = Vec::new();
    let key = authority_key(directory, &mut written)?;
    let params = authority(&key)?;
    if !directory.join("ca.pem").exists() {
        let certificate = params.self_signed(&key).map_err(unusable("ca.pem"))?;
        write(&directory.join("ca.pem"), &certificate.pem(), 0o644, &mut written)?;
    }
    let issuer = Issuer::from_params(&params, key);
    if !wanted.hub.is_empty() {
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        leaf(directory, "hub", &wanted.hub, usage, wanted.days, &issuer, &mut written)?;
    }
    for node in &wanted.nodes {
        let names = [node.to_string()];
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        leaf(directory, node.as_str(), &names, usage, wanted.days, &issuer, &mut written)?;
    }
    Ok(written)
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> CertError + '_ {
    move |error| match error.kind() {
        ErrorKind::AlreadyExists => CertError::Exists { path: path.to_owned() },
        _ => CertError::Io { path: path.to_owned(), error },
    }
}

fn unusable(what: &str) -> impl FnOnce(rcgen::Error) -> CertError + '_ {
    move |error| CertError::Unusable { what: what.to_owned(), error }
}

fn authority_key(directory: &Path, written: &mut Vec<PathBuf>) -> Result<KeyPair, CertError> {
    let path = directory.join("ca.key");
    match fs::read_to_string(&path) {
        Ok(pem) => KeyPair::from_pem(&pem).map_err(unusable("ca.key")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = KeyPair::generate().map_err(unusable("ca.key"))?;
            write(&path, &key.serialize_pem(), 0o600, written)?;
            Ok(key)
        }
        Err(error) => Err(CertError::Io { path, error }),
    }
}

/// What an authority says of itself: the same for the same key, so that its
/// certificate need not be read to sign others.
fn authority(key: &KeyPair) -> Result<CertificateParams, CertError> {
    let mut params = CertificateParams::new(Vec::new()).map_err(unusable("ca.pem"))?;
    let id: String =
        params.key_identifier(key).iter().take(4).map(|b| format!("{b:02x}")).collect();
    params.distinguished_name.push(DnType::CommonName, format!("taptrail authority {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    good_for(&mut params, AUTHORITY_DAYS);
    Ok(params)
}

/// From yesterday, since clocks differ, for so many days.
fn good_for(params: &mut CertificateParams, days: u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let today = date_time_ymd(1970, 1, 1) + now;
    params.not_before = today - DAY;
    params.not_after = today + DAY * days;
}

fn leaf(
    directory: &Path,
    file: &str,
    names: &[String],
    usage: ExtendedKeyUsagePurpose,
    days: u32,
    issuer: &Issuer<'_, KeyPair>,
    written: &mut Vec<PathBuf>,
) -> Result<(), CertError> {
    let mut params = CertificateParams::new(names).map_err(unusable(file))?;
    let name = names.first().map_or(file, String::as_str);
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    good_for(&mut params, days);
    let key = KeyPair::generate().map_err(unusable(file))?;
    let certificate = params.signed_by(&key, issuer).map_err(unusable(file))?;
    write(&directory.join(format!("{file}.key")), &key.serialize_pem(), 0o600, written)?;
    write(&directory.join(format!("{file}.pem")), &certificate.pem(), 0o644, written)
}

/// A certificate that the authority of `key` signs.
#[cfg(test)]
pub(crate) fn sign(
    params: &CertificateParams,
    own: &KeyPair,
    key: KeyPair,
) -> Result<rcgen::Certificate, rcgen::Error> {
    let authority = authority(&key).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    params.signed_by(own, &Issuer::from_params(&authority, key))
}

fn write(path: &Path, text: &str, mode: u32, written: &mut Vec<PathBuf>) -> Result<(), CertError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.map_err(io(path))?;
    file.write_all(text.as_bytes()).map_err(io(path))?;
    written.push(path.to_owned());
    Ok(())
}
