//! Lights: one an area, with the sentence that says why. Capture comes first,
//! because what the capture lost decides whether the other numbers count.
//!
//! ```text
//! capture  bad   packets dropped while capturing: 12
//! losses   warn  missing at a point: 7; on both lines: none
//! matching ok    99.98 % of what was to be linked is
//! ```

use serde::Serialize;
use serde_json::{Map, Value};

/// A row of one of the summary's queries.
type Row = Map<String, Value>;

/// Share of linked messages from which matching is fine.
const MATCHED_OK: f64 = 0.999;

/// Share of linked messages below which matching is bad.
const MATCHED_BAD: f64 = 0.99;

/// How an area is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Light {
    Ok,
    Warn,
    Bad,
    /// Nothing tells.
    Unknown,
}

/// An area's light and why.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Health {
    pub area: &'static str,
    pub light: Light,
    pub text: String,
}

/// What the lights are told by: rows of the summary.
pub(crate) struct Facts<'a> {
    pub captures: &'a [Row],
    pub flows: &'a [Row],
    pub losses: &'a [Row],
    pub matching: &'a [Row],
    pub clocks: &'a [Row],
}

/// Every area's light.
pub(crate) fn lights(facts: &Facts) -> Vec<Health> {
    let counted = of_unit(facts.losses, "packets");
    vec![
        capture(facts.captures, &of_unit(facts.losses, "messages"), &counted),
        decoding(facts.captures, facts.flows),
        losses(&of_unit(facts.losses, "messages")),
        matching(facts.matching),
        clocks(facts.clocks),
    ]
}

/// A count of a row; null counts nothing.
pub(crate) fn count(row: &Row, column: &str) -> u64 {
    match row.get(column) {
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(Value::Number(number)) => number.as_u64().unwrap_or(0),
        _ => 0,
    }
}

/// The rows that count in this unit: messages, or packets that captures counted.
fn of_unit(losses: &[Row], unit: &str) -> Vec<Row> {
    let is_it = |row: &&Row| row.get("unit").is_none_or(|is| is == unit);
    losses.iter().filter(is_it).cloned().collect()
}

fn sum(rows: &[Row], column: &str) -> u64 {
    rows.iter().fold(0, |total, row| total.saturating_add(count(row, column)))
}

fn of_cause(losses: &[Row], cause: &str) -> u64 {
    let rows = losses.iter().filter(|row| row.get("cause").is_some_and(|is| is == cause));
    rows.fold(0, |total, row| total.saturating_add(count(row, "missing")))
}

fn health(area: &'static str, light: Light, text: String) -> Health {
    Health { area, light, text }
}

fn capture(captures: &[Row], losses: &[Row], counted: &[Row]) -> Health {
    const COUNTERS: [&str; 3] = ["lost_ring", "lost_interface", "lost_recorded"];
    let dropped = COUNTERS.iter().fold(0_u64, |total, c| total.saturating_add(sum(captures, c)));
    // The captures' own sums leave out what the node behind the ring dropped.
    let dropped = dropped.max(sum(counted, "missing"));
    let missed = of_cause(losses, "capture");
    let silent = |row: &Row| COUNTERS.iter().all(|c| row.get(*c).is_none_or(Value::is_null));
    let (light, text) = if captures.is_empty() {
        (Light::Unknown, "nothing has been captured yet".to_owned())
    } else if dropped > 0 {
        (Light::Bad, format!("packets dropped while capturing: {dropped}"))
    } else if !counted.is_empty() {
        (Light::Warn, "packets were dropped, and how many is unknown".to_owned())
    } else if missed > 0 {
        (Light::Warn, format!("messages that the capture missed (seen further on): {missed}"))
    } else if captures.iter().all(silent) {
        let text = "no drop counter in these files; nothing seen further on is missing";
        (Light::Ok, text.to_owned())
    } else {
        (Light::Ok, "no packet was dropped, nothing seen further on is missing".to_owned())
    };
    health("capture", light, text)
}

fn decoding(captures: &[Row], flows: &[Row]) -> Health {
    let (failed, errors) = (sum(captures, "not_decoded"), sum(flows, "errors"));
    let messages = sum(captures, "messages");
    let (light, text) = match (captures.is_empty(), failed.saturating_add(errors)) {
        (true, _) => (Light::Unknown, "nothing has been decoded yet".to_owned()),
        (_, 0) => (Light::Ok, format!("all of {messages} messages decoded")),
        _ => (Light::Warn, format!("{failed} not decoded, {errors} flow errors")),
    };
    health("decoding", light, text)
}

