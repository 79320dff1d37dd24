//! Results side by side: nothing is pooled, each keeps its own numbers, and a
//! ratio stands only where both sides measured the same in the same way.

pub(crate) mod apart;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;
use tandem_model::{Design, LaneReport, Machine, ResultDocument, Subject, Summary, Unit};
use tandem_stats::{
    Reason, StatsError, judge,
    judge::{Claim, Thresholds},
    ratio_of_medians,
};

use crate::values;

/// Why results cannot stand side by side.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BesideError {
    /// One result has nothing beside it.
    #[error("at least two results are needed to compare them")]
    TooFew,
    /// The same run twice.
    #[error("the result {0} is named twice: name each once")]
    Twice(String),
}

/// Results side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct SideBySide {
    /// The results in the order in which they were named; ratios divide by
    /// the first.
    pub runs: Vec<RunBeside>,
    /// A row for each metric of each lane, those that matter most first.
    pub rows: Vec<RowBeside>,
}

/// What a result is, besides its numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct RunBeside {
    /// Its id.
    pub id: String,
    /// Experiment id.
    pub experiment: String,
    /// When it began.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub started_at: Timestamp,
    /// What ran.
    pub subject: Subject,
    /// Where it ran.
    pub machine: Machine,
    /// How it was measured.
    pub design: Design,
    /// Its lanes, with engines, accelerators and limits.
    pub lanes: Vec<LaneReport>,
    /// Why none of its numbers is set against the first result's.
    pub apart: Option<String>,
    /// What else differs from the first result and may be why its numbers do,
    /// a sentence each.
    pub differs: Vec<String>,
}

/// One metric of one lane in all results.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct RowBeside {
    /// Lane id.
    pub lane: String,
    /// Metric id.
    pub metric: String,
    /// Whether the experiment is about it.
    pub main: bool,
    /// A cell for each result, in their order.
    pub cells: Vec<CellBeside>,
}

/// One metric of one lane in one result.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct CellBeside {
    /// The median with its interval; null where it was not measured.
    pub estimate: Option<EstimateBeside>,
    /// How it stands to the first result; null for the first itself.
    pub against: Option<Against>,
}

/// A median.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct EstimateBeside {
    /// Its unit.
    pub unit: Unit,
    /// Measured trials behind it.
    pub n: u32,
    /// The estimate.
    pub median: f64,
    /// Its bootstrap 95 % interval.
    pub ci95: [f64; 2],
}

/// A number against that of the first result.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Against {
    /// They may be compared.
    Ratio {
        /// This median divided by the first result's.
        ratio: f64,
        /// Its bootstrap 95 % interval.
        ci95: [f64; 2],
        /// What may be said.
        finding: Finding,
    },
    /// They may not.
    Apart {
        /// Why.
        why: String,
    },
}

/// What a ratio supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// The whole interval lies above what nobody would notice.
    Larger,
    /// The whole interval lies below it.
    Smaller,
    /// The whole interval lies within it: practically equal.
    Equal,
    /// The interval reaches over a margin: not enough evidence.
    Undecided,
    /// Fewer than four trials on a side: not enough evidence.
    TooFew,
}

impl Finding {
    /// The finding in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Larger => "larger",
            Self::Smaller => "smaller",
            Self::Equal => "no difference above 5 %",
            Self::Undecided => "not enough evidence",
            Self::TooFew => "not enough evidence: fewer than four trials",
        }
    }
}

/// Puts results side by side. The first is what the others are divided by.
pub fn side_by_side(results: &[ResultDocument]) -> Result<SideBySide, BesideError> {
    let [first, others @ ..] = results else { return Err(BesideError::TooFew) };
    if others.is_empty() {
        return Err(BesideError::TooFew);
    }
    let mut ids = BTreeSet::new();
    if let Some(twice) = results.iter().find(|result| !ids.insert(&result.id)) {
        return Err(BesideError::Twice(twice.id.clone()));
    }
    let runs: Vec<RunBeside> = results.iter().map(|result| run(first, result)).collect();
    let rows = rows(results)
        .into_iter()
        .map(|(lane, metric)| {
            let cell = |(result, run): (&ResultDocument, &RunBeside)| CellBeside {
                estimate: summary(result, &lane, &metric).map(estimate),
                against: (result.id != first.id).then(|| {
                    let apart = run.apart.clone().map(|why| Against::Apart { why });
                    apart.unwrap_or_else(|| against(first, result, &lane, &metric))
                }),
            };
            let cells = results.iter().zip(&runs).map(cell).collect();
            let main = results.iter().any(|result| is_main(result, &metric));
            RowBeside { lane, metric, main, cells }
        })
        .collect();
    Ok(SideBySide { runs, rows })
}

