//! How medians and ratios lie over machines.

use serde::Serialize;
use tandem_model::{Accelerator, LaneReport, ResultDocument, Unit};
use tandem_stats::summarize;

use super::is_drawn;
use crate::analysis::ratio;

/// One metric over the machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ClassMetric {
    /// Metric id.
    pub metric: String,
    /// Its unit.
    pub unit: Unit,
    /// Whether the experiment is about it.
    pub main: bool,
    /// A lane each, told apart by its accelerator too.
    pub lanes: Vec<ClassLane>,
    /// Ratios within the machines.
    pub ratios: Vec<ClassRatio>,
}

/// One lane over the machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ClassLane {
    /// Lane id.
    pub lane: String,
    /// What ran its machine, if it has one.
    pub accelerator: Option<Accelerator>,
    /// Its median on each machine that measured it.
    pub machines: Vec<OnMachine>,
    /// How those lie.
    pub over: Over,
}

/// A ratio of two lanes over the machines: each machine's own, for a ratio
/// compares what ran side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ClassRatio {
    /// Lane in the denominator.
    pub a: String,
    /// Lane in the numerator.
    pub b: String,
    /// Accelerator of the one in the numerator, if it has one.
    pub accelerator: Option<Accelerator>,
    /// The ratio on each machine that measured both.
    pub machines: Vec<OnMachine>,
    /// How those lie.
    pub over: Over,
}

/// An estimate of one machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct OnMachine {
    /// Number of the machine, from 0.
    pub machine: u32,
    /// Trials behind it; of a ratio, those on the side that has fewer.
    pub n: u32,
    /// The estimate.
    pub value: f64,
    /// Its 95 % interval.
    pub ci95: [f64; 2],
}

/// How estimates of machines lie; each machine counts once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Over {
    /// Machines.
    pub n: u32,
    /// Median of the machines.
    pub median: f64,
    /// Bootstrap 95 % interval of it over machines; with fewer than three
    /// machines only their range.
    pub ci95: [f64; 2],
    /// The lowest machine.
    pub min: f64,
    /// The highest machine.
    pub max: f64,
}

pub(super) fn metrics(results: &[&ResultDocument]) -> Vec<ClassMetric> {
    let mut found: Vec<ClassMetric> = Vec::new();
    for summary in results.iter().flat_map(|result| &result.summary) {
        let known = found.iter().any(|it| it.metric == summary.metric && it.unit == summary.unit);
        if known || !is_drawn(summary.unit) {
            continue;
        }
        let of_interest = |result: &&ResultDocument| {
            result.comparisons.is_empty()
                || result.comparisons.iter().any(|it| it.metric == summary.metric)
        };
        let main = results.iter().copied().any(|result| of_interest(&result));
        found.push(ClassMetric {
            metric: summary.metric.clone(),
            unit: summary.unit,
            main,
            lanes: lanes(results, &summary.metric, summary.unit),
            ratios: if main { ratios(results, &summary.metric) } else { Vec::new() },
        });
    }
    found.sort_by_key(|metric| !metric.main);
    found
}

fn lanes(results: &[&ResultDocument], metric: &str, unit: Unit) -> Vec<ClassLane> {
    let mut rows: Vec<(&LaneReport, Vec<OnMachine>)> = Vec::new();
    for (result, machine) in results.iter().zip(0_u32..) {
        for lane in &result.lanes {
            let is_it = |it: &&tandem_model::Summary| {
                it.lane == lane.id && it.metric == metric && it.unit == unit
            };
            let Some(it) = result.summary.iter().find(is_it) else { continue };
            let here = OnMachine { machine, n: it.n, value: it.median, ci95: it.ci95 };
            add(&mut rows, lane, here);
        }
    }
    let row = |(lane, machines): (&LaneReport, Vec<OnMachine>)| {
        Some(ClassLane {
            lane: lane.id.clone(),
            accelerator: lane.accelerator,
            over: over(&machines)?,
            machines,
        })
    };
    rows.into_iter().filter_map(row).collect()
}

fn ratios(results: &[&ResultDocument], metric: &str) -> Vec<ClassRatio> {
    let mut rows: Vec<((&str, &LaneReport), Vec<OnMachine>)> = Vec::new();
    for (result, machine) in results.iter().zip(0_u32..) {
        let Some((first, others)) = result.lanes.split_first() else { continue };
        for lane in others {
            let Some(found) = ratio(result, metric, &first.id, &lane.id) else { continue };
            let n = u32::try_from(found.n_a.min(found.n_b)).unwrap_or(u32::MAX);
            let here = OnMachine { machine, n, value: found.ratio, ci95: found.ci95 };
            let is_it = |row: &&mut ((&str, &LaneReport), Vec<OnMachine>)| {
                row.0.0 == first.id && is_same(row.0.1, lane)
            };
            match rows.iter_mut().find(is_it) {
                Some(row) => row.1.push(here),
                None => rows.push(((&first.id, lane), vec![here])),
            }
        }
    }
    let row = |((a, lane), machines): ((&str, &LaneReport), Vec<OnMachine>)| {
        Some(ClassRatio {
            a: a.to_owned(),
            b: lane.id.clone(),
            accelerator: lane.accelerator,
            over: over(&machines)?,
            machines,
        })
    };
    rows.into_iter().filter_map(row).collect()
}

fn add<'a>(
    rows: &mut Vec<(&'a LaneReport, Vec<OnMachine>)>,
    lane: &'a LaneReport,
    here: OnMachine,
) {
    match rows.iter_mut().find(|row| is_same(row.0, lane)) {
        Some(row) => row.1.push(here),
        None => rows.push((lane, vec![here])),
    }
}

/// KVM and emulation are never one row.
fn is_same(a: &LaneReport, b: &LaneReport) -> bool {
    a.id == b.id && a.accelerator == b.accelerator
}

/// The seed is fixed: the same files give the same numbers everywhere.
const SEED: u64 = 1;

fn over(machines: &[OnMachine]) -> Option<Over> {
    let values: Vec<f64> = machines.iter().map(|it| it.value).collect();
    let found = summarize(&values, SEED).ok()?;
    Some(Over {
        n: u32::try_from(found.n).unwrap_or(u32::MAX),
        median: found.median,
        ci95: found.ci95,
        min: found.min,
        max: found.max,
    })
}
