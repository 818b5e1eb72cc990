//! Wires of the demo's own: a network namespace with a pair of virtual interfaces for
//! each point, one end to send on, one to capture at.
//!
//! ```text
//! namespace taptrail-demo-<pid>      w0 ═══ P1   w1 ═══ P2   ..   w6 ═══ P7
//! ```
//!
//! The namespace goes with this value; one whose process was killed goes at the next
//! start of a demo.

use super::{PREFIX, is_of_the_dead};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use taptrail_samples::points::POINTS;

/// Room for the longest frame of the site with its trailer.
const MTU: &str = "4000";

/// A namespace with wires.
pub(super) struct Wires {
    namespace: String,
}

/// The interface on which a point's packets are sent.
pub(super) fn sending(point: usize) -> String {
    format!("w{point}")
}

impl Wires {
    /// Makes them; else why not.
    pub fn new() -> Result<Self, String> {
        remove_leftovers();
        let wires = Self { namespace: format!("{PREFIX}{}", std::process::id()) };
        ip(&["netns", "add", &wires.namespace])?;
        for (number, point) in POINTS.iter().enumerate() {
            wires.pair(&sending(number), point.name)?;
        }
        Ok(wires)
    }

    /// Its name.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A command that runs inside.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]).arg(program);
        command
    }

    /// A pair that carries nothing but what is sent on it.
    fn pair(&self, from: &str, to: &str) -> Result<(), String> {
        let inside = ["-n", self.namespace.as_str()];
        let ip = |arguments: &[&str]| ip(&[&inside[..], arguments].concat());
        ip(&["link", "add", from, "mtu", MTU, "type", "veth", "peer", "name", to, "mtu", MTU])?;
        for end in [from, to] {
            // Interfaces that announce themselves would be seen.
            ip(&["link", "set", end, "addrgenmode", "none"])?;
            ip(&["link", "set", end, "arp", "off", "multicast", "off", "up"])?;
        }
        Ok(())
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.namespace]);
    }
}

/// Removes namespaces of demos that do not run any more.
fn remove_leftovers() {
    let Ok(listed) = Command::new("ip").args(["netns", "list"]).output() else { return };
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| is_of_the_dead(name)) {
        let _ = ip(&["netns", "del", name]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    // In a group of its own: Ctrl-C is for the demo, which then takes away what it made.
    let run = Command::new("ip").args(arguments).process_group(0).stdin(Stdio::null()).output();
    let output = run.map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().next().unwrap_or("ip failed").trim().to_owned())
}
