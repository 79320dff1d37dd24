use tandem_model::{ResultDocument, Verdict, VerdictOutcome, format::format_number};
use tandem_stats::judge::Thresholds;

use crate::analysis::{contrast::kind, is_boolean, ratio, values};

const CLAIM: &str = "Two equal lanes show no difference (A/A)";

/// Judges the instrument itself where a run has a lane twice: what is equal
/// must not differ.
pub(crate) fn equal_lanes(document: &ResultDocument, metric: &str) -> Vec<Verdict> {
    let twins = document.lanes.iter().filter_map(|lane| Some((lane.id.rsplit_once('#')?.0, lane)));
    twins.map(|(first, second)| judge(document, metric, first, &second.id)).collect()
}

fn judge(document: &ResultDocument, metric: &str, a: &str, b: &str) -> Verdict {
    let of = |lane: &str| values(&document.trials, lane, metric);
    let (of_a, of_b) = (of(a), of(b));
    let (outcome, why) = match ratio(document, metric, a, b) {
        _ if of_a.is_empty() || of_b.is_empty() => {
            (VerdictOutcome::NotMeasured, format!("No trial measured `{metric}` in both."))
        }
        _ if is_boolean(document, metric) => yes_or_no(metric, (a, &of_a), (b, &of_b)),
        None => without_ratio(metric, (a, &of_a), (b, &of_b)),
        Some(found) => {
            let [low, high] = found.ci95;
            let numbers = format!(
                "`{metric}` of {b} divided by that of {a} is {} ({} {} to {}; n = {} and {}).",
                format_number(found.ratio),
                kind(&found),
                format_number(low),
                format_number(high),
                found.n_b,
                found.n_a
            );
            let holds = low <= 1.0 && 1.0 <= high;
            let n = found.n_a.min(found.n_b);
            let least = Thresholds::default().min_trials;
            // How often intervals of so few values miss what is the same, by
            // simulation; from five on it is less than 5 %.
            let often = if n == least { "One in twelve" } else { "One in twenty" };
            match (n < least, holds) {
                (true, _) => (
                    VerdictOutcome::Inconclusive,
                    format!("{numbers} So few trials show little: run more."),
                ),
                (false, true) => (VerdictOutcome::Supported, numbers),
                (false, false) => (
                    VerdictOutcome::Refuted,
                    format!(
                        "{numbers} {often} such runs misses by chance; if it happens again, smaller differences of this machine mean nothing."
                    ),
                ),
            }
        }
    };
    Verdict { claim: CLAIM.to_owned(), outcome, why }
}

/// A lane and what its trials say.
type Side<'a> = (&'a str, &'a [f64]);

/// A yes or a no has no ratio: it is the same in all trials, or it is not.
fn yes_or_no(metric: &str, a: Side<'_>, b: Side<'_>) -> (VerdictOutcome, String) {
    let told = |(lane, values): Side<'_>| {
        let yes = values.iter().filter(|value| **value > 0.5).count();
        (yes, format!("in {yes} of {} trials of {lane}", values.len()))
    };
    let ((yes_a, of_a), (yes_b, of_b)) = (told(a), told(b));
    let outcome = match (yes_a, yes_b) {
        (0, 0) => VerdictOutcome::Supported,
        (x, y) if x == a.1.len() && y == b.1.len() => VerdictOutcome::Supported,
        (0, y) if y == b.1.len() => VerdictOutcome::Refuted,
        (x, 0) if x == a.1.len() => VerdictOutcome::Refuted,
        _ => VerdictOutcome::Inconclusive,
    };
    (outcome, format!("`{metric}` was yes {of_a} and {of_b}."))
}

/// Nothing is divided by zero or less.
fn without_ratio(metric: &str, a: Side<'_>, b: Side<'_>) -> (VerdictOutcome, String) {
    if a.1.iter().chain(b.1).all(|value| *value == 0.0) {
        let (x, y) = (a.1.len(), b.1.len());
        let why =
            format!("`{metric}` was zero in all {y} trials of {} and all {x} of {}.", b.0, a.0);
        return (VerdictOutcome::Supported, why);
    }
    let why = format!(
        "`{metric}` was zero or less in a trial of {} or {}, of which there is no ratio.",
        a.0, b.0
    );
    (VerdictOutcome::Inconclusive, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::tests::document;

    #[test]
    fn a_lane_is_compared_with_itself() {
        let mut twin = document(6);
        assert!(equal_lanes(&twin, "first_response").is_empty());
        twin.lanes[1].id = "container#2".to_owned();
        for trial in &mut twin.trials {
            trial.lane = if trial.index % 2 == 0 { "container" } else { "container#2" }.to_owned();
        }
        let found = &equal_lanes(&twin, "first_response")[0];
        assert_eq!(found.outcome, VerdictOutcome::Supported, "{found:?}");
        for trial in &mut twin.trials {
            let time = if trial.lane == "container" { 1e9 } else { 2e9 };
            trial.metrics.insert("first_response".to_owned(), time.into());
        }
        let of = |n: usize| {
            let mut few = twin.clone();
            few.trials.retain(|trial| !trial.warmup);
            for lane in ["container", "container#2"] {
                let mut seen = 0;
                few.trials.retain(|trial| {
                    seen += usize::from(trial.lane == lane);
                    trial.lane != lane || seen <= n
                });
            }
            let found = equal_lanes(&few, "first_response").remove(0);
            (found.outcome, found.why)
        };
        // Of three a side even complete separation is chance in one of ten runs.
        assert_eq!(of(3).0, VerdictOutcome::Inconclusive);
        for (n, often) in [(4, "One in twelve"), (6, "One in twenty")] {
            let (outcome, why) = of(n);
            assert!(outcome == VerdictOutcome::Refuted && why.contains(often), "{why}");
        }
    }

    #[test]
    fn what_has_no_ratio_is_compared_too() {
        use VerdictOutcome::{Inconclusive, Refuted, Supported};
        let mut twin = document(2);
        twin.lanes[1].id = "container#2".to_owned();
        let mut judged = |metric: &str, of: &dyn Fn(bool, u32) -> serde_json::Value| {
            for trial in &mut twin.trials {
                let second = trial.lane != "container";
                trial.lane = if second { "container#2" } else { "container" }.to_owned();
                trial.metrics.insert(metric.to_owned(), of(second, trial.index));
            }
            let found = equal_lanes(&twin, metric).remove(0);
            (found.outcome, found.why)
        };
        let (outcome, why) = judged("own_kernel", &|_, _| false.into());
        assert_eq!(outcome, Supported, "{why}");
        assert_eq!(
            why,
            "`own_kernel` was yes in 0 of 2 trials of container and in 0 of 2 trials of container#2."
        );
        assert_eq!(judged("own_kernel", &|second, _| second.into()).0, Refuted);
        assert_eq!(judged("own_kernel", &|second, at| (second && at > 1).into()).0, Inconclusive);
        let (outcome, why) = judged("failed_requests", &|_, _| 0.into());
        assert!(outcome == Supported && why.contains("zero in all 2 trials"), "{why}");
        let (outcome, why) = judged("marginal_memory", &|second, at| {
            if second && at > 1 { (-5).into() } else { 5.into() }
        });
        assert!(outcome == Inconclusive && why.contains("zero or less in a trial"), "{why}");
    }
}
