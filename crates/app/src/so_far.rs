//! A run that has no result, drawn: the trials that it has measured so far.

use std::collections::BTreeMap;

use tandem_lab::unit_of;
use tandem_model::TrialRecord;
use tandem_report::{
    LaneTrials, MarkOf, NamedChart, Size, Theme, distribution_chart, metric_words,
};
use tandem_stats::summarize;

/// What a launch is about.
const FIRST_RESPONSE: &str = "first_response";

/// Numbers of each lane, in the order in which the lanes had their first.
type Lanes<'a> = Vec<(&'a str, Vec<f64>)>;

/// Every trial of the metric that has the most numbers, a mark each; nothing
/// before there is one. Verdicts are for whole runs.
pub(crate) fn charts(trials: &[TrialRecord], width: u32, theme: Theme) -> Vec<NamedChart> {
    let Some((metric, lanes)) = most(trials) else { return Vec::new() };
    // The seed moves nothing that is kept: the picture is for the eye.
    let row = |(lane, values): (&str, Vec<f64>)| {
        let known = summarize(&values, 0).ok()?;
        let (lane, name, accelerator) = (lane.to_owned(), None, None);
        Some(LaneTrials { lane, name, accelerator, values, median: known.median, ci95: known.ci95 })
    };
    let rows: Vec<LaneTrials> = lanes.into_iter().filter_map(row).collect();
    let title = format!("So far: {}", metric_words(metric));
    let size = Size::wide(width);
    let chart = distribution_chart(&title, unit_of(metric), &rows, MarkOf::Trial, size, theme);
    vec![NamedChart { name: "so-far".to_owned(), chart }]
}

fn most(trials: &[TrialRecord]) -> Option<(&str, Lanes<'_>)> {
    let mut metrics: BTreeMap<&str, Lanes> = BTreeMap::new();
    for trial in trials.iter().filter(|trial| !trial.warmup) {
        for (metric, value) in &trial.metrics {
            let Some(value) = value.as_f64() else { continue };
            let lanes = metrics.entry(metric).or_default();
            match lanes.iter_mut().find(|(lane, _)| *lane == trial.lane) {
                Some((_, values)) => values.push(value),
                None => lanes.push((&trial.lane, vec![value])),
            }
        }
    }
    let count = |lanes: &Lanes| lanes.iter().map(|(_, values)| values.len()).sum::<usize>();
    let weight = |(metric, lanes): &(&str, Lanes)| (*metric == FIRST_RESPONSE, count(lanes));
    metrics.into_iter().max_by_key(weight)
}

#[cfg(test)]
mod tests {
    use tandem_model::OutcomeKind;

    use super::*;

    fn trial(lane: &str, warmup: bool, metrics: &[(&str, f64)]) -> TrialRecord {
        TrialRecord {
            lane: lane.to_owned(),
            index: 0,
            warmup,
            outcome: OutcomeKind::Measured,
            reason: None,
            phases: Vec::new(),
            metrics: metrics.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect(),
            series: BTreeMap::new(),
        }
    }

    #[test]
    fn trials_are_drawn_before_there_is_a_result() {
        assert!(charts(&[], 900, Theme::Light).is_empty());
        let warmup = [trial("container", true, &[("first_response", 1e9)])];
        assert!(charts(&warmup, 900, Theme::Light).is_empty(), "a warm-up does not count");
        let trials = [
            trial("container", false, &[("first_response", 4e8), ("a_size", 1.0)]),
            trial("vm/micro", false, &[("a_size", 2.0)]),
            trial("container", false, &[("first_response", 5e8), ("a_size", 1.0)]),
        ];
        let drawn = charts(&trials, 900, Theme::Light);
        assert_eq!(drawn[0].chart.table.caption, "So far: time to the first answer");
        assert!(drawn[0].chart.svg.contains("n = 2"), "{}", drawn[0].chart.svg);
        let sizes = [trial("vm/micro", false, &[("image_bytes", 2048.0)])];
        assert!(charts(&sizes, 900, Theme::Dark)[0].chart.svg.contains("KiB"));
    }
}
