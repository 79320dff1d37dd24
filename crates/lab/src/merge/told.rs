//! What a reader must know of runs that were joined: what was said of each, and
//! where they differ.

use tandem_model::ResultDocument;
use tandem_stats::{Reason, judge, judge::Claim, judge::Thresholds, ratio_of_medians};

use crate::{
    analysis::{Warnings, contrast, is_boolean},
    values,
};

/// Most sentences that are taken over: a result with more is not read again.
const MOST: usize = 200;

/// The warnings that a joined result begins with. What follows from trials is
/// left out, for all of them are looked at anew; `metric` matters most.
pub(super) fn of_runs(results: &[&ResultDocument], metric: &str) -> Warnings {
    let mut warnings = Warnings::default();
    let names: Vec<_> = results.iter().map(|result| result.id.as_str()).collect();
    warnings.of_engine(format!("joined from {} runs: {}", names.len(), names.join(", ")));
    for sentence in apart(results, metric).into_iter().chain(said(results, metric)).take(MOST) {
        warnings.of_engine(sentence);
    }
    warnings
}

/// What was said of a run besides what its trials show. Where it holds for all
/// runs nobody needs to know for which.
fn said(results: &[&ResultDocument], metric: &str) -> Vec<String> {
    let mut sentences: Vec<(&str, Vec<&str>)> = Vec::new();
    for result in results {
        let mut follows = Warnings::default();
        follows.of_document(result, metric);
        let follows = follows.into_sentences();
        for sentence in result.warnings.iter().filter(|it| !follows.contains(it)) {
            match sentences.iter_mut().find(|(known, _)| known == sentence) {
                Some((_, ids)) => ids.push(&result.id),
                None => sentences.push((sentence, vec![&result.id])),
            }
        }
    }
    let told = |(sentence, ids): (&str, Vec<&str>)| match ids.len() {
        all if all == results.len() => sentence.to_owned(),
        _ => format!("in the run {}: {sentence}", ids.join(", ")),
    };
    sentences.into_iter().map(told).collect()
}

/// Where a later run clearly differs from the first: the trials of both are then
/// no sample of one thing.
fn apart(results: &[&ResultDocument], metric: &str) -> Vec<String> {
    let [first, others @ ..] = results else { return Vec::new() };
    if is_boolean(first, metric) {
        return Vec::new();
    }
    let mut told = Vec::new();
    for lane in &first.lanes {
        let of = |result: &ResultDocument| values(&result.trials, &lane.id, metric);
        for other in others {
            let Ok(ratio) = ratio_of_medians(&of(first), &of(other), first.design.seed) else {
                continue;
            };
            let found = judge(&ratio, Claim::Larger, Thresholds::default()).reason;
            if matches!(found, Reason::Clear | Reason::Opposite) {
                told.push(format!(
                    "{}: the runs differ, `{metric}` of {} is {} times that of {}; their trials lie further apart than chance explains, and intervals over all of them are too narrow: look at them side by side with `tandem result compare`",
                    lane.id, other.id, contrast::brief(&ratio), first.id
                ));
            }
        }
    }
    told
}
