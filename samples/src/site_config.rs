//! The configuration of the simulated site, as its engineers would write it.
//!
//! The calibration of clocks is as good as it says: the true offset lies
//! within the stated bound. On a bad day nobody calibrated, and there are no
//! `[[clock]]` entries.

use crate::clock::{CALIBRATION_BOUND_NS, CLOCK_NAMES, STAMP_NOISE_NS};
use crate::config::Faults;
use crate::desk::bus;
use crate::desk::fix_session;
use crate::desk::reports::TRIGGER_TAG;
use crate::desk::soup_session;
use crate::net::addresses::{BUS, DROP_SERVER, FEED_A, FEED_B, FIX_SERVER, OUCH_SERVER};
use crate::points::POINTS;
use crate::rng::SimRng;
use crate::sim::Simulation;
use crate::venue::dialect::Dialect;
use std::fmt::Write;

/// Folder of the templates beside the configuration.
pub const SCHEMAS_DIR: &str = "schemas";
/// File of the bus's templates in it.
pub const BUS_TEMPLATES_FILE: &str = "bus.xml";

/// From, to, and a floor below which no packet can be.
const HOPS: [(&str, &str, Option<u32>); 7] = [
    ("P1", "P2", Some(700)),
    ("P2", "P3", Some(350)),
    ("P3", "P4", None),
    ("P4", "P5", None),
    ("P5", "P6", None),
    ("P6", "P1", Some(850)),
    ("P5", "P7", None),
];

/// The text of `taptrail.toml`.
pub fn text(sim: &mut Simulation) -> String {
    let mut out = String::from("# The simulated trading site.\n");
    let dialect = Dialect::of(&sim.config.troubles);
    let points = points(sim.config.trailers);
    for section in [points, feeds(dialect), sessions(), hops(), clocks(sim)] {
        out.push_str(&section);
    }
    let _ = writeln!(out, "[decode]\nschemas = \"{SCHEMAS_DIR}/\"");
    out
}

fn points(trailers: bool) -> String {
    let mut out = String::new();
    for point in POINTS {
        let (name, clock, gbps) = (point.name, CLOCK_NAMES[point.clock], point.link_gbps);
        let timestamp = if point.trailer || trailers { "metamako" } else { "record" };
        // One more than the noise for the rounding of a stamp.
        let noise_ns = STAMP_NOISE_NS + 1;
        let _ = write!(
            out,
            "\n[[point]]\nname = \"{name}\"\nclock = \"{clock}\"\ntimestamp = \"{timestamp}\"\n\
             frame_point = \"start\"\nlink_gbps = {gbps}\nstamp_noise_ns = {noise_ns}\n"
        );
    }
    out
}

fn feeds(dialect: Dialect) -> String {
    let mut out = String::new();
    let protocol = dialect.feed_protocol();
    for (line, group) in [("A", FEED_A), ("B", FEED_B)] {
        let (address, port) = (group.ip(), group.port());
        let _ = write!(
            out,
            "\n[[feed]]\nprotocol = \"{protocol}\"\nline = \"{line}\"\n\
             group = \"{address}\"\nport = {port}\n"
        );
    }
    let (address, port, protocol) = (BUS.ip(), BUS.port(), bus::PROTOCOL);
    let _ = write!(
        out,
        "\n[[feed]]\nprotocol = \"{protocol}\"\ngroup = \"{address}\"\nport = {port}\n\
         templates = \"{BUS_TEMPLATES_FILE}\"\npreamble = [\"u32le seq\"]\nreset = \"datagram\"\n"
    );
    out
}

fn sessions() -> String {
    let mut out = String::new();
    for (name, protocol, server, triggers) in [
        ("strategies", fix_session::PROTOCOL, FIX_SERVER, true),
        ("exchange", soup_session::PROTOCOL, OUCH_SERVER, false),
        ("drop copy", fix_session::PROTOCOL, DROP_SERVER, false),
    ] {
        let (address, port) = (server.ip(), server.port());
        let _ = write!(
            out,
            "\n[[session]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\n\
             server = \"{address}\"\nport = {port}\n"
        );
        if triggers {
            let _ = writeln!(out, "trigger_tag = {TRIGGER_TAG}");
        }
    }
    out
}

fn hops() -> String {
    let mut out = String::new();
    for (from, to, floor) in HOPS {
        let _ = write!(out, "\n[[hop]]\nfrom = \"{from}\"\nto = \"{to}\"\n");
        if let Some(floor_ns) = floor {
            let _ = writeln!(out, "floor_ns = {floor_ns}");
        }
    }
    out
}

/// What a calibration at the start of the day found: near the truth, within
/// the bound it states.
fn clocks(sim: &mut Simulation) -> String {
    let mut out = String::from("\n");
    if sim.config.faults == Faults::Heavy {
        return out;
    }
    let at = sim.config.start_ns;
    let mut rng = SimRng::new(sim.config.seed, 3);
    let clocks = sim.ctx.taps.clocks().iter().zip(CLOCK_NAMES).zip(CALIBRATION_BOUND_NS);
    for ((clock, name), bound_ns) in clocks.skip(1) {
        let offset_ns = clock.offset_ns + rng.between(-bound_ns / 2, bound_ns / 2);
        let drift_ppb = clock.drift_ppb;
        let reference = CLOCK_NAMES[0];
        let _ = write!(
            out,
            "[[clock]]\nname = \"{name}\"\nreference = \"{reference}\"\n\
             offset_ns = {offset_ns}\nbound_ns = {bound_ns}\ndrift_ppb = {drift_ppb}\nat = {at}\n\n"
        );
    }
    out
}
