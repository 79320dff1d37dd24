use tandem_model::{ResultDocument, Verdict, VerdictOutcome, format::format_number};

use crate::analysis::ratio;

const CLAIM: &str = "Two equal lanes show no difference (A/A)";

/// Judges the instrument itself where a run has a lane twice: what is equal
/// must not differ.
pub(crate) fn equal_lanes(document: &ResultDocument, metric: &str) -> Vec<Verdict> {
    let twins = document.lanes.iter().filter_map(|lane| Some((lane.id.rsplit_once('#')?.0, lane)));
    twins.map(|(first, second)| judge(document, metric, first, &second.id)).collect()
}

fn judge(document: &ResultDocument, metric: &str, a: &str, b: &str) -> Verdict {
    let (outcome, why) = match ratio(document, metric, a, b) {
        None => (VerdictOutcome::NotMeasured, format!("No trial measured `{metric}` in both.")),
        Some(found) => {
            let [low, high] = found.ci95;
            let numbers = format!(
                "`{metric}` of {b} divided by that of {a} is {} ({} {} to {}; n = {} and {}).",
                format_number(found.ratio),
                if found.too_few { "range" } else { "95 % interval" },
                format_number(low),
                format_number(high),
                found.n_b,
                found.n_a
            );
            let holds = low <= 1.0 && 1.0 <= high;
            match (found.too_few, holds) {
                (true, _) => (
                    VerdictOutcome::Inconclusive,
                    format!("{numbers} So few trials show little: run more."),
                ),
                (false, true) => (VerdictOutcome::Supported, numbers),
                (false, false) => (
                    VerdictOutcome::Refuted,
                    format!(
                        "{numbers} One in twenty such runs misses by chance; if it happens again, smaller differences of this machine mean nothing."
                    ),
                ),
            }
        }
    };
    Verdict { claim: CLAIM.to_owned(), outcome, why }
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
        assert_eq!(equal_lanes(&twin, "first_response")[0].outcome, VerdictOutcome::Refuted);
    }
}
