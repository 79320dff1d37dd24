//! From a ratio with its interval to a verdict.
//!
//! The claim says that `b` is larger (or smaller) than `a`, by more than a
//! margin that nobody would notice. With the default margin m = 5 %:
//!
//! | interval of b / a, for "larger" | outcome |
//! |---|---|
//! | wholly at or above 1 + m | supported |
//! | wholly at or below 1 / (1 + m) | refuted: the opposite holds |
//! | wholly between the two | refuted: no difference worth the name |
//! | anything else | inconclusive |
//! | fewer than four trials on a side | inconclusive, whatever the interval |
//!
//! An interval wholly inside the margins is how equivalence is shown
//! (Schuirmann's two one-sided tests, 1987). Four trials a side are the least
//! at which even a complete separation of both lanes is rarer than 5 % by
//! chance: 2 of the C(8, 4) = 70 orders, against 2 of 20 with three.

use tandem_model::VerdictOutcome;

use crate::Ratio;

/// What a claim says of the ratio `b / a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// `b` is larger than `a`.
    Larger,
    /// `b` is smaller than `a`.
    Smaller,
}

/// What counts as a difference, and as evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Smallest difference worth a verdict, as a fraction: 0.05 is 5 %.
    pub margin: f64,
    /// Fewest trials on each side.
    pub min_trials: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { margin: 0.05, min_trials: 4 }
    }
}

/// Why a judgement came out as it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The whole interval lies beyond the margin on the claim's side.
    Clear,
    /// The whole interval lies beyond the margin on the other side.
    Opposite,
    /// The whole interval lies within the margin: practically equal.
    Negligible,
    /// The interval reaches over a margin.
    Undecided,
    /// A side has too few trials.
    TooFew,
}

/// A verdict's outcome with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// How the claim fared.
    pub outcome: VerdictOutcome,
    /// Why.
    pub reason: Reason,
}

/// Judges a claim about `b / a` by the table above.
pub fn judge(ratio: &Ratio, claim: Claim, thresholds: Thresholds) -> Judgement {
    let (least, most) = (1.0 + thresholds.margin, 1.0 / (1.0 + thresholds.margin));
    let [low, high] = ratio.ci95;
    let (clear, opposite) = match claim {
        Claim::Larger => (low >= least, high <= most),
        Claim::Smaller => (high <= most, low >= least),
    };
    let (outcome, reason) = if ratio.n_a.min(ratio.n_b) < thresholds.min_trials {
        (VerdictOutcome::Inconclusive, Reason::TooFew)
    } else if clear {
        (VerdictOutcome::Supported, Reason::Clear)
    } else if opposite {
        (VerdictOutcome::Refuted, Reason::Opposite)
    } else if low > most && high < least {
        (VerdictOutcome::Refuted, Reason::Negligible)
    } else {
        (VerdictOutcome::Inconclusive, Reason::Undecided)
    };
    Judgement { outcome, reason }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the numbers are exact in binary")]
mod tests {
    use super::*;

    fn judged(ci95: [f64; 2], n: usize, claim: Claim) -> (VerdictOutcome, Reason) {
        let ratio =
            Ratio { ratio: f64::midpoint(ci95[0], ci95[1]), ci95, n_a: n, n_b: n, too_few: n < 3 };
        let Judgement { outcome, reason } = judge(&ratio, claim, Thresholds::default());
        (outcome, reason)
    }

    #[test]
    fn the_table_holds() {
        use VerdictOutcome::{Inconclusive, Refuted, Supported};
        for (ci95, n, expected) in [
            ([22.9, 25.8], 10, (Supported, Reason::Clear)),
            ([1.05, 1.2], 10, (Supported, Reason::Clear)),
            ([1.04, 1.2], 10, (Inconclusive, Reason::Undecided)),
            ([0.8, 1.3], 10, (Inconclusive, Reason::Undecided)),
            ([0.97, 1.03], 10, (Refuted, Reason::Negligible)),
            ([0.5, 0.9], 10, (Refuted, Reason::Opposite)),
            ([22.9, 25.8], 3, (Inconclusive, Reason::TooFew)),
        ] {
            assert_eq!(judged(ci95, n, Claim::Larger), expected, "{ci95:?}");
            let mirrored = [1.0 / ci95[1], 1.0 / ci95[0]];
            if ci95[0] != 1.05 {
                assert_eq!(judged(mirrored, n, Claim::Smaller), expected, "{mirrored:?}");
            }
        }
    }

    #[test]
    fn numbers_that_are_none_decide_nothing() {
        let nan = [f64::NAN, f64::NAN];
        assert_eq!(judged(nan, 10, Claim::Larger).0, VerdictOutcome::Inconclusive);
    }
}
