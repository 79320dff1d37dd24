//! The percentile bootstrap of the median (Efron, "Bootstrap methods: another
//! look at the jackknife", Annals of Statistics 7, 1979).
//!
//! Why percentile and not BCa: BCa takes its acceleration from the jackknife,
//! and the jackknife fails for the median (Efron & Tibshirani, "An
//! Introduction to the Bootstrap", 1993, § 10.6: it takes two or three values
//! only, and its variance does not converge), so at ten trials the
//! "correction" is noise. The percentile interval of a median is in effect an
//! interval between order statistics: it needs no shape of the distribution
//! and cannot leave the range of what was measured.

use crate::{
    StatsError,
    descriptive::{median_of_sorted, quantile_of_sorted},
    error::sorted,
    random::{Indices, Stream},
};

/// How many resamples an interval rests on. The ends then move by less than a
/// tenth of a percentile point between seeds.
pub const RESAMPLES: usize = 10_000;

/// Samples smaller than this get their range as the interval.
pub(crate) const FEW: usize = 3;

/// The 95 % percentile-bootstrap interval `[low, high]` of the median, from
/// `resamples` resamples with replacement (at least one is drawn).
///
/// With one or two values it is `[min, max]`, which is no 95 % interval:
/// [`crate::Estimate::too_few`] flags it. See [`coverage_bound`].
pub fn bootstrap_median_ci(
    values: &[f64],
    seed: u64,
    resamples: usize,
) -> Result<[f64; 2], StatsError> {
    Ok(median_ci_of_sorted(&sorted(values)?, seed, resamples))
}

/// The largest confidence that any interval between order statistics can have
/// for the median of `n` values, 1 − 2^(1−n): the confidence of `[min, max]`
/// (the median is missed only when all values fall on one side). 0 for n = 1,
/// 0.75 for 3, 0.9375 for 5, 0.998 for 10: below n = 6 no method that makes
/// no assumption about the distribution reaches 95 %.
pub fn coverage_bound(n: usize) -> f64 {
    if n == 0 { 0.0 } else { 1.0 - 0.5_f64.powi(i32::try_from(n - 1).unwrap_or(i32::MAX)) }
}

pub(crate) fn median_ci_of_sorted(sorted: &[f64], seed: u64, resamples: usize) -> [f64; 2] {
    if sorted.len() < FEW {
        return [sorted[0], sorted[sorted.len() - 1]];
    }
    let medians = resampled_medians(sorted, seed, Stream::Median, resamples);
    percentile_interval(medians, median_of_sorted(sorted))
}

/// Medians of resamples. Drawing places instead of values lets the median be
/// selected on integers.
pub(crate) fn resampled_medians(
    sorted: &[f64],
    seed: u64,
    stream: Stream,
    resamples: usize,
) -> Vec<f64> {
    let mut indices = Indices::new(seed, stream);
    let mut places = vec![0_usize; sorted.len()];
    let upper = sorted.len() / 2;
    (0..resamples.max(1))
        .map(|_| {
            for place in &mut places {
                *place = indices.below(sorted.len());
            }
            let (before, middle, _) = places.select_nth_unstable(upper);
            let high = sorted[*middle];
            if sorted.len() % 2 == 1 {
                return high;
            }
            let low = sorted[before.iter().copied().max().unwrap_or(0)];
            low + (high - low) * 0.5
        })
        .collect()
}

/// The 2.5 % and 97.5 % quantiles of `draws`, widened where needed so that
/// the interval holds the estimate it belongs to.
pub(crate) fn percentile_interval(mut draws: Vec<f64>, estimate: f64) -> [f64; 2] {
    draws.sort_by(f64::total_cmp);
    [
        quantile_of_sorted(&draws, 0.025).min(estimate),
        quantile_of_sorted(&draws, 0.975).max(estimate),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_give_their_range() {
        assert_eq!(bootstrap_median_ci(&[4.0], 1, 100), Ok([4.0, 4.0]));
        assert_eq!(bootstrap_median_ci(&[4.0, 2.0], 1, 100), Ok([2.0, 4.0]));
        // P(the smallest of three is the median of a resample) = 7/27.
        assert_eq!(bootstrap_median_ci(&[4.0, 2.0, 3.0], 1, RESAMPLES), Ok([2.0, 4.0]));
        assert_eq!(bootstrap_median_ci(&[], 1, 100), Err(StatsError::Empty));
    }

    #[test]
    fn ends_are_the_order_statistics_theory_names() {
        // For odd n the median of a resample is at most x(k) with probability
        // P(Bin(n, k/n) > n/2). For n = 21 that is 0.0027 at k = 5, 0.0127 at
        // k = 6, 0.0417 at k = 7: the 2.5 % end is x(7), the other x(15).
        let values: Vec<f64> = (1..=21).map(f64::from).collect();
        assert_eq!(bootstrap_median_ci(&values, 7, RESAMPLES), Ok([7.0, 15.0]));
    }

    #[test]
    fn the_seed_decides() {
        let values: Vec<f64> = (0..30).map(|i| f64::from(i * i % 17)).collect();
        let once = bootstrap_median_ci(&values, 9, 200);
        assert_eq!(once, bootstrap_median_ci(&values, 9, 200));
        let others =
            (10..40).filter(|seed| bootstrap_median_ci(&values, *seed, 20) != once).count();
        assert!(others > 0);
    }

    #[test]
    fn order_statistics_cannot_promise_more() {
        assert!((coverage_bound(5) - 0.9375).abs() < 1e-12);
        assert!(coverage_bound(5) < 0.95 && coverage_bound(6) > 0.95);
        assert!(coverage_bound(0) == 0.0 && coverage_bound(1) == 0.0);
    }
}
