//! The table and the JSON file.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::measure::{Results, Row, ScenarioResult};
use crate::metric::{Metric, Spread, geometric_mean};
use crate::scenario::OURS;

/// Cores taken by other work from which on figures deserve a warning.
const DISTURBED: f64 = 0.15;

/// The whole report as Markdown.
pub(crate) fn text(results: &Results) -> String {
    let mut out = String::new();
    let machine = &results.machine;
    let line = format!(
        "{}: {} cores ({}), {} MiB, Linux {}; {} rounds, {:.1} s per load, {} idle connections; \
         took {:.0} s.",
        machine.date,
        machine.cores,
        machine.cpu,
        machine.memory,
        machine.kernel,
        results.rounds,
        results.length.as_secs_f64(),
        results.idle,
        results.elapsed.as_secs_f64(),
    );
    push(&mut out, &line);
    for (name, version) in &results.versions {
        push(&mut out, &format!("- {name}: {version}"));
    }
    if let Some(disturbance) = disturbance(results)
        && disturbance.max >= DISTURBED
    {
        let (median, max) = (disturbance.median, disturbance.max);
        push(&mut out, "");
        push(
            &mut out,
            &format!(
                "Other work took {median:.2} cores of the machine meanwhile, at worst {max:.2}."
            ),
        );
    }
    for result in &results.scenarios {
        scenario(&mut out, result);
    }
    out
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

fn disturbance(results: &Results) -> Option<Spread> {
    let rows = results.scenarios.iter().flat_map(|scenario| &scenario.rows);
    let samples = rows.flat_map(|row| row.samples.iter().flatten());
    Spread::of(samples.map(|sample| sample.disturbance))
}

fn scenario(out: &mut String, result: &ScenarioResult) {
    let shown = |metric: &Metric| result.rows.iter().any(|row| spread(row, *metric).is_some());
    let metrics: Vec<Metric> = Metric::ALL.into_iter().filter(shown).collect();

    let mut heads = vec![result.scenario.name.to_owned()];
    heads.extend(metrics.iter().map(|metric| metric.head().to_owned()));
    let mut lines = Vec::new();
    for row in &result.rows {
        let mut cells = vec![row.label.to_owned()];
        cells.extend(
            metrics
                .iter()
                .map(|metric| spread(row, *metric).map_or("-".into(), figures)),
        );
        lines.push(cells);
    }
    for (peer, ratio) in ratios(result) {
        let mut cells = vec![format!("**ours / {peer}**")];
        cells.extend(metrics.iter().map(|metric| {
            ratio(*metric).map_or("-".into(), |ratio| format!("**{:.2}**", ratio.mean))
        }));
        lines.push(cells);
    }
    push(out, &format!("\n### {}\n", result.scenario.title));
    table(out, &heads, &lines);
    for row in &result.rows {
        for failure in &row.failures {
            push(out, &format!("\n{} failed: {failure}", row.label));
        }
    }
}

/// Columns padded to their widest cell, so that it reads well unrendered too.
fn table(out: &mut String, heads: &[String], lines: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = lines
            .iter()
            .map(|cells| &cells[column])
            .chain([&heads[column]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut line = |cells: &[String]| {
        for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            // Writing to a string cannot fail.
            let _ = if at == 0 {
                write!(out, "| {cell:width$} ")
            } else {
                write!(out, "| {cell:>width$} ")
            };
        }
        out.push_str("|\n");
    };
    line(heads);
    let rule = |(at, width): (usize, &usize)| {
        if at == 0 {
            "-".repeat(*width)
        } else {
            format!("{}:", "-".repeat(width - 1))
        }
    };
    line(&widths.iter().enumerate().map(rule).collect::<Vec<_>>());
    for cells in lines {
        line(cells);
    }
}

/// `19.1 (18.2–20.0)`, or the figure alone if there is only one.
fn figures(spread: Spread) -> String {
    let Spread { median, min, max } = spread;
    if min.total_cmp(&max).is_eq() {
        return figure(median);
    }
    format!("{} ({}–{})", figure(median), figure(min), figure(max))
}

/// Three digits that count, and no more.
fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.995 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

fn spread(row: &Row, metric: Metric) -> Option<Spread> {
    Spread::of(
        row.samples
            .iter()
            .flatten()
            .filter_map(|sample| sample.get(metric)),
    )
}

/// Ours over a peer's, of the rounds in which both have a figure.
struct Ratio {
    /// Geometric mean over the rounds.
    mean: f64,
    spread: Spread,
}

/// For every peer its label and the ratio in a column.
fn ratios(
    result: &ScenarioResult,
) -> impl Iterator<Item = (&'static str, impl Fn(Metric) -> Option<Ratio>)> {
    let ours = result.rows.iter().find(|row| row.label == OURS);
    let peers = result.rows.iter().filter(|row| row.label != OURS);
    peers.filter_map(move |peer| {
        let ours = ours?;
        Some((peer.label, move |metric| ratio(ours, peer, metric)))
    })
}

fn ratio(ours: &Row, peer: &Row, metric: Metric) -> Option<Ratio> {
    let rounds = ours.samples.iter().zip(&peer.samples);
    let pairs = rounds.filter_map(|(ours, peer)| {
        let (ours, peer) = (ours.as_ref()?.get(metric)?, peer.as_ref()?.get(metric)?);
        // Nothing lost, or no growth at all, cannot be divided.
        (ours > 0.0 && peer > 0.0).then(|| ours / peer)
    });
    let pairs: Vec<f64> = pairs.collect();
    let mean = geometric_mean(pairs.iter().copied())?;
    Some(Ratio {
        mean,
        spread: Spread::of(pairs)?,
    })
}

/// Writes everything to `path`, every sample included.
pub(crate) fn write_json(results: &Results, path: &Path) -> Result<()> {
    let text = serde_json::to_string_pretty(&json(results)).context("format the results")?;
    std::fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
}

fn json(results: &Results) -> Value {
    let machine = &results.machine;
    let versions: Map<String, Value> = results
        .versions
        .iter()
        .map(|(name, version)| ((*name).into(), json!(version)))
        .collect();
    json!({
        "date": machine.date,
        "machine": {
            "cores": machine.cores,
            "cpu": machine.cpu,
            "memory_mib": machine.memory,
            "kernel": machine.kernel,
        },
        "rounds": results.rounds,
        "seconds_per_load": results.length.as_secs_f64(),
        "idle_connections": results.idle,
        "elapsed_s": results.elapsed.as_secs_f64(),
        "disturbance_cores": disturbance(results).map(spread_json),
        "versions": versions,
        "scenarios": results.scenarios.iter().map(scenario_json).collect::<Vec<_>>(),
    })
}

fn scenario_json(result: &ScenarioResult) -> Value {
    let ratios: Map<String, Value> = ratios(result)
        .map(|(peer, ratio)| {
            let columns = columns(|metric| {
                let Ratio { mean, spread } = ratio(metric)?;
                Some(json!({ "mean": mean, "min": spread.min, "max": spread.max }))
            });
            (peer.to_owned(), columns)
        })
        .collect();
    json!({
        "name": result.scenario.name,
        "title": result.scenario.title,
        "programs": result.rows.iter().map(row_json).collect::<Vec<_>>(),
        "ours_over": ratios,
    })
}

fn row_json(row: &Row) -> Value {
    let sample = |sample: &Option<crate::metric::Sample>| {
        let sample = sample.as_ref()?;
        let mut values = columns(|metric| sample.get(metric).map(Value::from));
        values["disturbance_cores"] = sample.disturbance.into();
        Some(values)
    };
    json!({
        "label": row.label,
        "summary": columns(|metric| spread(row, metric).map(spread_json)),
        "samples": row.samples.iter().map(sample).collect::<Vec<_>>(),
        "failures": row.failures,
    })
}

fn spread_json(spread: Spread) -> Value {
    json!({ "median": spread.median, "min": spread.min, "max": spread.max })
}

/// An object with a member for every column that has something to show.
fn columns(value: impl Fn(Metric) -> Option<Value>) -> Value {
    let members = Metric::ALL
        .into_iter()
        .filter_map(|metric| Some((metric.key().to_owned(), value(metric)?)));
    Value::Object(members.collect())
}

#[cfg(test)]
mod tests;
