//! The dashboard in a real browser: the main path, screenshots, no error on
//! the console, no request to anywhere else.

use crate::network::network;
use crate::support::{Dashboard, command};
use std::path::Path;
use std::process::Command;

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
    let mut serving = command();
    serving.args(["serve", "--no-correlate", "--listen", "127.0.0.1:0", "--store"]);
    let dashboard = Dashboard::start(serving.arg(network().store()));
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