fn run(first: &ResultDocument, result: &ResultDocument) -> RunBeside {
    let (apart, differs) = if first.id == result.id {
        (None, Vec::new())
    } else {
        (apart::whole(first, result), apart::besides(first, result))
    };
    RunBeside {
        id: result.id.clone(),
        experiment: result.experiment.clone(),
        started_at: result.started_at,
        subject: result.subject.clone(),
        machine: result.machine.clone(),
        design: result.design.clone(),
        lanes: result.lanes.clone(),
        apart,
        differs,
    }
}

/// Every lane with every metric that any result has: what matters first, and
/// the lanes of one metric together.
fn rows(results: &[ResultDocument]) -> Vec<(String, String)> {
    let all = || results.iter().flat_map(|result| &result.summary);
    let mut metrics: Vec<&str> = Vec::new();
    for summary in all() {
        if !metrics.contains(&summary.metric.as_str()) {
            metrics.push(&summary.metric);
        }
    }
    metrics.sort_by_key(|metric| !results.iter().any(|result| is_main(result, metric)));
    let lanes_of = |metric: &str| {
        let mut lanes: Vec<String> = Vec::new();
        for summary in all().filter(|summary| summary.metric == metric) {
            if !lanes.contains(&summary.lane) {
                lanes.push(summary.lane.clone());
            }
        }
        lanes
    };
    let of = |metric: &&str| {
        lanes_of(metric).into_iter().map(|lane| (lane, (*metric).to_owned())).collect::<Vec<_>>()
    };
    metrics.iter().flat_map(of).collect()
}

/// Whether a result's experiment is about a metric; without any comparison it
/// is about all.
fn is_main(result: &ResultDocument, metric: &str) -> bool {
    result.comparisons.is_empty() || result.comparisons.iter().any(|it| it.metric == metric)
}

fn summary<'a>(result: &'a ResultDocument, lane: &str, metric: &str) -> Option<&'a Summary> {
    result.summary.iter().find(|it| it.lane == lane && it.metric == metric)
}

fn estimate(summary: &Summary) -> EstimateBeside {
    let Summary { unit, n, median, ci95, .. } = *summary;
    EstimateBeside { unit, n, median, ci95 }
}

fn against(first: &ResultDocument, result: &ResultDocument, lane: &str, metric: &str) -> Against {
    let apart = |why: String| Against::Apart { why };
    if let Some(why) = apart::lane(first, result, lane) {
        return apart(why);
    }
    let (of_first, of_this) = (summary(first, lane, metric), summary(result, lane, metric));
    let (Some(a), Some(b)) = (of_first, of_this) else {
        let which = if of_first.is_none() { "the first result" } else { "this result" };
        return apart(format!("{which} did not measure it"));
    };
    if a.unit != b.unit {
        return apart("the units differ".to_owned());
    }
    if a.unit == Unit::Boolean {
        return apart("a yes or no has no ratio".to_owned());
    }
    let values = |of: &ResultDocument| values(&of.trials, lane, metric);
    match ratio_of_medians(&values(first), &values(result), first.design.seed) {
        Ok(found) => {
            let judged = judge(&found, Claim::Larger, Thresholds::default());
            let finding = match judged.reason {
                Reason::Clear => Finding::Larger,
                Reason::Opposite => Finding::Smaller,
                Reason::Negligible => Finding::Equal,
                Reason::Undecided => Finding::Undecided,
                Reason::TooFew => Finding::TooFew,
            };
            Against::Ratio { ratio: found.ratio, ci95: found.ci95, finding }
        }
        Err(StatsError::NotPositive { .. }) => {
            apart("a zero or a negative number has no ratio".to_owned())
        }
        Err(_) => apart("its trials have no numbers".to_owned()),
    }
}

#[cfg(test)]
mod tests;
