//! Bad days of the simulated network against their truth: no calibrated
//! clocks, losses, repeats, wander; then all that can go wrong on purpose, and
//! calibrated clocks that are not as somebody wrote down.

use crate::support::taptrail_ok;
use serde_json::Value;
use std::fs;
use tempfile::TempDir;

fn score(happens: &[&str]) -> Value {
    let dir = TempDir::new().unwrap();
    let text = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (sim, store) = (text("sim"), text("trail"));
    let size = ["--seed", "5", "--orders", "600", "--rate", "5000", "--seconds", "6"];
    let args = [&["sim", "--out", &sim][..], happens, &size[..]].concat();
    taptrail_ok(&args);
    let config = format!("--config={sim}/taptrail.toml");
    let mut args = vec!["import".to_owned(), "--store".to_owned(), store.clone(), config];
    for entry in fs::read_dir(&sim).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some((point, rest)) = name.split_once('.')
            && (rest.starts_with("pcap") || rest == "erf")
        {
            args.push(format!("{point}={sim}/{name}"));
        }
    }
    taptrail_ok(&args);
    let args = ["sim", "score", "--sim", &sim, "--store", &store, "--format", "json"];
    serde_json::from_str(&taptrail_ok(&args).out).unwrap()
}

fn of<'v>(score: &'v Value, list: &str, key: &str, name: &str) -> &'v Value {
    let rows = score[list].as_array().unwrap();
    rows.iter().find(|row| row[key] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
}

#[test]
fn a_bad_day_is_told_nearly_as_it_was() {
    let score = score(&["--faults", "heavy"]);
    links_are_found(&score, 850_000);
    for (rule, precision_ppm) in [
        ("session_seq", 1_000_000),
        ("explicit_tag", 1_000_000),
        ("late_bound_order_id", 999_000),
        ("match_id", 999_000),
        ("order_id", 999_000),
        ("source_seq", 999_000),
    ] {
        let found = of(&score, "rules", "rule", rule);
        assert!(found["precision_ppm"].as_u64().unwrap() >= precision_ppm, "{found}");
    }
    causes_are_right(&score);
    bounds_hold(&score);
    let none = &score["untriggered"];
    let (linked, orders) = (none["linked"].as_u64().unwrap(), none["orders"].as_u64().unwrap());
    assert!(linked * 20 <= orders, "triggers that are none: {none}");
    let wrong = |bin: &Value| bin["links"].as_u64().unwrap() - bin["right"].as_u64().unwrap();
    let wrong: u64 = score["calibration"].as_array().unwrap().iter().map(wrong).sum();
    let said = none["expected_per_mille"].as_u64().unwrap() / 1000;
    assert!(wrong <= said + said / 3, "{wrong} likely triggers are wrong, {said} by confidence");
    for clock in score["clocks"].as_array().unwrap() {
        assert!(clock["coverage_ppm"].as_u64() >= Some(990_000), "a step that is none: {clock}");
    }
}

/// Of every kind, as many as they have to be; of triggers `triggers_ppm`.
fn links_are_found(score: &Value, triggers_ppm: u64) {
    for (kind, recall_ppm) in [
        ("same", 999_000),
        ("relay", 995_000),
        ("ack", 995_000),
        ("fill", 995_000),
        ("chain", 995_000),
        ("public", 995_000),
        ("trigger", triggers_ppm),
    ] {
        let found = of(score, "kinds", "kind", kind);
        assert!(found["truth"].as_u64().unwrap() > 50, "{found}");
        assert!(found["recall_ppm"].as_u64().unwrap() >= recall_ppm, "{found}");
    }
}

