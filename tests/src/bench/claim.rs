//! What is asked of a measure, and whether the numbers say so.

use std::fmt;

use tandem_stats::{ratio_of_medians, summarize};

use super::{measure::Unit, report::shown, schedule::Values};

/// Something that is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Claim {
    /// The median of one contender divided by that of another.
    Ratio { above: &'static str, below: &'static str, bound: Bound },
    /// Every single value of a contender, in the measure's unit.
    Each { of: &'static str, bound: Bound },
    /// The median of a contender, in the measure's unit.
    Median { of: &'static str, bound: Bound },
}

/// Where a number must lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// What the numbers say of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The whole interval lies where it must.
    Met,
    /// None of it does.
    Missed,
    /// The bound lies within the interval, or there are too few values.
    NotCertain,
}

/// A claim with the numbers that were measured for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    /// The numbers, as text.
    pub(crate) found: String,
}

impl Claim {
    /// `above ÷ below, asked ≥ 10`.
    pub(crate) fn asked(&self, unit: Unit) -> String {
        match self {
            Self::Ratio { above, below, bound } => format!("{above} ÷ {below}, asked {bound}"),
            Self::Each { of, bound } => format!("{of}, asked {} each time", bound.shown(unit)),
            Self::Median { of, bound } => format!("{of}, asked {}", bound.shown(unit)),
        }
    }

    /// Judges it; `None` when a contender has no values.
    pub(crate) fn judge(&self, values: &Values, unit: Unit, seed: u64) -> Option<Judged> {
        match self {
            Self::Ratio { above, below, bound } => {
                let ratio = ratio_of_medians(values.get(below)?, values.get(above)?, seed).ok()?;
                let verdict =
                    if ratio.too_few { Verdict::NotCertain } else { bound.judge(ratio.ci95) };
                let [low, high] = ratio.ci95;
                let found = format!(
                    "{:.2} (95 % interval {low:.2} to {high:.2}, n = {} and {})",
                    ratio.ratio, ratio.n_b, ratio.n_a
                );
                Some(Judged { verdict, found })
            }
            Self::Each { of, bound } => {
                let values = values.get(of)?;
                let worst = bound.worst(values)?;
                let found = format!("{} at worst (n = {})", shown(unit, worst), values.len());
                Some(Judged { verdict: bound.judge([worst, worst]), found })
            }
            Self::Median { of, bound } => {
                let found = summarize(values.get(of)?, seed).ok()?;
                let verdict =
                    if found.too_few { Verdict::NotCertain } else { bound.judge(found.ci95) };
                let [low, high] = found.ci95.map(|end| shown(unit, end));
                let median = shown(unit, found.median);
                let found = format!("{median} (95 % interval {low} to {high}, n = {})", found.n);
                Some(Judged { verdict, found })
            }
        }
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    fn judge(self, interval: [f64; 2]) -> Verdict {
        match interval.map(|end| self.holds(end)) {
            [true, true] => Verdict::Met,
            [false, false] => Verdict::Missed,
            _ => Verdict::NotCertain,
        }
    }

    fn shown(self, unit: Unit) -> String {
        let text = |bound| shown(unit, bound);
        match self {
            Self::AtLeast(bound) => format!("≥ {}", text(bound)),
            Self::AtMost(bound) => format!("≤ {}", text(bound)),
        }
    }

    fn worst(self, values: &[f64]) -> Option<f64> {
        let values = values.iter().copied();
        match self {
            Self::AtLeast(_) => values.reduce(f64::min),
            Self::AtMost(_) => values.reduce(f64::max),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::NotCertain => "not certain",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(theirs: [f64; 5], ours: [f64; 5], bound: Bound) -> Verdict {
        let values = Values::from([("theirs", theirs.to_vec()), ("ours", ours.to_vec())]);
        let claim = Claim::Ratio { above: "theirs", below: "ours", bound };
        claim.judge(&values, Unit::Time, 1).unwrap().verdict
    }

    #[test]
    fn only_an_interval_that_lies_on_one_side_is_a_verdict() {
        let (slow, quick) = ([100.0, 101.0, 102.0, 103.0, 104.0], [10.0, 10.1, 10.2, 10.3, 10.4]);
        assert_eq!(judged(slow, quick, Bound::AtLeast(8.0)), Verdict::Met);
        assert_eq!(judged(slow, quick, Bound::AtLeast(12.0)), Verdict::Missed);
        assert_eq!(judged(slow, quick, Bound::AtLeast(10.0)), Verdict::NotCertain);
        assert_eq!(judged(quick, slow, Bound::AtMost(1.2)), Verdict::Met);
    }

    #[test]
    fn two_values_are_too_few_and_none_are_no_verdict() {
        let claim = Claim::Ratio { above: "a", below: "b", bound: Bound::AtMost(2.0) };
        let mut values = Values::from([("a", vec![1.0, 1.0]), ("b", vec![1.0, 1.0])]);
        assert_eq!(claim.judge(&values, Unit::Time, 1).unwrap().verdict, Verdict::NotCertain);
        values.remove("a");
        assert_eq!(claim.judge(&values, Unit::Time, 1), None);
    }

    #[test]
    fn one_bad_value_misses_what_is_asked_of_each() {
        let claim = Claim::Each { of: "ours", bound: Bound::AtMost(0.0) };
        let judge = |values: &[f64]| {
            let values = Values::from([("ours", values.to_vec())]);
            claim.judge(&values, Unit::Count, 1).unwrap().verdict
        };
        assert_eq!(judge(&[0.0, 0.0]), Verdict::Met);
        assert_eq!(judge(&[0.0, 1.0]), Verdict::Missed);
    }

    #[test]
    fn a_median_is_judged_by_its_interval_in_its_unit() {
        let claim = Claim::Median { of: "ours", bound: Bound::AtMost(8e6) };
        assert_eq!(claim.asked(Unit::Time), "ours, asked ≤ 8.0 ms");
        let judge = |values: &[f64]| {
            let values = Values::from([("ours", values.to_vec())]);
            claim.judge(&values, Unit::Time, 1).unwrap()
        };
        assert_eq!(judge(&[1e6, 2e6, 3e6]).verdict, Verdict::Met);
        assert_eq!(judge(&[9e6, 10e6, 11e6]).verdict, Verdict::Missed);
        assert_eq!(judge(&[7e6, 8e6, 9e6]).verdict, Verdict::NotCertain);
        assert_eq!(judge(&[1e6, 1e6]).verdict, Verdict::NotCertain);
        assert!(judge(&[1e6, 2e6, 3e6]).found.starts_with("2.0 ms (95 % interval"));
    }
}
