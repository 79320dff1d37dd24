//! What a report tells in tables, whatever it is written as.

use std::collections::HashSet;

use serde_json::Value;
use tandem_model::{OutcomeKind, ResultDocument, Summary, Unit};

use crate::{
    chart::Table,
    lane::lane_title,
    words::{limits, metric_words},
};
use tandem_model::format::{
    format_bytes, format_comparison_interval, format_duration, format_ratio,
    format_summary_interval, format_value,
};

/// The tables of a report with their titles, without those that are empty.
pub(crate) fn sections(result: &ResultDocument) -> Vec<(&'static str, Table)> {
    let all = [
        ("Predictions", predictions(result)),
        ("Summary", summary(result)),
        ("Ratios", comparisons(result)),
        ("How it was measured", design(result)),
        ("Lanes", lanes(result)),
        ("Machine", machine(result)),
        ("Every trial", trials(result)),
    ];
    all.into_iter().filter(|(_, table)| !table.rows.is_empty()).collect()
}

/// What was expected, and what was made of it.
fn predictions(result: &ResultDocument) -> Table {
    let caption = "written down before the run; the explanation after it";
    let mut table = Table::new(caption, &["Question", "Expected", "Explained"]);
    for it in &result.predictions {
        let explained = it.explanation.clone().unwrap_or_else(|| "–".to_owned());
        table.rows.push(vec![it.question.clone(), it.expected.clone(), explained]);
    }
    table
}

/// The estimates of every metric in every lane.
fn summary(result: &ResultDocument) -> Table {
    let header = [
        "Metric",
        "Lane",
        "Median",
        "95 % interval",
        "Mean",
        "Deviation",
        "Smallest",
        "Largest",
        "Trials",
        "Outliers, kept",
    ];
    let caption = "medians with a percentile-bootstrap 95 % interval over 10 000 resamples; with \
                   fewer than three trials the interval is the range";
    let mut table = Table::new(caption, &header);
    let mut rows: Vec<&Summary> = result.summary.iter().collect();
    // Lane by lane within a metric, so that what is compared stands together;
    // the many parts of ledgers last.
    let first = |metric: &str| result.summary.iter().position(|s| s.metric == metric);
    // A thousand metrics are looked up once each.
    rows.sort_by_cached_key(|it| (it.metric.contains("_ledger."), first(&it.metric)));
    for s in rows {
        table.rows.push(vec![
            metric_words(&s.metric),
            title(result, &s.lane),
            format_value(s.median, s.unit),
            format_summary_interval(s),
            format_value(s.mean, s.unit),
            s.stddev.map_or_else(|| "–".to_owned(), |spread| format_value(spread, s.unit)),
            format_value(s.min, s.unit),
            format_value(s.max, s.unit),
            s.n.to_string(),
            s.outliers.to_string(),
        ]);
    }
    table
}

/// The ratios of lanes.
fn comparisons(result: &ResultDocument) -> Table {
    let caption = "medians divided; both lanes resampled independently for the interval; with \
                   fewer than three trials in a lane it is the range";
    let mut table = Table::new(caption, &["Metric", "Ratio of", "to", "Ratio", "95 % interval"]);
    for c in &result.comparisons {
        table.rows.push(vec![
            metric_words(&c.metric),
            title(result, &c.b),
            title(result, &c.a),
            format_ratio(c.ratio),
            format_comparison_interval(result, c),
        ]);
    }
    table
}

/// How the result was made.
fn design(result: &ResultDocument) -> Table {
    let design = &result.design;
    let subject = &result.subject;
    let mut table = Table::new("", &["", ""]);
    let mut row = |name: &str, value: String| table.rows.push(vec![name.to_owned(), value]);
    row("Image", subject.image.clone());
    row("Digest", subject.digest.to_string());
    if let Some(base) = &subject.base {
        let note = if subject.base_substituted {
            " (stands in for the one in the Dockerfile)"
        } else {
            ""
        };
        row("Base image", format!("{base}{note}"));
    }
    row("Trials a lane", format!("{} measured, {} warm-up", design.trials, design.warmup));
    row("Order", design.order.join(", "));
    row("Seed", design.seed.to_string());
    row("Page cache", format!("{:?}", design.cache).to_lowercase());
    row("Began, ended", format!("{} – {}", result.started_at, result.finished_at));
    row("Result", format!("{} ({})", result.id, result.schema));
    table
}

