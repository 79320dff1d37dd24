use std::collections::{HashMap, HashSet};

use serde_json::Value;
use tandem_model::{Ledger, OutcomeKind, ResultDocument, TrialPhase, TrialRecord, Unit};

use crate::{
    chart::{NamedChart, Size},
    distribution::{LaneTrials, MarkOf, distribution_chart},
    ledger::{LaneLedger, ledger_chart},
    lines::{LaneSeries, cpu_chart, memory_chart},
    pictures::of_experiment,
    race::{RaceData, RaceLane, RaceState, race_chart},
    theme::Theme,
};

/// The metric of the race.
const FIRST_RESPONSE: &str = "first_response";

/// All charts that a result gives, in the order of a report: `race`,
/// `distribution`, `cpu`, `memory`, `memory-ledger`, `disk-ledger`, and those
/// of its experiment, e.g. `matrix` or `timeline`. Those without data are left
/// out.
pub fn from_result(result: &ResultDocument, size: Size, theme: Theme) -> Vec<NamedChart> {
    let mut charts = Vec::new();
    let mut add = |name: &str, chart| charts.push(NamedChart { name: name.to_owned(), chart });
    if has_race(result) {
        add("race", race_chart(&race_of(result), size, theme));
    }
    let trials = distribution_of(result, FIRST_RESPONSE);
    if !trials.is_empty() {
        let title = "Every trial, from the request to the first answer";
        add(
            "distribution",
            distribution_chart(title, Unit::Ns, &trials, MarkOf::Trial, size, theme),
        );
    }
    let cpu = series_of(result, "cpu");
    if !cpu.is_empty() {
        add("cpu", cpu_chart(&cpu, size, theme));
    }
    let memory = series_of(result, "memory");
    // Over the number of instances it is another picture, see below.
    if !memory.is_empty() && result.experiment != "density" {
        add("memory", memory_chart(&memory, size, theme));
    }
    for (kind, title) in [("memory", "Where the memory went"), ("disk", "Where the disk went")] {
        let ledgers = ledgers_of(result, kind);
        if !ledgers.is_empty() {
            add(&format!("{kind}-ledger"), ledger_chart(title, &ledgers, size, theme));
        }
    }
    for (name, chart) in of_experiment(result, size, theme) {
        add(name, chart);
    }
    charts
}

/// The race of a finished result: the median of each lane with its interval.
/// The slices end at the medians of their ends over the trials, so that they
/// add up to the median of the whole.
pub fn race_of(result: &ResultDocument) -> RaceData {
    let lanes = result.lanes.iter().map(|lane| {
        let trials = measured(result, &lane.id);
        let summary = result
            .summary
            .iter()
            .find(|summary| summary.lane == lane.id && summary.metric == FIRST_RESPONSE);
        let state = match summary {
            Some(summary) => RaceState::Finished {
                phases: typical_phases(&trials),
                median_ns: summary.median,
                ci95: (summary.n > 1).then_some(summary.ci95),
                n: summary.n,
            },
            None => unmeasured(result, &lane.id),
        };
        RaceLane { id: lane.id.clone(), accelerator: lane.accelerator, state }
    });
    let lanes: Vec<RaceLane> = lanes.collect();
    let counts = lanes.iter().filter_map(|lane| match lane.state {
        RaceState::Finished { n, .. } => Some(n),
        _ => None,
    });
    let (least, most) = counts.fold((u32::MAX, 0), |(l, m), n| (l.min(n), m.max(n)));
    let note = match (least, most) {
        (_, 0) => String::new(),
        (1, 1) => "one trial a lane, so no interval".to_owned(),
        (least, most) if least == most => {
            format!("median of {most} · whiskers: {}", interval_words(most))
        }
        (least, most) => {
            format!("medians of {least} to {most} · whiskers: {}", interval_words(least))
        }
    };
    RaceData {
        title: "From the request to the first answer".into(),
        note,
        lanes,
        expected_ns: None,
    }
}

/// What came of a lane without a summary.
fn unmeasured(result: &ResultDocument, lane: &str) -> RaceState {
    let of_lane = || result.trials.iter().filter(|trial| trial.lane == lane);
    let reason =
        |trial: &TrialRecord| trial.reason.clone().unwrap_or_else(|| "no reason recorded".into());
    let with = |outcome| of_lane().find(|trial| trial.outcome == outcome);
    if let Some(trial) = with(OutcomeKind::Failed) {
        RaceState::Failed { reason: reason(trial) }
    } else if let Some(trial) = with(OutcomeKind::Unavailable) {
        RaceState::Unavailable { reason: reason(trial) }
    } else {
        RaceState::Unavailable { reason: "no trial was recorded".into() }
    }
}