fn causes_are_right(score: &Value) {
    let losses = &score["losses"];
    let number = |of: &Value, name: &str| of[name].as_u64().unwrap();
    let (lost, right, untold) =
        (number(losses, "lost"), number(losses, "right"), number(losses, "untold"));
    assert!(lost > 200 && right * 100 >= lost * 85, "{losses}");
    // What is only likely is right as often as it says.
    let bins = losses["calibration"].as_array().unwrap();
    let likely = bins.iter().filter(|bin| number(bin, "from_per_mille") < 900);
    let (mut wrong, mut said) = (0, 0);
    for bin in likely {
        wrong += number(bin, "links") - number(bin, "right");
        said += number(bin, "links") * 1_000 - number(bin, "sum_per_mille");
    }
    assert!(wrong * 1_000 <= said * 4 / 3, "{losses}");
    // What is sure, is right.
    assert!((lost - right - untold - wrong) * 100 <= lost, "{losses}");
}

fn bounds_hold(score: &Value) {
    let hops = score["latencies"].as_array().unwrap();
    for hop in hops.iter().filter(|hop| hop["links"].as_u64() > Some(100)) {
        assert_eq!(hop["links"], hop["bounded"], "{hop}");
        assert!(hop["coverage_ppm"].as_u64().unwrap() >= 990_000, "{hop}");
    }
}

#[test]
fn captures_that_count_their_drops_tell_nearly_every_cause() {
    let score = score(&["--faults", "heavy", "--with", "drop-counts"]);
    let losses = &score["losses"];
    assert!(losses["right_ppm"].as_u64().unwrap() >= 980_000, "{losses}");
}

#[test]
fn what_a_snaplen_cut_is_set_aside() {
    let score = score(&["--faults", "none", "--with", "snaplen"]);
    assert!(score["set_aside"].as_u64().unwrap() > 100, "{}", score["set_aside"]);
    assert!(score["losses"]["set_aside"].as_u64().unwrap() > 100, "{}", score["losses"]);
    assert_eq!(score["losses"]["lost"], 0, "{}", score["losses"]);
    let found = of(&score, "rules", "rule", "session_seq");
    assert_eq!(found["precision_ppm"], 1_000_000, "{found}");
    for kind in ["same", "relay", "ack", "fill", "chain", "public"] {
        assert!(recall(&score, kind) >= 999_000, "{}", of(&score, "kinds", "kind", kind));
    }
}

fn recall(score: &Value, kind: &str) -> u64 {
    of(score, "kinds", "kind", kind)["recall_ppm"].as_u64().unwrap()
}

#[test]
fn troubles_on_top_of_a_bad_day_break_nothing() {
    let troubles = "clock-step,tai-clock,session-reset,sequence-wrap,batching,throttling,baskets";
    let score = score(&["--faults", "heavy", "--with", troubles]);
    for kind in ["same", "relay", "ack", "fill", "chain", "public"] {
        assert!(recall(&score, kind) >= 995_000, "{}", of(&score, "kinds", "kind", kind));
    }
    for rule in ["session_seq", "explicit_tag", "source_seq", "late_bound_order_id", "order_id"] {
        let found = of(&score, "rules", "rule", rule);
        assert!(found["precision_ppm"].as_u64().unwrap() >= 998_000, "{found}");
    }
    bounds_hold(&score);
}

#[test]
fn the_wire_is_right_where_the_configuration_is_not() {
    let score = score(&["--faults", "none", "--with", "clock-step,tai-clock"]);
    for kind in ["same", "relay", "ack", "fill", "chain", "public"] {
        assert!(recall(&score, kind) >= 999_000, "{}", of(&score, "kinds", "kind", kind));
    }
    bounds_hold(&score);
}

#[test]
fn an_exchange_that_publishes_pitch_is_told_as_well() {
    let score = score(&["--faults", "light", "--with", "other-venue"]);
    links_are_found(&score, 900_000);
    for rule in
        ["session_seq", "explicit_tag", "late_bound_order_id", "match_id", "order_id", "source_seq"]
    {
        let found = of(&score, "rules", "rule", rule);
        assert!(found["links"].as_u64().unwrap() > 50, "{found}");
        assert!(found["precision_ppm"].as_u64().unwrap() >= 999_000, "{found}");
    }
    bounds_hold(&score);
}
