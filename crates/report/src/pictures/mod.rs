//! The pictures of the experiments that are no launches: which of a result's
//! numbers each shows, and in which words.

mod words;

use tandem_model::{ResultDocument, TrialRecord, Unit, format::format_duration};
use tandem_stats::summarize;

use crate::{
    amounts::{Amounts, LaneAmount, bars_chart, dots_chart},
    chart::{Chart, Size},
    from_result::{measured, series_of},
    lane::lane_name,
    lines::{Growth, growth_chart},
    matrix::{Count, MatrixLane, matrix_chart},
    theme::Theme,
    timeline::{LaneLoad, timeline_chart},
};
use words::{
    BESIDE, BUILDS, CARRIED, CARRYING, HELD, ISOLATION, KILLED, OVERHEAD, PERSISTENCE, PORTABILITY,
    PROCESSORS, SNAPSHOT, SNAPSHOTTING, SUPPLY, Words,
};

/// The charts of a result beside those of launches, with their names.
pub(crate) fn of_experiment(
    result: &ResultDocument,
    size: Size,
    theme: Theme,
) -> Vec<(&'static str, Chart)> {
    let matrix = |title, words| ("matrix", matrix(result, title, words, size, theme));
    let bars = |name, title, unit, words| (name, bars(result, (title, unit), words, size, theme));
    let found = match result.experiment.as_str() {
        "persistence" => vec![matrix("What is still there", PERSISTENCE)],
        "snapshot" => vec![
            matrix("What came back after a restore", SNAPSHOT),
            bars("times", "How long it took", Unit::Ns, SNAPSHOTTING),
        ],
        "isolation" => vec![matrix("What one can see and do", ISOLATION)],
        "portability" => vec![
            matrix("What is the same elsewhere", PORTABILITY),
            bars("sizes", "What is carried", Unit::Bytes, CARRIED),
            bars("times", "How long it took", Unit::Ns, CARRYING),
        ],
        "build" => vec![bars("times", "From an edit to an answer", Unit::Ns, BUILDS)],
        "elasticity" => vec![
            bars("supply", "Memory, asked for and reached", Unit::Bytes, SUPPLY),
            bars("processors", "Processors, asked for and got", Unit::Count, PROCESSORS),
            bars("host", "Memory that the host gave for it", Unit::Bytes, HELD),
            matrix("What became of it", KILLED),
        ],
        "neighbour" => vec![bars("beside", "Answers before and during", Unit::Ns, BESIDE)],
        "overhead" => vec![("dots", dots(result, OVERHEAD, size, theme))],
        "resize" => vec![("timeline", timeline(result, size, theme))],
        "density" => growth(result, size, theme),
        _ => Vec::new(),
    };
    found.into_iter().filter_map(|(name, chart)| Some((name, chart?))).collect()
}

fn matrix(
    result: &ResultDocument,
    title: &str,
    words: &Words,
    size: Size,
    theme: Theme,
) -> Option<Chart> {
    let count = |trials: &[&TrialRecord], metric: &str| {
        let seen: Vec<bool> =
            trials.iter().filter_map(|it| it.metrics.get(metric)?.as_bool()).collect();
        Count { yes: seen.iter().filter(|yes| **yes).count(), of: seen.len() }
    };
    let mut lanes: Vec<MatrixLane> = Vec::new();
    for lane in &result.lanes {
        let trials = measured(result, &lane.id);
        let counts = words.iter().map(|(metric, _)| count(&trials, metric)).collect();
        lanes.push(MatrixLane { lane: lane.id.clone(), accelerator: lane.accelerator, counts });
    }
    // What nobody looked at is no question here.
    let asked = |row: usize| lanes.iter().any(|lane| lane.counts[row].of > 0);
    let rows: Vec<usize> = (0..words.len()).filter(|row| asked(*row)).collect();
    if rows.is_empty() {
        return None;
    }
    for lane in &mut lanes {
        lane.counts = rows.iter().map(|row| lane.counts[*row]).collect();
    }
    let questions: Vec<String> = rows.iter().map(|row| words[*row].1.to_owned()).collect();
    Some(matrix_chart(title, &questions, &lanes, size, theme))
}

fn bars(
    result: &ResultDocument,
    (title, unit): (&str, Unit),
    words: &Words,
    size: Size,
    theme: Theme,
) -> Option<Chart> {
    let amounts = |metric: &str| {
        let of = |lane: &tandem_model::LaneReport| {
            let values = numbers(result, &lane.id, metric);
            // The summary's own where there is one, so that the two agree.
            let summary = result.summary.iter().find(|s| s.lane == lane.id && s.metric == metric);
            let (median, ci95, n) = match summary {
                Some(found) => (found.median, found.ci95, found.n),
                None => {
                    let found = summarize(&values, result.design.seed).ok()?;
                    (found.median, found.ci95, u32::try_from(found.n).unwrap_or(u32::MAX))
                }
            };
            let (lane, accelerator) = (lane.id.clone(), lane.accelerator);
            Some(LaneAmount { lane, accelerator, median, ci95, n })
        };
        result.lanes.iter().filter_map(of).collect::<Vec<_>>()
    };
    let groups = named(words, amounts);
    (!groups.is_empty()).then(|| bars_chart(title, unit, &groups, size, theme))
}

