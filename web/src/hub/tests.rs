use super::certs::{CertError, Wanted, make};
use super::client::HubTarget;
use super::tls::{Files, Loaded};
use super::*;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::path::Path;
use std::time::Duration;
use taptrail_store::import::{ImportRequest, import};
use taptrail_store::ship::nodes::{Nodes, Report};
use taptrail_store::ship::offer::{Offer, Opened};
use taptrail_store::ship::{Answer, CHUNK_BYTES, Policy, Target, TargetError};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

fn name(text: &str) -> NodeName {
    NodeName::try_from(text.to_owned()).unwrap()
}

fn certs(directory: &Path, hub: &[&str], nodes: &[&str]) {
    let hub = hub.iter().map(ToString::to_string).collect();
    let nodes = nodes.iter().map(|node| name(node)).collect();
    make(directory, &Wanted { hub, nodes, days: 30 }).unwrap();
}

fn files(directory: &Path, of: &str) -> Files {
    Files {
        ca: directory.join("ca.pem"),
        certificate: directory.join(format!("{of}.pem")),
        key: directory.join(format!("{of}.key")),
    }
}

/// A hub that runs, with certificates of its own and of node `a`.
struct Running {
    directory: TempDir,
    address: SocketAddr,
    probe: Arc<dyn Probe>,
    _stop: oneshot::Sender<()>,
}

impl Running {
    async fn start(nodes: Option<Vec<NodeName>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        certs(directory.path(), &["localhost", "127.0.0.1"], &["a"]);
        Self::with(directory, nodes).await
    }

    /// With the certificates of a directory.
    async fn with(directory: TempDir, nodes: Option<Vec<NodeName>>) -> Self {
        let store = Store::open_or_create(&directory.path().join("trail")).unwrap();
        let options = HubOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            files: files(directory.path(), "hub"),
            nodes,
            limits: Limits { node_bytes: 1 << 24, keep_free: 0 },
        };
        let server = HubServer::bind(&store, &options).await.unwrap();
        let (address, probe) = (server.address(), server.probe());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        Self { directory, address, probe, _stop: stop }
    }

    /// Reports as the node whose files these are.
    async fn report(&self, files: &Files) -> Result<(), TargetError> {
        let loaded = Loaded::read(files).unwrap();
        let base = format!("https://{}", self.address);
        let sent = tokio::task::spawn_blocking(move || {
            HubTarget::new(&base, &loaded).unwrap().report(&Report::default())
        });
        sent.await.unwrap()
    }

    /// A refused peer is counted once it has had time to read why.
    async fn counts(&self, line: &str) {
        for _ in 0..100 {
            if self.probe.metrics().contains(line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{line} not in {}", self.probe.metrics());
    }

    async fn refused(&self, files: &Files) -> String {
        self.report(files).await.unwrap_err().to_string()
    }
}

#[tokio::test]
async fn only_good_certificates_pass_and_the_others_are_told_why() {
    let hub = Running::start(None).await;
    let own = files(hub.directory.path(), "a");
    hub.report(&own).await.unwrap();

    let others = tempfile::tempdir().unwrap();
    certs(others.path(), &["localhost", "127.0.0.1"], &["a"]);
    let stranger = Files { ca: own.ca.clone(), ..files(others.path(), "a") };
    let text = hub.refused(&stranger).await;
    assert!(text.contains("authority did not sign our certificate"), "{text}");
    let other_authority = Files { ca: others.path().join("ca.pem"), ..own.clone() };
    let text = hub.refused(&other_authority).await;
    assert!(text.contains("did not sign the hub's certificate"), "{text}");

    let expired = expired(hub.directory.path());
    let text = hub.refused(&expired).await;
    assert!(text.contains("our certificate has expired"), "{text}");
    // A hub's certificate is none for a node.
    let text = hub.refused(&files(hub.directory.path(), "hub")).await;
    assert!(text.contains("not one for a node"), "{text}");

    for reason in ["unknown_issuer", "expired", "went_away", "invalid"] {
        hub.counts(&format!("refused_connections_total{{reason=\"{reason}\"}} 1\n")).await;
    }
    let nodes = Nodes::of(&Store::open(&hub.directory.path().join("trail")).unwrap());
    assert_eq!(nodes.all().unwrap().into_keys().collect::<Vec<_>>(), [name("a")]);
}

/// A certificate of node `a` that was good for a day long ago.
fn expired(directory: &Path) -> Files {
    let files = files(directory, "expired");
    write_expired(directory, &files, &["a"]);
    files
}

fn write_expired(directory: &Path, files: &Files, names: &[&str]) {
    let key = KeyPair::from_pem(&std::fs::read_to_string(directory.join("ca.key")).unwrap());
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 2);
    let own = KeyPair::generate().unwrap();
    let signed = certs::sign(&params, &own, key.unwrap()).unwrap();
    std::fs::write(&files.certificate, signed.pem()).unwrap();
    std::fs::write(&files.key, own.serialize_pem()).unwrap();
}

#[tokio::test]
async fn a_hub_with_a_wrong_certificate_is_told_nothing() {
    let expired = tempfile::tempdir().unwrap();
    certs(expired.path(), &["localhost", "127.0.0.1"], &["a"]);
    let of_hub = files(expired.path(), "hub");
    write_expired(expired.path(), &of_hub, &["localhost", "127.0.0.1"]);
    let elsewhere = tempfile::tempdir().unwrap();
    certs(elsewhere.path(), &["hub.example"], &["a"]);
    // A node's certificate is none for a hub.
    let node = tempfile::tempdir().unwrap();
    certs(node.path(), &["localhost", "127.0.0.1"], &["a", "b"]);
    std::fs::copy(node.path().join("b.pem"), node.path().join("hub.pem")).unwrap();
    std::fs::copy(node.path().join("b.key"), node.path().join("hub.key")).unwrap();
    let all =
        [(expired, "certificate has expired"), (elsewhere, "another name"), (node, "127.0.0.1")];
    for (directory, why) in all {
        let hub = Running::with(directory, None).await;
        let error = hub.report(&files(hub.directory.path(), "a")).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, TargetError::Unavailable(_)) && text.contains(why), "{text}");
        let nodes = Nodes::of(&Store::open(&hub.directory.path().join("trail")).unwrap());
        assert!(nodes.all().unwrap().is_empty());
    }
}

