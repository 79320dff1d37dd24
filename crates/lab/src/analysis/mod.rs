//! From raw trials to summaries, comparisons, verdicts and warnings.

pub(crate) mod contrast;
mod format;
pub(crate) mod verdicts;
mod warnings;

use serde_json::Value;
use tandem_model::{Comparison, OutcomeKind, ResultDocument, RunEvent, Summary, TrialRecord, Unit};
use tandem_stats::{Ratio, ratio_of_medians, summarize};

pub(crate) use warnings::Warnings;

use crate::Method;

/// The unit of a metric.
pub fn unit_of(metric: &str) -> Unit {
    let time = ["_response", "_cpu", "_lag", "_downtime", "_gap", "_time", "_pause"];
    let times = ["launch_first", "launch_last", "build_cold", "build_cached"];
    if metric.starts_with("phase.")
        || metric.starts_with("latency_")
        || times.contains(&metric)
        || time.iter().any(|ending| metric.ends_with(ending))
    {
        Unit::Ns
    } else if metric.starts_with("survives.") || metric.starts_with("contained.") {
        Unit::Boolean
    } else if metric.starts_with("throughput") {
        Unit::PerSecond
    } else if metric.ends_with("_bytes")
        || metric.starts_with("memory_")
        || metric.starts_with("disk_")
        || metric.starts_with("marginal_")
    {
        Unit::Bytes
    } else {
        Unit::Count
    }
}

/// Fills in everything that follows from the raw trials.
pub(crate) fn complete(document: &mut ResultDocument, method: &dyn Method, mut warnings: Warnings) {
    document.summary = summaries(document, method.compared());
    document.comparisons = comparisons(document, method.compared());
    document.verdicts = method.judge(document);
    document.verdicts.extend(verdicts::equal_lanes(document, method.compared()[0]));
    warnings.of_document(document, method.compared()[0]);
    document.warnings = warnings.into_sentences();
}

/// The estimates that changed with the last trial of a lane.
pub(crate) fn live_estimates(
    trials: &[TrialRecord],
    lane: &str,
    metrics: &[&str],
    seed: u64,
) -> Vec<RunEvent> {
    let told = metrics.iter().filter_map(|metric| {
        let found = summarize(&values(trials, lane, metric), seed).ok()?;
        Some(RunEvent::Estimate {
            lane: lane.to_owned(),
            metric: (*metric).to_owned(),
            n: u32::try_from(found.n).unwrap_or(u32::MAX),
            median: found.median,
            ci95: found.ci95,
        })
    });
    told.collect()
}

/// What a lane's measured trials say of a metric, in the order of the run.
pub fn values(trials: &[TrialRecord], lane: &str, metric: &str) -> Vec<f64> {
    trials
        .iter()
        .filter(|trial| {
            trial.lane == lane && !trial.warmup && trial.outcome == OutcomeKind::Measured
        })
        .filter_map(|trial| {
            let value = trial.metrics.get(metric)?;
            value.as_f64().or_else(|| Some(f64::from(u8::from(value.as_bool()?))))
        })
        .collect()
}

/// The ratio `b / a` of two lanes in a metric.
pub(crate) fn ratio(document: &ResultDocument, metric: &str, a: &str, b: &str) -> Option<Ratio> {
    let of = |lane: &str| values(&document.trials, lane, metric);
    ratio_of_medians(&of(a), &of(b), document.design.seed).ok()
}

fn summaries(document: &ResultDocument, first: &[&str]) -> Vec<Summary> {
    let mut summaries = Vec::new();
    for lane in &document.lanes {
        for metric in metrics(document, first) {
            let values = values(&document.trials, &lane.id, &metric);
            if let Ok(found) = summarize(&values, document.design.seed) {
                let unit =
                    if is_boolean(document, &metric) { Unit::Boolean } else { unit_of(&metric) };
                summaries.push(found.into_summary(lane.id.clone(), metric, unit));
            }
        }
    }
    summaries
}

/// Whether a metric is a yes or a no.
pub(crate) fn is_boolean(document: &ResultDocument, metric: &str) -> bool {
    let yes_or_no = |trial: &TrialRecord| trial.metrics.get(metric).is_some_and(Value::is_boolean);
    unit_of(metric) == Unit::Boolean || document.trials.iter().any(yes_or_no)
}

/// Every metric with a number: the important ones first, then by name.
fn metrics(document: &ResultDocument, first: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = first.iter().map(|name| (*name).to_owned()).collect();
    let mut others: Vec<String> = document
        .trials
        .iter()
        .flat_map(|trial| &trial.metrics)
        .filter(|(name, value)| {
            let counts = value.is_number() || value.is_boolean();
            counts && !first.contains(&name.as_str())
        })
        .map(|(name, _)| name.clone())
        .collect();
    others.sort();
    others.dedup();
    names.append(&mut others);
    names
}