/// What ran in each lane, and whether it was the same.
fn lanes(result: &ResultDocument) -> Table {
    let mut table = Table::new("", &["Lane", "Id", "Engine", "Limits", "Same as the others"]);
    for lane in &result.lanes {
        let parity = if lane.parity.fair {
            "yes".to_owned()
        } else {
            format!("no: {}", lane.parity.differences.join("; "))
        };
        table.rows.push(vec![
            lane_title(&lane.id, lane.accelerator),
            lane.id.clone(),
            lane.engine.clone(),
            limits(&lane.resources),
            parity,
        ]);
    }
    table
}

/// Where it was measured.
fn machine(result: &ResultDocument) -> Table {
    let machine = &result.machine;
    let mut table = Table::new("", &["", ""]);
    for (name, value) in [
        ("Processor", format!("{} · {} cores", machine.cpu, machine.cores)),
        ("Memory", format_bytes(machine.memory_bytes)),
        ("System", format!("{} · Linux {}", machine.os, machine.kernel)),
        ("Control groups", machine.cgroup.clone()),
        ("Runs under", machine.virtualised.clone().unwrap_or_else(|| "no hypervisor seen".into())),
        ("Fingerprint", machine.fingerprint.clone()),
    ] {
        table.rows.push(vec![name.to_owned(), value]);
    }
    table
}

/// The raw trials in the order in which they ran. Parts of ledgers stand in
/// their charts' tables, so they are left out here.
fn trials(result: &ResultDocument) -> Table {
    let mut seen = HashSet::new();
    let metrics: Vec<(&str, Unit)> = result
        .trials
        .iter()
        .flat_map(|trial| trial.metrics.keys())
        .filter(|key| !key.contains("_ledger.") && seen.insert(key.as_str()))
        .map(|key| (key.as_str(), unit_of(result, key)))
        .collect();
    let mut table =
        Table::new("in the order in which they ran", &["#", "Lane", "Trial", "Outcome"]);
    table.header.extend(metrics.iter().map(|(metric, _)| metric_words(metric)));
    table.header.push("Phases".into());
    for (at, trial) in result.trials.iter().enumerate() {
        let outcome = match (trial.outcome, &trial.reason) {
            (OutcomeKind::Measured, _) => "measured".to_owned(),
            (OutcomeKind::Unavailable, reason) => with_reason("not available", reason.as_deref()),
            (OutcomeKind::Failed, reason) => with_reason("failed", reason.as_deref()),
        };
        let warmup = if trial.warmup { ", warm-up" } else { "" };
        let mut row = vec![
            (at + 1).to_string(),
            title(result, &trial.lane),
            format!("{}{warmup}", trial.index + 1),
            outcome,
        ];
        row.extend(metrics.iter().map(|(metric, unit)| {
            trial.metrics.get(*metric).map_or_else(String::new, |value| raw(value, *unit))
        }));
        let phases = trial.phases.iter().map(|phase| {
            format!(
                "{} {}",
                phase.name,
                format_duration(phase.end_ns.saturating_sub(phase.start_ns))
            )
        });
        row.push(phases.collect::<Vec<_>>().join(" · "));
        table.rows.push(row);
    }
    table
}

fn with_reason(word: &str, reason: Option<&str>) -> String {
    reason.map_or_else(|| word.to_owned(), |reason| format!("{word}: {reason}"))
}

fn title(result: &ResultDocument, lane: &str) -> String {
    let accelerator = result.lanes.iter().find(|l| l.id == lane).and_then(|l| l.accelerator);
    lane_title(lane, accelerator)
}

fn unit_of(result: &ResultDocument, metric: &str) -> Unit {
    result.summary.iter().find(|s| s.metric == metric).map_or(Unit::Count, |s| s.unit)
}

fn raw(metric: &Value, unit: Unit) -> String {
    match metric {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.as_f64().map_or_else(|| "–".to_owned(), |number| format_value(number, unit)),
    }
}
