//! Do a document's estimates follow from its trials? Whoever reads only the
//! one must not be told something else than who reads the other.

use std::collections::BTreeMap;

use tandem_model::{ResultDocument, Summary, Unit};
use tandem_stats::median;

use crate::{unit_of, values};

/// How far a number may be from what is reckoned here: other versions add in
/// another order.
const SLACK: f64 = 1e-6;

/// Checks summaries and ratios against the trials. What an interval is depends
/// on resamples and is left alone, but for lying within the values.
pub(super) fn check(document: &ResultDocument) -> Result<(), String> {
    let mut medians = BTreeMap::new();
    for summary in &document.summary {
        let found = values(&document.trials, &summary.lane, &summary.metric);
        if !is_of(summary, &found) {
            return Err(format!(
                "the summary of `{}` in {} does not follow from its trials",
                summary.metric, summary.lane
            ));
        }
        medians.insert((summary.lane.as_str(), summary.metric.as_str()), summary.median);
    }
    for it in &document.comparisons {
        let of = |lane: &str| {
            let known = medians.get(&(lane, it.metric.as_str())).copied();
            known.or_else(|| median(&values(&document.trials, lane, &it.metric)).ok())
        };
        let follows = of(&it.b).zip(of(&it.a)).is_some_and(|(b, a)| near(it.ratio * a, b));
        if !follows {
            return Err(format!(
                "the ratio of `{}` of {} to {} does not follow from their trials",
                it.metric, it.b, it.a
            ));
        }
    }
    for (number, trial) in document.trials.iter().enumerate() {
        // By how much a clock was set has a direction.
        let mut times = trial
            .metrics
            .iter()
            .filter(|(name, _)| unit_of(name) == Unit::Ns && name.as_str() != "clock_set_time");
        if let Some((name, _)) = times.find(|(_, value)| value.as_f64().is_some_and(|it| it < 0.0))
        {
            return Err(format!("`{name}` of trial {number} is a time below zero"));
        }
    }
    Ok(())
}

fn is_of(summary: &Summary, values: &[f64]) -> bool {
    let Ok(middle) = median(values) else { return false };
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let [low, high] = summary.ci95;
    let within = |it: f64| (it >= least || near(it, least)) && (it <= most || near(it, most));
    values.len() == summary.n as usize
        && near(summary.median, middle)
        && near(summary.min, least)
        && near(summary.max, most)
        && within(low)
        && within(high)
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= SLACK * a.abs().max(b.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Warnings, complete, tests::document};

    #[test]
    fn estimates_that_no_trial_gives_are_refused() {
        let refused = |change: &dyn Fn(&mut ResultDocument)| {
            let mut document = document(5);
            let compare = crate::experiment("compare").unwrap();
            complete(&mut document, compare.as_ref(), Warnings::default());
            change(&mut document);
            check(&document).err()
        };
        assert_eq!(refused(&|_| ()), None);
        let changes: [fn(&mut ResultDocument); 7] = [
            |d| d.summary[0].median *= 0.9,
            |d| d.summary[0].n += 1,
            |d| d.summary[0].min = 0.0,
            |d| d.summary[0].max *= 2.0,
            |d| d.summary[0].ci95[0] = 0.0,
            |d| d.trials.clear(),
            |d| d.trials[0].warmup = false,
        ];
        for change in changes {
            let why = refused(&change).unwrap();
            assert!(why.contains("in container does not follow from its trials"), "{why}");
        }
        let why = refused(&|d| d.comparisons[0].ratio = 99.0).unwrap();
        assert!(why.contains("the ratio of `"), "{why}");
        let why = refused(&|d| {
            d.trials[0].metrics.insert("resize_lag".to_owned(), (-5).into());
        });
        assert_eq!(why.unwrap(), "`resize_lag` of trial 0 is a time below zero");
        let set = |d: &mut ResultDocument| {
            d.trials[0].metrics.insert("clock_set_time".to_owned(), (-5).into());
            d.trials[0].metrics.insert("memory_unexplained".to_owned(), (-5).into());
        };
        assert_eq!(refused(&set), None);
    }
}
