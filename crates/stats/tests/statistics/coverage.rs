//! Whether the intervals keep their promise: samples whose truth is known, drawn
//! again and again with a fixed seed.

use tandem_stats::{Drift, bootstrap_median_ci, coverage_bound, drift, ratio_of_medians};

/// A skewed sample, like start-up times: 300 ms and an exponential tail.
fn start_times(n: usize, state: &mut u64) -> Vec<f64> {
    (0..n)
        .map(|_| {
            // xorshift64*, a generator other than the one under test.
            *state ^= *state >> 12;
            *state ^= *state << 25;
            *state ^= *state >> 27;
            let uniform = ((state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 + 0.5)
                / (1_u64 << 53) as f64;
            300.0 - 20.0 * uniform.ln()
        })
        .collect()
}

#[test]
fn intervals_cover_the_truth_as_often_as_they_say() {
    let truth = 300.0 + 20.0 * std::f64::consts::LN_2;
    for n in [5, 10, 30] {
        let mut state = 0x7a4d_e311 + n as u64;
        let runs = 300_u32;
        let covered = (0..runs)
            .filter(|run| {
                let values = start_times(n, &mut state);
                let [low, high] = bootstrap_median_ci(&values, u64::from(*run), 1000).unwrap();
                (low..=high).contains(&truth)
            })
            .count();
        let rate = covered as f64 / f64::from(runs);
        // Four standard errors of a rate near 0.95 over 300 runs are 0.05.
        let promised = coverage_bound(n).min(0.95);
        assert!((rate - promised).abs() < 0.05, "n = {n}: covered {rate}, promised {promised}");
    }
}

#[test]
fn intervals_of_ratios_cover_the_truth_too() {
    for (n_a, n_b) in [(10, 10), (6, 15)] {
        let mut state = 0x51ce_77d1 + n_b as u64;
        let runs = 200_u32;
        let covered = (0..runs)
            .filter(|run| {
                let a = start_times(n_a, &mut state);
                // 25 times as slow, as a machine beside a container.
                let b: Vec<f64> =
                    start_times(n_b, &mut state).iter().map(|time| time * 25.0).collect();
                let [low, high] = ratio_of_medians(&a, &b, u64::from(*run)).unwrap().ci95;
                (low..=high).contains(&25.0)
            })
            .count();
        let rate = covered as f64 / f64::from(runs);
        // Four standard errors of a rate near 0.95 over 200 runs are 0.06.
        assert!((0.89..=1.0).contains(&rate), "{n_a} and {n_b} values: covered {rate}");
    }
}

#[test]
fn a_run_without_drift_is_rarely_said_to_drift() {
    let mut state = 0x0dd5_eed5;
    let runs = 200_u32;
    let alarms = (0..runs)
        .filter(|run| {
            let found: Drift = drift(&start_times(10, &mut state), u64::from(*run)).unwrap();
            found.is_significant()
        })
        .count();
    // 2 are expected at a level of 1 %; four standard errors are 6.
    assert!(alarms <= 8, "{alarms} of {runs} runs");
}
