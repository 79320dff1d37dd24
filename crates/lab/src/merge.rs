mod told;

use std::collections::BTreeSet;

use tandem_model::{Parity, Prediction, ResultDocument};

use crate::{Method, analysis};

/// Why results are not joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// One result has nothing to be joined with.
    #[error("at least two results are needed to join them")]
    TooFew,
    /// The same run is there twice; it would count twice.
    #[error("the result {0} is there twice, and its trials would count twice: name each once")]
    Twice(String),
    /// This version does not know how to judge it.
    #[error("this version cannot judge the experiment `{0}`, so it cannot join its results")]
    Unknown(String),
    /// They did not measure the same.
    #[error("{a} and {b} are not joined: {why}")]
    Different {
        /// The first result's id.
        a: String,
        /// The other's.
        b: String,
        /// What differs, and why that matters.
        why: String,
    },
}

/// Joins runs of one experiment into one result whose trials are all of
/// theirs. Refused where pooling would mix what is not the same: experiment,
/// image, machine, lanes, accelerator, limits, state of the page cache. Trials
/// stand in the order of time, in whatever order the results are named. `method`
/// tells how an experiment is judged.
pub fn merge(
    results: &[ResultDocument],
    method: MethodOf<'_>,
) -> Result<ResultDocument, MergeError> {
    let mut results: Vec<&ResultDocument> = results.iter().collect();
    results.sort_by_key(|result| result.started_at);
    let [first, others @ ..] = &results[..] else { return Err(MergeError::TooFew) };
    if others.is_empty() {
        return Err(MergeError::TooFew);
    }
    let first = *first;
    let mut ids = BTreeSet::new();
    if let Some(twice) = results.iter().find(|result| !ids.insert(&result.id)) {
        return Err(MergeError::Twice(twice.id.clone()));
    }
    for other in others {
        if let Some(why) = difference(first, other) {
            return Err(MergeError::Different { a: first.id.clone(), b: other.id.clone(), why });
        }
    }
    let method =
        method(&first.experiment).ok_or_else(|| MergeError::Unknown(first.experiment.clone()))?;
    let mut joined = first.clone();
    joined.id = format!("{:016x}", rand::random::<u64>());
    for other in others {
        joined.started_at = joined.started_at.min(other.started_at);
        joined.finished_at = joined.finished_at.max(other.finished_at);
        // A file may come from anybody and say anything.
        joined.design.trials = joined.design.trials.saturating_add(other.design.trials);
        joined.design.warmup = joined.design.warmup.saturating_add(other.design.warmup);
        joined.design.order.extend(other.design.order.clone());
        for (lane, theirs) in joined.lanes.iter_mut().zip(&other.lanes) {
            lane.parity = both(&lane.parity, &theirs.parity);
        }
        joined.predictions.extend(other.predictions.iter().cloned());
        for trial in &other.trials {
            let mut trial = trial.clone();
            // Counts on within the lane.
            let of_lane = joined.trials.iter().filter(|before| before.lane == trial.lane);
            trial.index = u32::try_from(of_lane.count()).unwrap_or(u32::MAX);
            joined.trials.push(trial);
        }
    }
    joined.predictions.truncate(Prediction::MOST);
    let warnings = told::of_runs(&results, method.compared()[0]);
    analysis::complete(&mut joined, method.as_ref(), warnings);
    Ok(joined)
}

/// Finds how the results of an experiment are judged, by its id.
pub type MethodOf<'a> = &'a dyn Fn(&str) -> Option<Box<dyn Method>>;

fn both(a: &Parity, b: &Parity) -> Parity {
    let mut differences = a.differences.clone();
    differences.extend(b.differences.iter().filter(|d| !a.differences.contains(d)).cloned());
    Parity { fair: a.fair && b.fair, differences }
}

/// Why two results must not be pooled.
fn difference(a: &ResultDocument, b: &ResultDocument) -> Option<String> {
    let differ = |what: &str, x: &str, y: &str, because: &str| {
        (x != y).then(|| format!("{what}: {x} and {y}; {because}"))
    };
    let names = |result: &ResultDocument| -> String {
        let ids: Vec<_> = result.lanes.iter().map(|lane| lane.id.as_str()).collect();
        ids.join(",")
    };
    let cache = |result: &ResultDocument| format!("{:?}", result.design.cache).to_lowercase();
    differ("the experiments differ", &a.experiment, &b.experiment, "each has its own method")
        .or_else(|| {
            let (x, y) = (a.subject.digest.short(), b.subject.digest.short());
            differ("the images differ", x, y, "different bytes are different subjects")
        })
        .or_else(|| differ("the lanes differ", &names(a), &names(b), "trials belong to lanes"))
        .or_else(|| {
            a.lanes.iter().zip(&b.lanes).find_map(|(x, y)| {
                let accelerator = |lane: &tandem_model::LaneReport| {
                    lane.accelerator.map_or("none", tandem_model::Accelerator::as_str)
                };
                let what = format!("the accelerators of {} differ", x.id);
                let because = "KVM and software emulation are never pooled";
                differ(&what, accelerator(x), accelerator(y), because)
                    .or_else(|| {
                        let what = format!("the engines of {} differ", x.id);
                        differ(&what, &x.engine, &y.engine, "the difference would be theirs")
                    })
                    .or_else(|| {
                        (x.resources != y.resources).then(|| {
                            format!(
                                "the limits of {} differ; times under other limits are other times",
                                x.id
                            )
                        })
                    })
            })
        })
        .or_else(|| {
            differ("the page cache was", &cache(a), &cache(b), "that is a factor of its own")
        })
        .or_else(|| {
            let (x, y) = (&a.machine.fingerprint, &b.machine.fingerprint);
            differ(
                "the machines differ",
                x,
                y,
                "compare their ratios side by side, one result a machine (tandem result class)",
            )
        })
}

