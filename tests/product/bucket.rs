//! Shipping to an object store: moto's server, a stand-in for S3. Skipped with a word where
//! there is none.

use crate::network::network;
use crate::ship::{Node, Site, captures_of, free_port, halves, messages, until};
use crate::support::{Run, command, from, sql};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// An object store of S3's kind: moto's server, where there is one (`pip install
/// 'moto[server,s3]'`; `TAPTRAIL_MOTO` names it where it is not found by itself).
struct ObjectStore {
    child: Child,
    port: u16,
}

impl ObjectStore {
    fn start() -> Option<Self> {
        let program = std::env::var("TAPTRAIL_MOTO").unwrap_or("moto_server".to_owned());
        let port = free_port();
        let mut starting = Command::new(program);
        starting.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let Ok(child) = starting.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            println!("skipped: no moto_server here (pip install 'moto[server,s3]')");
            return None;
        };
        let store = Self { child, port };
        until("the object store", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert_eq!(store.ask("PUT", "/trail").0, 200, "a bucket");
        Some(store)
    }

    /// Status and body of a request; this server looks at no signature.
    fn ask(&self, method: &str, path: &str) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: AWS id:none\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
        (status, answer[head + 4..].to_vec())
    }

    /// Every key of the bucket.
    fn keys(&self) -> Vec<String> {
        let (_, body) = self.ask("GET", "/trail?list-type=2&max-keys=1000");
        let text = String::from_utf8(body).unwrap();
        let keys = text.split("<Key>").skip(1).map(|rest| rest.split_once("</Key>").unwrap().0);
        keys.map(String::from).collect()
    }

    /// The bucket's objects below a prefix as files, as any tool that copies would do.
    fn copy(&self, prefix: &str, to: &Path) {
        for key in self.keys() {
            let Some(path) = key.strip_prefix(prefix) else { continue };
            let (status, body) =
                self.ask("GET", &format!("/trail/{}", key.replace('=', "%3D").replace(' ', "%20")));
            assert_eq!(status, 200, "{key}");
            let path = to.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, body).unwrap();
        }
    }

    fn ship(&self, node: &Node, secret: &str) -> Run {
        let output = command()
            .args(node.arguments())
            .arg("--once")
            .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port))
            .envs([("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", secret)])
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .output()
            .unwrap();
        from(output)
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_bucket_becomes_a_store_and_takes_nothing_twice() {
    let Some(there) = ObjectStore::start() else { return };
    let (site, halves) = (Site::new(), halves());
    let to_bucket = |name: &str, more: &str| {
        let text = format!("[ship]\nto = 's3://trail/site 1'\nnode = '{name}'\n{more}\n");
        fs::write(site.path(&format!("{name}.toml")), text).unwrap();
    };
    let (a, b) = (site.node("a", &halves.0, ""), site.node("b", &halves.1, ""));
    to_bucket("a", "policy = 'all'");
    to_bucket("b", "");
    let run = there.ship(&a, "");
    assert!(run.code == 1 && run.err.contains("AWS_SECRET_ACCESS_KEY is not set"), "{}", run.err);
    for (node, imports) in [(&a, halves.0.len()), (&b, halves.1.len())] {
        let run = there.ship(node, "secret");
        assert_eq!(run.code, 0, "{}", run.err);
        assert!(run.out.starts_with(&format!("{imports} imports shipped")), "{}", run.out);
    }
    let keys = there.keys();
    // A node that has forgotten what it sent sends no byte of it again.
    fs::remove_file(a.store.join("shipped.json")).unwrap();
    let again = there.ship(&a, "secret");
    assert!(again.code == 0 && again.out.ends_with(" 0 bytes\n"), "{}{}", again.out, again.err);
    assert_eq!(there.keys(), keys);
    let copy = site.path("copy");
    there.copy("site 1/", &copy);
    assert_eq!(messages(&copy), messages(&network().store()));
    let packets = "SELECT count(*) AS n, sum(cap_len) AS bytes FROM packets";
    assert_eq!(sql(&copy, packets), sql(&a.store, packets));

    // A point is one node's.
    let c = site.node("c", &captures_of(&["P1"]), "");
    to_bucket("c", "policy = 'all'");
    let twin = there.ship(&c, "secret");
    assert!(twin.code == 1 && twin.err.contains("point P1 is one of node"), "{}", twin.err);
    let mut now = there.keys();
    now.retain(|key| key != "site 1/reports/c.json");
    assert_eq!(now, keys, "nothing of another node's point");
}
