//! Two lanes in one metric, in the words of a verdict.

use tandem_model::{LaneReport, ResultDocument, VerdictOutcome, format::format_number};
use tandem_stats::{
    Ratio, Reason, judge,
    judge::{Claim, Thresholds},
    median, ratio_of_medians,
};

use super::{format::quantity, unit_of, values};

/// How many times as much the second of two sides has as the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    /// The second's median divided by the first's, with its interval.
    pub ratio: Ratio,
    /// Both medians, the second's first.
    medians: [String; 2],
}

impl Contrast {
    /// A metric of two lanes; `None` where a side has no number, or the first
    /// has a zero.
    pub fn of(
        document: &ResultDocument,
        metric: &str,
        first: &LaneReport,
        second: &LaneReport,
    ) -> Option<Self> {
        Self::between(document, (metric, first), (metric, second))
    }

    /// The same of two metrics, e.g. of one lane before and during something.
    pub fn between(
        document: &ResultDocument,
        first: (&str, &LaneReport),
        second: (&str, &LaneReport),
    ) -> Option<Self> {
        let of = |(metric, lane): (&str, &LaneReport)| values(&document.trials, &lane.id, metric);
        let (a, b) = (of(first), of(second));
        let ratio = ratio_of_medians(&a, &b, document.design.seed).ok()?;
        let middle = |values: &[f64], metric| {
            median(values).map_or("nothing".to_owned(), |it| quantity(it, unit_of(metric)))
        };
        Some(Self { ratio, medians: [middle(&b, second.0), middle(&a, first.0)] })
    }

    /// The ratio alone: `22.4`.
    pub fn times(&self) -> String {
        format_number(self.ratio.ratio)
    }

    /// Interval, medians and n.
    pub fn numbers(&self) -> String {
        let ratio = &self.ratio;
        let [second, first] = &self.medians;
        format!(
            "{} {} to {}; medians {second} and {first}, n = {} and {}",
            kind(ratio),
            format_number(ratio.ci95[0]),
            format_number(ratio.ci95[1]),
            ratio.n_b,
            ratio.n_a
        )
    }

    /// The ratio and its interval: `1.3 (95 % interval 1.1 to 1.6)`.
    pub fn brief(&self) -> String {
        brief(&self.ratio)
    }

    /// Whether a side has fewer trials than decide anything.
    pub fn has_too_few(&self) -> bool {
        self.ratio.n_a.min(self.ratio.n_b) < Thresholds::default().min_trials
    }

    /// The outcome for a claim that the second has more, and a sentence where
    /// the numbers alone do not explain it.
    pub fn judged(&self) -> (VerdictOutcome, String) {
        let thresholds = Thresholds::default();
        let judgement = judge(&self.ratio, Claim::Larger, thresholds);
        let evidence = match judgement.reason {
            Reason::Clear => String::new(),
            Reason::Opposite => "It is the other way round.".to_owned(),
            Reason::Negligible => {
                format!(
                    "The difference is below {} %, too small to matter.",
                    thresholds.margin * 100.0
                )
            }
            Reason::Undecided => {
                "The interval leaves open which side is ahead: run more trials.".to_owned()
            }
            Reason::TooFew => too_few(),
        };
        (judgement.outcome, evidence)
    }
}

/// See [`Contrast::brief`].
pub(crate) fn brief(ratio: &Ratio) -> String {
    let [low, high] = ratio.ci95.map(format_number);
    format!("{} ({} {low} to {high})", format_number(ratio.ratio), kind(ratio))
}

/// Fewer than three values have a range and no interval.
pub(crate) fn kind(ratio: &Ratio) -> &'static str {
    if ratio.too_few { "range" } else { "95 % interval" }
}

/// What is said of a run with too few trials.
pub fn too_few() -> String {
    format!(
        "Fewer than {} trials a lane are not enough evidence: run more.",
        Thresholds::default().min_trials
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::tests::document;

    #[test]
    fn a_ratio_never_goes_without_its_interval() {
        let found = |n| {
            let document = document(n);
            Contrast::of(&document, "first_response", &document.lanes[0], &document.lanes[1])
        };
        let many = found(6).unwrap();
        assert!(many.brief().starts_with("22.4 (95 % interval 2"), "{}", many.brief());
        assert!(!many.has_too_few() && many.judged().0 == VerdictOutcome::Supported);
        assert!(many.numbers().ends_with("medians 9.00 s and 0.40 s, n = 6 and 6"), "{many:?}");
        let few = found(2).unwrap();
        assert!(few.brief().contains(" (range 2") && few.has_too_few(), "{}", few.brief());
        assert_eq!(few.judged(), (VerdictOutcome::Inconclusive, too_few()));
        assert_eq!(found(0), None);
    }
}