fn dots(result: &ResultDocument, words: &Words, size: Size, theme: Theme) -> Option<Chart> {
    let base = result.comparisons.first()?.a.clone();
    let n = |lane: &str, metric: &str| {
        let found = result.summary.iter().find(|s| s.lane == lane && s.metric == metric);
        found.map_or(0, |summary| summary.n)
    };
    let ratios = |metric: &str| {
        let of = |lane: &tandem_model::LaneReport| {
            let mut all = result.comparisons.iter();
            let it = all.find(|it| it.metric == metric && it.a == base && it.b == lane.id)?;
            Some(LaneAmount {
                lane: lane.id.clone(),
                accelerator: lane.accelerator,
                median: it.ratio,
                ci95: it.ci95,
                n: n(&lane.id, metric).min(n(&base, metric)),
            })
        };
        result.lanes.iter().filter_map(of).collect::<Vec<_>>()
    };
    let groups = named(words, ratios);
    let title = "How many times as much";
    (!groups.is_empty()).then(|| dots_chart(title, &base, &groups, size, theme))
}

/// The amounts of each metric that any lane has.
fn named(words: &Words, of: impl Fn(&str) -> Vec<LaneAmount>) -> Vec<Amounts> {
    let all =
        words.iter().map(|(metric, name)| Amounts { name: (*name).to_owned(), lanes: of(metric) });
    all.filter(|group| !group.lanes.is_empty()).collect()
}

fn numbers(result: &ResultDocument, lane: &str, metric: &str) -> Vec<f64> {
    let of = |trial: &&TrialRecord| trial.metrics.get(metric)?.as_f64();
    measured(result, lane).iter().filter_map(of).collect()
}

fn growth(result: &ResultDocument, size: Size, theme: Theme) -> Vec<(&'static str, Option<Chart>)> {
    let fits = result.lanes.iter().filter_map(|lane| {
        let fits = tandem_stats::median(&numbers(result, &lane.id, "fits")).ok()?;
        Some(format!("{} {fits:.0}", lane_name(&lane.id)))
    });
    let fits: Vec<String> = fits.collect();
    let fits = if fits.is_empty() {
        String::new()
    } else {
        format!("there is room for: {}", fits.join(", "))
    };
    [("memory", Growth::Memory), ("launch", Growth::Launch), ("disk", Growth::Disk)]
        .map(|(name, growth)| {
            let series = series_of(result, name);
            let more = if growth == Growth::Memory { fits.as_str() } else { "" };
            (name, (!series.is_empty()).then(|| growth_chart(growth, &series, more, size, theme)))
        })
        .into()
}

/// The load of each lane's last trial, what was changed while it ran and what
/// with a stop and a start on one line of time.
fn timeline(result: &ResultDocument, size: Size, theme: Theme) -> Option<Chart> {
    let loads = result.lanes.iter().filter_map(|lane| {
        let trial = measured(result, &lane.id).into_iter().next_back()?;
        let points = |names: [&str; 2]| -> Vec<[f64; 2]> {
            names.iter().filter_map(|name| trial.series.get(*name)).flatten().copied().collect()
        };
        let load = LaneLoad {
            lane: lane.id.clone(),
            accelerator: lane.accelerator,
            answered: points(["latency", "cold_latency"]),
            lost: points(["lost", "cold_lost"]).into_iter().map(|[at, _]| at).collect(),
            changes: points(["change", "cold_change"]),
            words: seen(trial),
        };
        (!(load.answered.is_empty() && load.lost.is_empty())).then_some(load)
    });
    let loads: Vec<LaneLoad> = loads.collect();
    let title = "Answers while memory and processors changed";
    (!loads.is_empty()).then(|| timeline_chart(title, &loads, size, theme))
}

/// What clients saw of both ways.
fn seen(trial: &TrialRecord) -> Vec<String> {
    let number = |name: &str| trial.metrics.get(name)?.as_f64();
    let lost = |prefix: &str| {
        let lost = number(&format!("{prefix}failed_requests"))?;
        Some((lost, number(&format!("{prefix}requests"))?))
    };
    let mut words = Vec::new();
    if let Some((lost, of)) = lost("") {
        words.push(format!("while it ran: {lost:.0} of {of:.0} lost"));
    }
    if let Some(gap) = number("longest_gap") {
        words.push(format!("longest gap {}", format_duration(gap)));
    }
    if let Some((lost, of)) = lost("cold_") {
        words.push(format!("stopped and started: {lost:.0} of {of:.0} lost"));
    }
    if let Some(away) = number("cold_resize_downtime") {
        words.push(format!("away for {}", format_duration(away)));
    }
    words
}
