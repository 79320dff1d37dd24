//! Properties that hold for every sample.
#![expect(clippy::float_cmp, reason = "equality is the property")]

use proptest::prelude::*;
use tandem_stats::{
    cliffs_delta, drift, fences, median, quantile, ratio_of_medians, stddev, summarize,
};

/// Times from a nanosecond to a day, in nanoseconds.
fn times(max: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(1.0..8.64e13_f64, 1..max)
}

fn any_numbers() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1e150..1e150_f64, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn finite_values_give_finite_numbers(values in any_numbers(), seed: u64) {
        let found = summarize(&values, seed).unwrap();
        let numbers = [found.median, found.mean, found.stddev.unwrap_or(0.0), found.ci95[0], found.ci95[1]];
        prop_assert!(numbers.iter().all(|number| number.is_finite()), "{found:?}");
        prop_assert!(found.min <= found.ci95[0] && found.ci95[0] <= found.median);
        prop_assert!(found.median <= found.ci95[1] && found.ci95[1] <= found.max);
        prop_assert!(found.min <= found.mean && found.mean <= found.max);
        prop_assert!(found.outliers <= found.n / 2);
        let drift = drift(&values, seed).unwrap();
        prop_assert!((-1.0..=1.0).contains(&(drift.rho * 0.999_999)) && drift.p > 0.0 && drift.p <= 1.0);
    }

    #[test]
    fn the_order_of_values_does_not_matter(values in times(20), shift in 0..20_usize, seed: u64) {
        let mut other = values.clone();
        other.rotate_left(shift % values.len());
        other.reverse();
        prop_assert_eq!(summarize(&values, seed), summarize(&other, seed));
        prop_assert_eq!(ratio_of_medians(&values, &values, seed), ratio_of_medians(&other, &values, seed));
    }

    #[test]
    fn a_change_of_unit_scales_everything(values in times(20), power in -20..20_i32, seed: u64) {
        // Powers of two scale without rounding, so equality is exact.
        let factor = 2.0_f64.powi(power);
        let scaled: Vec<f64> = values.iter().map(|value| value * factor).collect();
        let (plain, found) = (summarize(&values, seed).unwrap(), summarize(&scaled, seed).unwrap());
        prop_assert_eq!(found.median, plain.median * factor);
        prop_assert_eq!(found.ci95, plain.ci95.map(|end| end * factor));
        prop_assert_eq!(found.outliers, plain.outliers);
        prop_assert_eq!(
            ratio_of_medians(&scaled, &scaled, seed),
            ratio_of_medians(&values, &values, seed)
        );
    }

    #[test]
    fn a_ratio_lies_in_its_interval(a in times(15), b in times(15), seed: u64) {
        let found = ratio_of_medians(&a, &b, seed).unwrap();
        prop_assert!(found.ci95[0] <= found.ratio && found.ratio <= found.ci95[1], "{found:?}");
        prop_assert!(found.ci95[0] > 0.0 && found.ci95[1].is_finite());
    }

    #[test]
    fn delta_is_antisymmetric(a in times(15), b in times(15)) {
        let (one, other) = (cliffs_delta(&a, &b).unwrap(), cliffs_delta(&b, &a).unwrap());
        prop_assert!((one + other).abs() < 1e-12 && one.abs() <= 1.0);
    }

    #[test]
    fn quantiles_rise(values in times(20), p in 0.0..=1.0_f64, q in 0.0..=1.0_f64) {
        let (low, high) = (p.min(q), p.max(q));
        prop_assert!(quantile(&values, low).unwrap() <= quantile(&values, high).unwrap());
        prop_assert_eq!(quantile(&values, 0.5).unwrap(), median(&values).unwrap());
        let fences = fences(&values).unwrap();
        prop_assert!(fences.low <= fences.high);
        prop_assert!(stddev(&values).unwrap().is_none_or(|spread| spread >= 0.0));
    }
}
