//! The dashboard in a real browser: the main path, screenshots, no error on
//! the console, no request to anywhere else.

use crate::network::network;
use crate::support::command;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A dashboard that ends with the test.
struct Dashboard {
    child: Child,
    address: String,
}

impl Dashboard {
    fn start(store: &Path) -> Self {
        let mut child = command()
            .args(["serve", "--no-correlate", "--listen", "127.0.0.1:0", "--store"])
            .arg(store)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("dashboard: ")?.split(' ').next().map(String::from))
            .expect("the address is printed");
        Self { child, address }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_main_path_works_in_a_browser() {
    let ui = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/ui");
    let have = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !have("chromium") || !have("node") || !ui.join("node_modules/playwright-core").exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI has no browser: scripts/install-missing.sh test"
        );
        println!(
            "skipped: chromium, node or web/ui/node_modules is missing (make test installs them)"
        );
        return;
    }
    let dashboard = Dashboard::start(&network().store());
    let shots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    let run = Command::new("node")
        .arg("e2e/main-path.mjs")
        .current_dir(&ui)
        .env("BASE_URL", &dashboard.address)
        .env("SCREENSHOT_DIR", &shots)
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}");
    println!("screenshots in {}", shots.display());
}