fn losses(losses: &[Row]) -> Health {
    let both = of_cause(losses, "both_lines");
    let others = sum(losses, "missing") - both.min(sum(losses, "missing"));
    let others = others.saturating_sub(of_cause(losses, "capture"));
    let (light, text) = match (both, others) {
        (0, 0) => (Light::Ok, "no message is missing on the network".to_owned()),
        (0, n) => (Light::Warn, format!("missing at a point: {n}; on both lines: none")),
        (n, 0) => (Light::Bad, format!("missing on both lines: {n}")),
        (b, n) => (Light::Bad, format!("missing on both lines: {b}; at a point: {n}")),
    };
    health("losses", light, text)
}

fn matching(rows: &[Row]) -> Health {
    let (matched, unmatched) = (sum(rows, "matched"), sum(rows, "unmatched"));
    let all = matched.saturating_add(unmatched);
    if all == 0 {
        return health("matching", Light::Unknown, "nothing has been linked yet".to_owned());
    }
    // A share for people: counts this large lose nothing that is shown.
    let share = matched as f64 / all as f64;
    let light = match share {
        s if s >= MATCHED_OK => Light::Ok,
        s if s >= MATCHED_BAD => Light::Warn,
        _ => Light::Bad,
    };
    let percent = (share * 1e4).floor() / 100.0;
    let text = format!("{percent:.2} % of what was to be linked is; {unmatched} unexplained");
    health("matching", light, text)
}

fn clocks(clocks: &[Row]) -> Health {
    let unknown =
        clocks.iter().filter(|row| row.get("bound_ns").is_none_or(Value::is_null)).count();
    let widest = clocks.iter().map(|row| count(row, "bound_ns")).max();
    let (light, text) = match (unknown, widest) {
        (_, None) => (Light::Unknown, "no two clocks have been compared".to_owned()),
        (0, Some(widest)) => (Light::Ok, format!("all clocks bounded, the widest to ±{widest} ns")),
        (n, _) => (Light::Warn, format!("{n} of {} clock pairs have no bound", clocks.len())),
    };
    health("clocks", light, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::slice::from_ref;

    fn row(value: Value) -> Row {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn drops_outweigh_misses_and_silence() {
        let quiet = row(json!({"packets": "10", "lost_ring": null}));
        let dropped = row(json!({"packets": "10", "lost_ring": "3", "lost_interface": 2}));
        let missed = row(json!({"cause": "capture", "missing": "4"}));
        let counted = |n: Value| [row(json!({"unit": "packets", "missing": n}))];
        assert_eq!(capture(&[], &[], &[]).light, Light::Unknown);
        assert_eq!(capture(from_ref(&quiet), &[], &[]).light, Light::Ok);
        assert_eq!(capture(from_ref(&quiet), from_ref(&missed), &[]).light, Light::Warn);
        let queue = capture(from_ref(&quiet), &[], &counted(json!("7")));
        assert_eq!((queue.light, queue.text.ends_with(": 7")), (Light::Bad, true));
        assert_eq!(capture(from_ref(&quiet), &[], &counted(Value::Null)).light, Light::Warn);
        let worst = capture(&[quiet, dropped], &[missed], &[]);
        assert_eq!(worst.light, Light::Bad);
        assert!(worst.text.ends_with("capturing: 5"), "{}", worst.text);
    }

    #[test]
    fn only_both_lines_are_bad_losses() {
        let cause = |cause: &str, n: u64| row(json!({"cause": cause, "missing": n}));
        assert_eq!(losses(&[]).light, Light::Ok);
        assert_eq!(losses(&[cause("capture", 9)]).light, Light::Ok);
        assert_eq!(losses(&[cause("network", 9)]).light, Light::Warn);
        let both = losses(&[cause("both_lines", 2), cause("network", 9), cause("capture", 1)]);
        assert_eq!(both.light, Light::Bad);
        assert_eq!(both.text, "missing on both lines: 2; at a point: 9");
    }

    #[test]
    fn a_share_is_never_rounded_up_to_all() {
        let rows = [row(json!({"matched": "999999", "unmatched": "1"}))];
        let matching = matching(&rows);
        assert_eq!(matching.light, Light::Ok);
        assert!(matching.text.starts_with("99.99 %"), "{}", matching.text);
    }

    #[test]
    fn a_clock_without_a_bound_is_a_warning() {
        let known = row(json!({"bound_ns": "200"}));
        assert_eq!(clocks(&[]).light, Light::Unknown);
        assert_eq!(clocks(from_ref(&known)).light, Light::Ok);
        assert_eq!(clocks(&[known, row(json!({"bound_ns": null}))]).light, Light::Warn);
    }
}