/// An import of one packet, as `node` offers it.
fn offer(directory: &Path, node: &str) -> Offer {
    let path = directory.join("P1.pcap");
    // Little endian, microseconds, Ethernet; one packet of 60 bytes.
    let head = [0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 1 << 18, 1];
    let words = head.into_iter().chain([1_700_000_000_u32, 0, 60, 60]);
    let mut bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    bytes.extend([7; 60]);
    std::fs::write(&path, bytes).unwrap();
    let store = Store::open_or_create(&directory.join("node")).unwrap();
    let request = ImportRequest {
        point: serde_json::from_str(r#"{"name": "P1"}"#).unwrap(),
        path,
        decoders: None,
        config_hash: String::new(),
        segment: None,
    };
    let report = import(&store, &request, &mut |_| {}).unwrap();
    Opened::of(&store, &report.manifest, &name(node), Policy::All).unwrap().unwrap().offer
}

#[tokio::test]
async fn a_good_certificate_is_good_for_its_own_name_only() {
    let hub = Running::start(None).await;
    let directory = hub.directory.path().to_owned();
    let base = format!("https://{}", hub.address);
    let answers = tokio::task::spawn_blocking(move || {
        let loaded = Loaded::read(&files(&directory, "a")).unwrap();
        let mut target = HubTarget::new(&base, &loaded).unwrap();
        ["b", "a"].map(|node| target.offer(&offer(&directory, node)))
    });
    let [as_b, as_a] = answers.await.unwrap();
    let as_b = as_b.unwrap_err();
    assert!(
        matches!(&as_b, TargetError::Refused(text) if text.contains("calls itself b")),
        "{as_b}"
    );
    assert!(matches!(as_a, Ok(Answer::Missing { .. })), "{as_a:?}");
    let incoming = hub.directory.path().join("trail/incoming/b");
    assert!(!incoming.exists());
}

#[tokio::test]
async fn without_a_certificate_nothing_is_answered() {
    let hub = Running::start(None).await;
    let mut stream = tokio::net::TcpStream::connect(hub.address).await.unwrap();
    stream.write_all(b"PUT /ship/v1/report HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");

    let authority = Loaded::read(&files(hub.directory.path(), "a")).unwrap().authority;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority[0].clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(hub.address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let error = stream.read(&mut [0; 1]).await.unwrap_err().to_string();
    assert!(error.contains("CertificateRequired"), "{error}");
    hub.counts("reason=\"no_certificate\"} 1\n").await;
}

#[tokio::test]
async fn a_node_that_is_not_listed_is_denied() {
    let hub = Running::start(Some(vec![name("b")])).await;
    let error = hub.report(&files(hub.directory.path(), "a")).await.unwrap_err();
    assert!(matches!(&error, TargetError::Denied(text) if text.contains("node a")), "{error}");
    assert!(hub.probe.metrics().contains("taptrail_hub_denied_requests_total 1"));
}

#[tokio::test]
async fn sizes_and_places_have_limits() {
    let hub = Running::start(None).await;
    let loaded = Loaded::read(&files(hub.directory.path(), "a")).unwrap();
    let base = format!("https://{}", hub.address);
    let tried = tokio::task::spawn_blocking(move || {
        let mut target = HubTarget::new(&base, &loaded).unwrap();
        let hash = "0".repeat(64);
        let large = vec![0; CHUNK_BYTES + 1];
        assert_eq!(target.put(&hash, 10, 0, b"abc").unwrap(), 3);
        [
            target.put(&hash, 1 << 23, 0, &large),
            target.put("..%2f..%2fx", 1, 0, b"x"),
            target.put("..", 1, 0, b"x"),
            target.put(&hash, 10, 3, b"0123456"),
            target.put(&hash, 1 << 40, 0, b"x"),
        ]
    });
    for result in tried.await.unwrap() {
        assert!(matches!(result, Err(TargetError::Refused(_))), "{result:?}");
    }
}

#[test]
fn certificates_are_made_once_and_added_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    certs(path, &["hub.example"], &["a"]);
    let authority = std::fs::read(path.join("ca.pem")).unwrap();
    certs(path, &[], &["b"]);
    assert_eq!(std::fs::read(path.join("ca.pem")).unwrap(), authority);
    for node in ["a", "b"] {
        assert_eq!(Loaded::read(&files(path, node)).unwrap().node(), Ok(name(node)));
    }
    let wanted = Wanted { hub: Vec::new(), nodes: vec![name("a")], days: 1 };
    assert!(matches!(make(path, &wanted), Err(CertError::Exists { .. })));
    let mixed = Files { key: path.join("b.key"), ..files(path, "a") };
    let error = Loaded::read(&mixed).unwrap_err().to_string();
    assert!(error.contains("a.pem"), "{error}");
    std::fs::write(path.join("empty.pem"), "").unwrap();
    let empty = Files { certificate: path.join("empty.pem"), ..files(path, "a") };
    assert!(Loaded::read(&empty).unwrap_err().to_string().contains("no certificate in it"));
}