#[cfg(test)]
mod tests {
    use tandem_model::Accelerator;

    use super::*;
    use crate::analysis::tests::document;

    fn merge(results: &[ResultDocument]) -> Result<ResultDocument, MergeError> {
        super::merge(results, &|id| Some(crate::experiment(id)?))
    }

    fn two() -> [ResultDocument; 2] {
        let mut other = document(4);
        other.id = "fedcba9876543210".to_owned();
        [document(5), other]
    }

    #[test]
    fn trials_of_two_runs_become_those_of_one() {
        let joined = merge(&two()).unwrap();
        let first = joined.summary.iter().find(|s| s.lane == "container").unwrap();
        assert_eq!((first.n, joined.design.trials), (9, 9));
        let indices: BTreeSet<_> =
            joined.trials.iter().map(|trial| (&trial.lane, trial.index)).collect();
        assert_eq!(indices.len(), joined.trials.len());
        assert!(joined.warnings.iter().any(|text| text.contains("fedcba9876543210")));
    }

    #[test]
    fn what_is_joined_can_be_read_again_however_much_was_expected() {
        let mut results = two();
        for result in &mut results {
            let one = Prediction {
                question: "q".to_owned(),
                expected: "x".to_owned(),
                explanation: None,
            };
            result.predictions = vec![one; Prediction::MOST - 1];
        }
        let joined = merge(&results).unwrap();
        assert_eq!(joined.predictions.len(), Prediction::MOST);
        crate::read_document(&serde_json::to_vec(&joined).unwrap()).unwrap();
    }

    #[test]
    fn absurd_numbers_of_trials_do_not_overflow() {
        let mut results = two();
        for result in &mut results {
            result.design.trials = u32::MAX;
            result.design.warmup = u32::MAX;
        }
        assert_eq!(merge(&results).unwrap().design.trials, u32::MAX);
    }

    #[test]
    fn what_is_not_the_same_is_not_joined() {
        let why = |change: fn(&mut ResultDocument)| {
            let mut results = two();
            change(&mut results[1]);
            merge(&results).unwrap_err().to_string()
        };
        let text = why(|d| d.lanes[1].accelerator = Some(Accelerator::Kvm));
        assert!(text.contains("tcg and kvm") && text.contains("never pooled"), "{text}");
        let other = why(|d| d.machine.fingerprint = "g".into());
        assert!(
            other.contains("machines differ") && other.contains("tandem result class"),
            "{other}"
        );
        assert!(why(|d| d.experiment = "size".into()).contains("experiments differ"));
        assert!(why(|d| d.lanes[0].resources.milli_cpus = Some(5)).contains("limits of container"));
        assert!(why(|d| d.id = "0123456789abcdef".into()).contains("count twice"));
        assert!(why(|d| d.design.cache = tandem_model::CacheState::Cold).contains("page cache"));
        assert_eq!(merge(&two()[..1]), Err(MergeError::TooFew));
    }

    #[test]
    fn what_was_said_of_one_run_is_said_of_it_still() {
        let mut results = two();
        let method = crate::experiment("compare").unwrap();
        for result in &mut results {
            let mut said = analysis::Warnings::default();
            said.of_engine("no KVM".to_owned());
            analysis::complete(result, method.as_ref(), said);
        }
        results[1].warnings.push("the machine slept for 5 s".to_owned());
        let told = merge(&results).unwrap().warnings;
        let count = |text: &str| told.iter().filter(|it| it.contains(text)).count();
        assert_eq!(told[0], "joined from 2 runs: 0123456789abcdef, fedcba9876543210");
        assert!(told.contains(&"no KVM".to_owned()), "{told:?}");
        let one = "in the run fedcba9876543210: the machine slept for 5 s";
        assert!(told.contains(&one.to_owned()) && count("slept") == 1, "{told:?}");
        // Nine trials are enough, and what was said of five and four is past.
        assert_eq!(count("trials an interval"), 0, "{told:?}");
    }

    #[test]
    fn trials_stand_in_the_order_of_time_and_runs_that_differ_are_told() {
        let [mut early, late] = two();
        early.id = "aaaa".to_owned();
        early.started_at = jiff::Timestamp::from_second(-60).unwrap();
        for trial in &mut early.trials {
            trial.metrics.insert("first_response".to_owned(), 5e9.into());
        }
        let joined = merge(&[late.clone(), early.clone()]).unwrap();
        assert_eq!(joined.trials[0].metrics, early.trials[0].metrics);
        let told = joined.warnings.join("\n");
        assert!(told.contains("vm/micro: the runs differ, `first_response` of fedcba"), "{told}");
        let same = merge(&two()).unwrap().warnings.join("\n");
        assert!(!same.contains("the runs differ"), "{same}");
    }
}
