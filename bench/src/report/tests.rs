use std::time::Duration;

use super::*;
use crate::machine::Machine;
use crate::metric::Sample;
use crate::scenario::SCENARIOS;

fn row(label: &'static str, rates: &[Option<f64>]) -> Row {
    let sample = |rate: &Option<f64>| {
        rate.map(|rate| {
            let mut sample = Sample::default();
            sample.set(Metric::ConnRate, rate);
            sample.set(Metric::Loss, 0.0);
            sample
        })
    };
    Row {
        label,
        samples: rates.iter().map(sample).collect(),
        failures: Vec::new(),
    }
}

fn results(rows: Vec<Row>) -> Results {
    let machine = Machine {
        cores: 2,
        cpu: "some".into(),
        kernel: "6.1".into(),
        memory: 1024,
        date: "2026-11-21".into(),
    };
    Results {
        machine,
        rounds: 2,
        length: Duration::from_secs(1),
        idle: 1000,
        elapsed: Duration::from_mins(1),
        versions: vec![("ours", "gost 0.1.0".into())],
        scenarios: vec![ScenarioResult {
            scenario: &SCENARIOS[0],
            rows,
        }],
    }
}

#[test]
fn ratios_pair_the_rounds_that_both_have() {
    // Rounds of 2 and 0.5; the third has no partner.
    let ours = row("ours", &[Some(200.0), Some(100.0), Some(900.0)]);
    let peer = row("reference", &[Some(100.0), Some(200.0), None]);
    let ratio = ratio(&ours, &peer, Metric::ConnRate).unwrap();
    assert!((ratio.mean - 1.0).abs() < 1e-9);
    assert!((ratio.spread.min - 0.5).abs() < 1e-9 && (ratio.spread.max - 2.0).abs() < 1e-9);
}

#[test]
fn the_table_has_medians_bounds_and_ratios_of_what_was_measured() {
    let text = text(&results(vec![
        row("ours", &[Some(1000.0), Some(3000.0)]),
        row("reference", &[Some(500.0), Some(1500.0)]),
    ]));
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    let cells = |line: &str| {
        line.split('|')
            .map(|cell| cell.trim().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(cells(lines[0])[1..4], ["tcp", "conn/s", "lost %"]);
    assert_eq!(cells(lines[2])[1..4], ["ours", "2000 (1000–3000)", "0.000"]);
    assert_eq!(
        cells(lines[4])[1..4],
        ["**ours / reference**", "**2.00**", "-"]
    );
    assert_eq!(lines.len(), 5);
    // All lines are equally wide.
    assert!(
        lines
            .iter()
            .all(|line| line.chars().count() == lines[0].chars().count()),
        "{text}"
    );
}

#[test]
fn without_ours_there_are_no_ratios_and_failures_are_told() {
    let mut failed = row("realm", &[None, None]);
    failed.failures.push("round 1: bulk: connect".into());
    let text = text(&results(vec![
        row("reference", &[Some(1.0), Some(1.0)]),
        failed,
    ]));
    assert!(!text.contains("ours /"), "{text}");
    assert!(
        text.contains("realm failed: round 1: bulk: connect"),
        "{text}"
    );
}

#[test]
fn json_keeps_every_sample() {
    let json = json(&results(vec![
        row("ours", &[Some(4.0), None]),
        row("reference", &[Some(2.0), Some(1.0)]),
    ]));
    let scenario = &json["scenarios"][0];
    assert_eq!(
        scenario["programs"][0]["samples"][0]["connections_per_s"],
        4.0
    );
    assert_eq!(scenario["programs"][0]["samples"][1], Value::Null);
    assert_eq!(
        scenario["programs"][1]["summary"]["connections_per_s"]["median"],
        1.5
    );
    assert_eq!(
        scenario["ours_over"]["reference"]["connections_per_s"]["mean"],
        2.0
    );
    assert_eq!(json["machine"]["cores"], 2);
}

#[test]
fn figures_have_three_digits() {
    for (value, text) in [
        (13_100.4, "13100"),
        (250.0, "250"),
        (19.13, "19.1"),
        (2.944, "2.94"),
        (0.0731, "0.073"),
    ] {
        assert_eq!(figure(value), text);
    }
}
