//! Every statistic beside what SciPy makes of the same numbers
//! (`reference/generate.py` says how; its output is committed).
//!
//! What is a formula must agree to the last digits. What rests on random
//! resamples must agree with SciPy's own, which has twenty times as many and
//! another generator: an interval's end lies where SciPy puts the levels that
//! 10 000 resamples cannot tell from 2.5 % and 97.5 %.

use serde_json::Value;
use tandem_stats::{
    RESAMPLES, bootstrap_median_ci, cliffs_delta, coverage_bound, drift, fences, mean, median,
    outliers, quantile, ratio_of_medians, stddev, summarize,
};

fn reference() -> Value {
    serde_json::from_str(include_str!("reference/reference.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Equal but for rounding in another order.
#[track_caller]
fn same(ours: f64, theirs: &Value, what: &str) {
    let theirs = number(theirs);
    let scale = theirs.abs().max(1e-3);
    assert!((ours - theirs).abs() <= 1e-10 * scale, "{what}: {ours}, SciPy has {theirs}");
}

#[track_caller]
fn within(end: f64, theirs: &Value, what: &str) {
    let bounds = numbers(theirs);
    let slack = 1e-12 * bounds[1].abs();
    let inside = bounds[0] - slack <= end && end <= bounds[1] + slack;
    assert!(inside, "{what}: {end}, SciPy has it in {bounds:?}");
}

/// Calls `check` with each sample: name, values, what SciPy says.
fn each_sample(mut check: impl FnMut(&str, &[f64], &Value)) {
    let reference = reference();
    let samples = reference["samples"].as_object().unwrap();
    assert_eq!(samples.len(), 15);
    for (name, found) in samples {
        check(name, &numbers(&found["values"]), found);
    }
}

#[test]
fn moments_quantiles_and_fences_are_scipys() {
    let probabilities = numbers(&reference()["probabilities"]);
    each_sample(|name, values, found| {
        same(mean(values).unwrap(), &found["mean"], name);
        same(median(values).unwrap(), &found["median"], name);
        match stddev(values).unwrap() {
            Some(spread) => same(spread, &found["stddev"], name),
            None => assert!(found["stddev"].is_null(), "{name}"),
        }
        for (p, theirs) in probabilities.iter().zip(found["quantiles"].as_array().unwrap()) {
            same(quantile(values, *p).unwrap(), theirs, &format!("{name}, quantile {p}"));
        }
        let ours = fences(values).unwrap();
        same(ours.low, &found["fences"][0], name);
        same(ours.high, &found["fences"][1], name);
        let marked = outliers(values).unwrap().into_iter().filter(|marked| *marked).count();
        assert_eq!(Some(marked as u64), found["outliers"].as_u64(), "{name}");
        let whole = summarize(values, 1).unwrap();
        assert_eq!((whole.n, whole.outliers), (values.len(), marked), "{name}");
        same(whole.median, &found["median"], name);
    });
}

#[test]
fn intervals_of_medians_end_where_scipys_do() {
    let mut compared = 0;
    each_sample(|name, values, found| {
        if found["interval"].is_null() {
            return;
        }
        for seed in 0..5 {
            let [low, high] = bootstrap_median_ci(values, seed, RESAMPLES).unwrap();
            within(low, &found["interval"]["low"], &format!("{name}, seed {seed}, low end"));
            within(high, &found["interval"]["high"], &format!("{name}, seed {seed}, high end"));
            compared += 1;
        }
    });
    assert_eq!(compared, 65);
}

#[test]
fn ratios_with_their_intervals_and_deltas_are_scipys() {
    let reference = reference();
    let pairs = reference["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 7);
    for pair in pairs {
        let side =
            |key: &str| numbers(&reference["samples"][pair[key].as_str().unwrap()]["values"]);
        let (a, b) = (side("a"), side("b"));
        let name = format!("{} / {}", pair["b"], pair["a"]);
        // The Mann-Whitney U of the same samples, written as a share of pairs.
        same(cliffs_delta(&a, &b).unwrap(), &pair["delta"], &name);
        for seed in 0..5 {
            let found = ratio_of_medians(&a, &b, seed).unwrap();
            same(found.ratio, &pair["ratio"], &name);
            within(found.ci95[0], &pair["interval"]["low"], &format!("{name}, low end"));
            within(found.ci95[1], &pair["interval"]["high"], &format!("{name}, high end"));
        }
    }
}

#[test]
fn trends_are_spearmans_and_as_rare_as_scipy_finds_them() {
    let mut compared = 0;
    each_sample(|name, values, found| {
        if found["drift"].is_null() {
            return;
        }
        let (ours, p) = (drift(values, 7).unwrap(), number(&found["drift"]["p"]));
        same(ours.rho, &found["drift"]["rho"], name);
        // Four standard errors of a share of 10 000 shuffles, and of SciPy's.
        let slack = 4.0 * (p * (1.0 - p) * (1.0 / 10_000.0 + 1.0 / 50_000.0)).sqrt() + 2e-4;
        assert!((ours.p - p).abs() <= slack, "{name}: p {}, SciPy has {p}", ours.p);
        assert_eq!(ours.is_significant(), p < 0.01, "{name}");
        compared += 1;
    });
    assert_eq!(compared, 12);
}

#[test]
fn the_bound_of_coverage_is_the_binomials() {
    let reference = reference();
    for row in reference["coverage"].as_array().unwrap() {
        let n = usize::try_from(row[0].as_u64().unwrap()).unwrap();
        assert!((coverage_bound(n) - number(&row[1])).abs() < 1e-12, "n = {n}");
    }
}
