//! `taptrail correlate --follow`: captures come in pieces, while the tables go
//! on; what was told in the end is what one run over all of it tells.

use crate::network::network;
use crate::support::{command, sql, sql_n, taptrail_ok};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Pieces of each capture; links are certain a window later, which is as long
/// as three of them.
const PIECES: i64 = 6;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

const LINKS: &str = "SELECT count(*) AS n FROM links";

/// The simulated network's packets in pieces of time, and its configuration
/// with short segments, so that a silent point holds nobody up for long.
struct Pieces {
    dir: TempDir,
    points: Vec<String>,
}

impl Pieces {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn piece(&self, point: &str, piece: i64) -> PathBuf {
        self.path(&format!("{point}-{piece}.pcapng"))
    }

    fn new() -> Self {
        let network = network();
        let captures = network.captures();
        let points = captures.iter().filter_map(|c| Some(c.split_once('=')?.0.to_owned()));
        let pieces = Self { dir: TempDir::new().unwrap(), points: points.collect() };
        let config = fs::read_to_string(network.sim().join("taptrail.toml")).unwrap();
        let config = format!("{config}\n[capture]\nsegment_s = 1\n");
        fs::write(pieces.path("site.toml"), config).unwrap();
        fs::create_dir(pieces.path("schemas")).unwrap();
        for schema in fs::read_dir(network.sim().join("schemas")).unwrap() {
            let schema = schema.unwrap();
            fs::copy(schema.path(), pieces.path("schemas").join(schema.file_name())).unwrap();
        }
        (0..PIECES).for_each(|piece| pieces.cut(&network.store(), piece));
        pieces
    }

    fn cut(&self, all: &Path, piece: i64) {
        let end =
            |of: &str| sql_n(all, &format!("SELECT {of}(cast(ts AS bigint)) AS n FROM packets"));
        let (lo, hi) = (end("min"), end("max") + 1);
        let at = |piece: i64| lo + (hi - lo) * piece / PIECES;
        for point in &self.points {
            let (from, to) = (at(piece), at(piece + 1));
            let which = format!(
                "point = '{point}' AND cast(ts AS bigint) >= {from} AND cast(ts AS bigint) < {to}"
            );
            let (store, file) = (text(all), text(&self.piece(point, piece)));
            taptrail_ok(&["export", "--store", &store, "--where", &which, "-o", &file]);
        }
    }
}

/// A store that the pieces come into.
struct Site {
    dir: TempDir,
    pieces: &'static Pieces,
}

impl Site {
    fn new() -> Self {
        static PIECES: OnceLock<Pieces> = OnceLock::new();
        Self { dir: TempDir::new().unwrap(), pieces: PIECES.get_or_init(Pieces::new) }
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("trail")
    }

    fn config(&self) -> String {
        text(&self.pieces.path("site.toml"))
    }

    fn import(&self, piece: i64) {
        let (store, config) = (text(&self.store()), self.config());
        let mut args = vec!["import".into(), "--no-correlate".into()];
        args.extend(["--store".into(), store, "--config".into(), config]);
        let file = |point: &String| format!("{point}={}", text(&self.pieces.piece(point, piece)));
        args.extend(self.pieces.points.iter().map(file));
        taptrail_ok(&args);
    }

    fn correlate(&self) {
        let (store, config) = (text(&self.store()), self.config());
        taptrail_ok(&["correlate", "--store", &store, "--config", &config]);
    }

    fn follow(&self) -> Followed {
        let (store, config) = (text(&self.store()), self.config());
        let child = command()
            .args(["correlate", "--follow", "--store", &store, "--config", &config])
            .stderr(Stdio::piped())
            .spawn();
        Followed(child.unwrap())
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

struct Followed(Child);

impl Followed {
    fn terminate(mut self) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until there are more links than before; how many.
fn more_links(store: &Path, before: i64) -> i64 {
    let start = Instant::now();
    loop {
        let links = sql_n(store, LINKS);
        if links > before {
            return links;
        }
        assert!(start.elapsed() < PATIENCE, "no more than {before} links");
        sleep(Duration::from_millis(100));
    }
}

/// What is told of links whose rule does not weigh candidates against each
/// other: that is learned, and so is more where more is known.
fn certain(store: &Path) -> BTreeSet<String> {
    let rows = sql(store, "SELECT link_id, kind, rule FROM links WHERE confidence = 1");
    let told: BTreeSet<String> = rows.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), rows.len(), "nothing twice");
    told
}

fn orders(store: &Path) -> Vec<String> {
    let rows =
        sql(store, "SELECT cl_ord_id, session, state, observations FROM orders ORDER BY 1, 2, 4");
    rows.iter().map(ToString::to_string).collect()
}

#[test]
fn what_comes_in_pieces_is_told_once_and_as_a_whole() {
    let site = Site::new();
    let store = site.store();
    (0..4).for_each(|piece| site.import(piece));
    let followed = site.follow();
    let first = more_links(&store, 0);
    site.import(4);
    let second = more_links(&store, first);
    // Killed at any moment, what was told stays, and is told once.
    drop(followed);
    assert!(sql_n(&store, LINKS) >= second);
    let followed = site.follow();
    site.import(5);
    more_links(&store, second);
    followed.terminate();
    let told = (certain(&store), orders(&store));
    site.correlate();
    let whole = (certain(&store), orders(&store));
    let other = told.0.symmetric_difference(&whole.0).count();
    assert!(other * 1000 <= whole.0.len(), "{other} of {} links are others", whole.0.len());
    assert_eq!(told.1, whole.1);
}

#[test]
fn the_dashboard_goes_on_while_captures_come() {
    let site = Site::new();
    let store = site.store();
    (0..4).for_each(|piece| site.import(piece));
    let (path, config) = (text(&store), site.config());
    let child = command()
        .args(["serve", "--store", &path, "--config", &config, "--listen", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .spawn();
    let served = Followed(child.unwrap());
    let first = more_links(&store, 0);
    site.import(4);
    more_links(&store, first);
    served.terminate();
}