/// The median begin and end of each phase. Where every trial's phases are
/// contiguous the medians are too, and their lengths add up to the median of
/// the last end. A phase must occur in half of the trials.
pub fn typical_phases(trials: &[&TrialRecord]) -> Vec<TrialPhase> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut named: Vec<(&str, Vec<&TrialPhase>)> = Vec::new();
    for trial in trials {
        let mut seen = HashSet::new();
        for phase in trial.phases.iter().filter(|phase| seen.insert(phase.name.as_str())) {
            let place = *places.entry(&phase.name).or_insert(named.len());
            if place == named.len() {
                named.push((&phase.name, Vec::new()));
            }
            named[place].1.push(phase);
        }
    }
    named.retain(|(_, found)| found.len() * 2 >= trials.len());
    let typical = named.into_iter().filter_map(|(name, found)| {
        let median = |end: fn(&TrialPhase) -> u64| {
            let values: Vec<f64> = found.iter().map(|phase| end(phase) as f64).collect();
            tandem_stats::median(&values).ok().map(whole)
        };
        let (start_ns, end_ns) = (median(|p| p.start_ns)?, median(|p| p.end_ns)?);
        Some(TrialPhase { name: name.to_owned(), start_ns, end_ns: end_ns.max(start_ns) })
    });
    let mut phases: Vec<TrialPhase> = typical.collect();
    phases.sort_by_key(|phase| (phase.start_ns, phase.end_ns));
    phases
}

/// The trials of a metric, lane by lane.
pub fn distribution_of(result: &ResultDocument, metric: &str) -> Vec<LaneTrials> {
    let lanes = result.lanes.iter().filter_map(|lane| {
        let values: Vec<f64> = measured(result, &lane.id)
            .iter()
            .filter_map(|trial| trial.metrics.get(metric).and_then(Value::as_f64))
            .collect();
        let summary = result.summary.iter().find(|s| s.lane == lane.id && s.metric == metric)?;
        (!values.is_empty()).then(|| LaneTrials {
            lane: lane.id.clone(),
            name: None,
            accelerator: lane.accelerator,
            values,
            median: summary.median,
            ci95: summary.ci95,
        })
    });
    lanes.collect()
}

/// A named series of each lane, taken from the trial whose first response is
/// nearest the median: one real run, not a mean of runs.
pub fn series_of(result: &ResultDocument, name: &str) -> Vec<LaneSeries> {
    let lanes = result.lanes.iter().filter_map(|lane| {
        let trials = measured(result, &lane.id);
        let first = |trial: &TrialRecord| trial.metrics.get(FIRST_RESPONSE).and_then(Value::as_f64);
        let values: Vec<f64> = trials.iter().filter_map(|trial| first(trial)).collect();
        let median = tandem_stats::median(&values).unwrap_or(0.0);
        let distance =
            |trial: &TrialRecord| first(trial).map_or(f64::INFINITY, |v| (v - median).abs());
        let trial = trials
            .into_iter()
            .filter(|trial| trial.series.get(name).is_some_and(|points| !points.is_empty()))
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        Some(LaneSeries {
            lane: lane.id.clone(),
            accelerator: lane.accelerator,
            points: trial.series.get(name)?.clone(),
            first_response_ns: first(trial),
        })
    });
    lanes.collect()
}

/// The ledgers of a kind, `memory` or `disk`: from the metrics
/// `<kind>_ledger.<part>` of each lane's last measured trial. The largest part
/// comes first and what is unexplained last.
pub fn ledgers_of(result: &ResultDocument, kind: &str) -> Vec<LaneLedger> {
    let prefix = format!("{kind}_ledger.");
    let lanes = result.lanes.iter().filter_map(|lane| {
        let trials = measured(result, &lane.id);
        let parts =
            |trial: &&&TrialRecord| trial.metrics.keys().any(|key| key.starts_with(&prefix));
        let trial = trials.iter().rev().find(parts)?;
        let mut ledger = Ledger::default();
        for (key, value) in &trial.metrics {
            if let (Some(part), Some(bytes)) = (key.strip_prefix(&prefix), value.as_f64()) {
                ledger.push(part_words(part), whole(bytes));
            }
        }
        ledger.entries.sort_by_key(|entry| {
            (entry.name.starts_with("unexplained"), std::cmp::Reverse(entry.bytes))
        });
        Some(LaneLedger { lane: lane.id.clone(), accelerator: lane.accelerator, ledger })
    });
    lanes.collect()
}

/// What an interval over `n` trials is: with fewer than three it is only the
/// range of what was measured (see [`tandem_stats::Estimate::too_few`]).
pub(crate) fn interval_words(n: u32) -> &'static str {
    if n < 3 { "range" } else { "95 % interval" }
}

/// A part's metric id as words: `app_s_cache` is the `app's cache`.
pub(crate) fn part_words(part: &str) -> String {
    part.replace("_s_", "'s ").replace('_', " ")
}

fn has_race(result: &ResultDocument) -> bool {
    let failed = || result.trials.iter().any(|trial| trial.outcome != OutcomeKind::Measured);
    result.summary.iter().any(|summary| summary.metric == FIRST_RESPONSE)
        || (["compare", "startup", "size"].contains(&result.experiment.as_str()) && failed())
}

pub(crate) fn measured<'a>(result: &'a ResultDocument, lane: &str) -> Vec<&'a TrialRecord> {
    let wanted = |trial: &&TrialRecord| {
        trial.lane == lane && !trial.warmup && trial.outcome == OutcomeKind::Measured
    };
    result.trials.iter().filter(wanted).collect()
}

/// A measured number of nanoseconds or bytes as a whole one; none is below
/// zero.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(value: f64) -> u64 {
    value.round() as u64
}
