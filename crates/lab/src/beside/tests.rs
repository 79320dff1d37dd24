use tandem_model::{OutcomeKind, SCHEMA};

use super::*;
use crate::analysis::{Warnings, complete, tests::document};

/// A finished result whose numbers are `factor` times the usual ones.
fn finished(id: &str, measured: u32, factor: f64) -> ResultDocument {
    let mut result = document(measured);
    result.id = id.to_owned();
    for trial in &mut result.trials {
        for value in trial.metrics.values_mut() {
            *value = (value.as_f64().unwrap() * factor).into();
        }
    }
    let method = crate::experiment("compare").unwrap();
    complete(&mut result, method.as_ref(), Warnings::default());
    result
}

fn beside(change: impl FnOnce(&mut ResultDocument)) -> SideBySide {
    let mut other = finished("bbbbbbbb", 8, 2.0);
    change(&mut other);
    side_by_side(&[finished("aaaaaaaa", 8, 1.0), other]).unwrap()
}

fn cell<'a>(all: &'a SideBySide, lane: &str, metric: &str) -> &'a CellBeside {
    let row = all.rows.iter().find(|row| row.lane == lane && row.metric == metric).unwrap();
    assert!(row.cells[0].against.is_none(), "the first is divided by itself");
    &row.cells[1]
}

fn why(all: &SideBySide, lane: &str, metric: &str) -> String {
    match cell(all, lane, metric).against.clone().unwrap() {
        Against::Apart { why } => why,
        Against::Ratio { .. } => panic!("{lane} {metric} is compared"),
    }
}

#[test]
fn both_medians_stand_with_the_ratio_and_its_interval() {
    let all = beside(|_| ());
    assert_eq!(all.rows[0].metric, "first_response");
    assert!(all.rows[0].main);
    let found = cell(&all, "vm/micro", "first_response");
    let estimate = found.estimate.clone().unwrap();
    assert!((1.8e10..1.9e10).contains(&estimate.median), "{estimate:?}");
    let Some(Against::Ratio { ratio, ci95, finding }) = &found.against else { panic!() };
    assert!((1.95..2.05).contains(ratio) && ci95[0] <= *ratio && *ratio <= ci95[1]);
    assert_eq!(*finding, Finding::Larger);
    assert!(all.runs[1].apart.is_none() && all.runs[1].differs.is_empty());
}

#[test]
fn what_is_not_the_same_has_a_reason_instead_of_a_ratio() {
    let kvm = beside(|it| it.lanes[1].accelerator = Some(tandem_model::Accelerator::Kvm));
    assert!(why(&kvm, "vm/micro", "first_response").contains("tcg and kvm"));
    let container = cell(&kvm, "container", "first_response").against.clone();
    assert!(matches!(container, Some(Against::Ratio { .. })), "the container is the same");

    let other = beside(|it| it.experiment = "size".into());
    assert!(why(&other, "container", "memory_host").contains("experiments differ"));
    let image = beside(|it| it.subject.digest = tandem_model::Digest::from_sha256(&[2; 32]));
    assert!(why(&image, "container", "memory_host").contains("images differ"));
    let unit = beside(|it| {
        it.summary.iter_mut().for_each(|summary| summary.unit = Unit::Count);
    });
    assert!(why(&unit, "container", "memory_host").contains("units differ"));
    let gone = beside(|it| {
        it.lanes.pop();
        it.summary.retain(|summary| summary.lane == "container");
    });
    assert!(why(&gone, "vm/micro", "first_response").contains("no such lane"));
    assert_eq!(cell(&gone, "vm/micro", "first_response").estimate, None);
}

#[test]
fn too_few_trials_and_wide_intervals_are_not_enough() {
    let all = side_by_side(&[finished("aaaaaaaa", 8, 1.0), finished("bbbbbbbb", 3, 2.0)]).unwrap();
    let found = cell(&all, "container", "first_response").against.clone().unwrap();
    assert!(matches!(found, Against::Ratio { finding: Finding::TooFew, .. }), "{found:?}");
    let same = side_by_side(&[finished("aaaaaaaa", 8, 1.0), finished("bbbbbbbb", 8, 1.0)]);
    let same = same.unwrap();
    let found = cell(&same, "vm/micro", "first_response").against.clone().unwrap();
    assert!(matches!(found, Against::Ratio { finding: Finding::Equal, .. }), "{found:?}");
}

#[test]
fn other_machines_engines_and_limits_are_said() {
    let all = beside(|it| {
        it.machine.fingerprint = "g".into();
        it.machine.kernel = "k2".into();
        it.lanes[0].engine = "newer".into();
        it.lanes[1].resources.milli_cpus = Some(500);
        it.design.cache = tandem_model::CacheState::Cold;
    });
    let said = all.runs[1].differs.join("; ");
    for part in [
        "other machines",
        "kernel: k and k2",
        "fake and newer",
        "limits of vm/micro",
        "warm and cold",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn one_result_and_the_same_twice_are_refused() {
    let one = finished("aaaaaaaa", 4, 1.0);
    assert_eq!(side_by_side(std::slice::from_ref(&one)), Err(BesideError::TooFew));
    assert!(matches!(side_by_side(&[one.clone(), one]), Err(BesideError::Twice(_))));
}

#[test]
fn trials_that_failed_count_for_nothing() {
    let all = beside(|it| {
        assert_eq!(it.schema, SCHEMA);
        it.trials.iter_mut().for_each(|trial| trial.outcome = OutcomeKind::Failed);
    });
    assert!(why(&all, "container", "first_response").contains("no numbers"));
}