/// Every lane against the first one.
fn comparisons(document: &ResultDocument, compared: &[&str]) -> Vec<Comparison> {
    let Some((first, others)) = document.lanes.split_first() else { return Vec::new() };
    let mut comparisons = Vec::new();
    for other in others {
        // A yes is not some times a no.
        for metric in compared.iter().filter(|metric| !is_boolean(document, metric)) {
            if let Some(found) = ratio(document, metric, &first.id, &other.id) {
                comparisons.push(Comparison {
                    metric: (*metric).to_owned(),
                    a: first.id.clone(),
                    b: other.id.clone(),
                    ratio: found.ratio,
                    ci95: found.ci95,
                });
            }
        }
    }
    comparisons
}

#[cfg(test)]
pub(crate) mod tests {
    use tandem_model::{
        Accelerator, BackendKind, CacheState, Design, LaneReport, Machine, Parity, Resources,
        SCHEMA, Subject,
    };

    use super::*;

    pub(crate) fn lane(
        id: &str,
        backend: BackendKind,
        accelerator: Option<Accelerator>,
    ) -> LaneReport {
        LaneReport {
            id: id.to_owned(),
            backend,
            profile: None,
            engine: "fake".to_owned(),
            accelerator,
            resources: Resources::default(),
            parity: Parity { fair: true, differences: Vec::new() },
        }
    }

    pub(crate) fn trial(lane: &str, index: u32, metrics: &[(&str, f64)]) -> TrialRecord {
        TrialRecord {
            lane: lane.to_owned(),
            index,
            warmup: index == 0,
            outcome: OutcomeKind::Measured,
            reason: None,
            phases: Vec::new(),
            metrics: metrics
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).into()))
                .collect(),
            series: std::collections::BTreeMap::new(),
        }
    }

    /// A container that starts in about 0.4 s and a VM in about 9 s.
    pub(crate) fn document(measured: u32) -> ResultDocument {
        let mut trials = Vec::new();
        for index in 0..=measured {
            let step = f64::from(index * 7 % 5) * 1e6;
            for (lane, time, bytes) in [("container", 4e8, 3e7), ("vm/micro", 9e9, 2.4e8)] {
                let metrics = [
                    ("first_response", time + step),
                    ("memory_host", bytes + step / 10.0),
                    ("image_bytes", 1.5e8),
                    ("instance_bytes", bytes / 10.0),
                ];
                trials.push(trial(lane, index, &metrics));
            }
        }
        ResultDocument {
            schema: SCHEMA.to_owned(),
            id: "0123456789abcdef".to_owned(),
            experiment: "compare".to_owned(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
            finished_at: jiff::Timestamp::UNIX_EPOCH,
            subject: Subject {
                name: "hello-flask".to_owned(),
                image: "hello-flask:latest".to_owned(),
                digest: tandem_model::Digest::from_sha256(&[1; 32]),
                base: None,
                base_substituted: false,
            },
            machine: Machine {
                fingerprint: "f".to_owned(),
                cpu: "c".to_owned(),
                cores: 2,
                memory_bytes: 1,
                kernel: "k".to_owned(),
                os: "o".to_owned(),
                cgroup: "v2".to_owned(),
                virtualised: None,
            },
            design: Design {
                trials: measured,
                warmup: 1,
                seed: 5,
                order: Vec::new(),
                cache: CacheState::Warm,
            },
            lanes: vec![
                lane("container", BackendKind::Container, None),
                lane("vm/micro", BackendKind::Vm, Some(Accelerator::Tcg)),
            ],
            trials,
            summary: Vec::new(),
            comparisons: Vec::new(),
            verdicts: Vec::new(),
            predictions: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn warm_ups_and_failures_are_left_out() {
        let mut document = document(5);
        document.trials[2].outcome = OutcomeKind::Failed;
        assert_eq!(values(&document.trials, "container", "first_response").len(), 4);
        complete(
            &mut document,
            crate::experiment("compare").unwrap().as_ref(),
            Warnings::default(),
        );
        let found = |lane: &str, metric: &str| {
            document.summary.iter().find(|s| s.lane == lane && s.metric == metric).unwrap().clone()
        };
        assert_eq!(found("container", "first_response").n, 4);
        assert_eq!(found("vm/micro", "first_response").n, 5);
        assert_eq!(found("vm/micro", "first_response").unit, Unit::Ns);
        assert_eq!(found("vm/micro", "memory_host").unit, Unit::Bytes);
        let ratio = &document.comparisons[0];
        assert_eq!((ratio.a.as_str(), ratio.b.as_str()), ("container", "vm/micro"));
        assert!((20.0..25.0).contains(&ratio.ratio), "{ratio:?}");
    }
}
