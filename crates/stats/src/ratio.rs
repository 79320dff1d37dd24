use crate::{
    RESAMPLES, StatsError,
    bootstrap::{FEW, percentile_interval, resampled_medians},
    descriptive::median_of_sorted,
    error::sorted,
    random::Stream,
};

/// A ratio of two medians with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Median of `b` divided by the median of `a`; no unit.
    pub ratio: f64,
    /// Its 95 % interval.
    pub ci95: [f64; 2],
    /// Values in the denominator.
    pub n_a: usize,
    /// Values in the numerator.
    pub n_b: usize,
    /// One side has fewer than three values: the interval is then
    /// `[min b / max a, max b / min a]` and not a 95 % interval.
    pub too_few: bool,
}

impl Ratio {
    /// The same comparison read the other way, `a / b`. `None` when the
    /// interval of `b / a` touches zero.
    pub fn inverse(&self) -> Option<Self> {
        (self.ci95[0] > 0.0).then(|| Self {
            ratio: 1.0 / self.ratio,
            ci95: [1.0 / self.ci95[1], 1.0 / self.ci95[0]],
            n_a: self.n_b,
            n_b: self.n_a,
            too_few: self.too_few,
        })
    }
}

/// How many times larger `b` is than `a`: median(b) / median(a), with a 95 %
/// percentile-bootstrap interval over 10 000 pairs of resamples. Both lanes
/// are resampled independently, for they are independent samples
/// (Efron & Tibshirani 1993, § 8.3); an interval of the ratio may not be
/// made by dividing the ends of two intervals.
///
/// `a` must be positive and `b` not negative. The numbers do not depend on
/// the order of values within a side.
pub fn ratio_of_medians(a: &[f64], b: &[f64], seed: u64) -> Result<Ratio, StatsError> {
    if let Some(index) = a.iter().position(|value| *value <= 0.0) {
        return Err(StatsError::NotPositive { index });
    }
    if let Some(index) = b.iter().position(|value| *value < 0.0) {
        return Err(StatsError::NotPositive { index });
    }
    let (a, b) = (sorted(a)?, sorted(b)?);
    let ratio = median_of_sorted(&b) / median_of_sorted(&a);
    let too_few = a.len() < FEW || b.len() < FEW;
    let ci95 = if too_few {
        [b[0] / a[a.len() - 1], b[b.len() - 1] / a[0]]
    } else {
        let below = resampled_medians(&a, seed, Stream::RatioA, RESAMPLES);
        let above = resampled_medians(&b, seed, Stream::RatioB, RESAMPLES);
        percentile_interval(above.iter().zip(below).map(|(b, a)| b / a).collect(), ratio)
    };
    Ok(Ratio { ratio, ci95, n_a: a.len(), n_b: b.len(), too_few })
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the numbers are exact in binary")]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_b_over_a() {
        let ratio = ratio_of_medians(&[1.0, 2.0, 3.0], &[30.0, 40.0, 50.0], 3).unwrap();
        assert_eq!((ratio.ratio, ratio.too_few), (20.0, false));
        assert_eq!(ratio.ci95, [10.0, 50.0]);
        let back = ratio.inverse().unwrap();
        assert_eq!((back.ratio, back.ci95), (0.05, [0.02, 0.1]));
    }

    #[test]
    fn few_values_give_the_widest_interval() {
        let ratio = ratio_of_medians(&[2.0, 4.0], &[8.0], 3).unwrap();
        assert!(ratio.too_few);
        assert_eq!(ratio.ci95, [2.0, 4.0]);
    }

    #[test]
    fn both_sides_are_resampled_on_their_own() {
        // Resampled together, equal sides would give 1 every time.
        let values: Vec<f64> = (1..=15).map(f64::from).collect();
        let ratio = ratio_of_medians(&values, &values, 3).unwrap();
        assert!(ratio.ratio == 1.0 && ratio.ci95[0] < 0.9 && ratio.ci95[1] > 1.1, "{ratio:?}");
    }

    #[test]
    fn zero_cannot_divide() {
        assert_eq!(ratio_of_medians(&[0.0], &[1.0], 1), Err(StatsError::NotPositive { index: 0 }));
        assert_eq!(
            ratio_of_medians(&[1.0], &[1.0, -1.0], 1),
            Err(StatsError::NotPositive { index: 1 })
        );
        assert_eq!(ratio_of_medians(&[1.0], &[0.0], 1).unwrap().inverse(), None);
        assert_eq!(ratio_of_medians(&[], &[0.0], 1), Err(StatsError::Empty));
        assert_eq!(
            ratio_of_medians(&[f64::NAN], &[0.0], 1),
            Err(StatsError::NotFinite { index: 0 })
        );
    }
}
