use tandem_model::Accelerator;

use super::*;
use crate::analysis::{Warnings, complete, tests::document};

fn class(all: Vec<HandedIn>, join: bool) -> Class {
    super::class(all, join.then_some(&|id| Some(crate::experiment(id)?)))
}

fn handed_in(file: &str, fingerprint: &str, factor: f64) -> HandedIn {
    let mut result = document(5);
    result.id = format!("run-of-{file}");
    result.machine.fingerprint = fingerprint.to_owned();
    for trial in result.trials.iter_mut().filter(|trial| trial.lane == "vm/micro") {
        for value in trial.metrics.values_mut() {
            *value = (value.as_f64().unwrap() * factor).into();
        }
    }
    finish(&mut result);
    HandedIn { file: file.to_owned(), result: Ok(result) }
}

fn finish(result: &mut ResultDocument) {
    let method = crate::experiment("compare").unwrap();
    complete(result, method.as_ref(), Warnings::default());
}

fn changed(mut one: HandedIn, change: impl FnOnce(&mut ResultDocument)) -> HandedIn {
    let mut result = one.result.unwrap();
    change(&mut result);
    one.result = Ok(result);
    one
}

#[test]
fn each_machine_counts_once() {
    let all = class(
        vec![handed_in("a", "1", 1.0), handed_in("b", "2", 2.0), handed_in("c", "3", 3.0)],
        false,
    );
    assert_eq!((all.groups.len(), all.refused.len()), (1, 0));
    let metric = &all.groups[0].metrics[0];
    assert_eq!(
        (metric.metric.as_str(), metric.unit, metric.main),
        ("first_response", Unit::Ns, true)
    );
    let vm = metric.lanes.iter().find(|lane| lane.lane == "vm/micro").unwrap();
    assert_eq!((vm.over.n, vm.machines.len()), (3, 3));
    assert!((1.8e10..1.9e10).contains(&vm.over.median), "{:?}", vm.over);
    let ratio = &metric.ratios[0];
    assert!((44.0..46.0).contains(&ratio.over.median), "{ratio:?}");
    assert!((66.0..68.0).contains(&ratio.over.max));
}

#[test]
fn kvm_and_emulation_are_rows_of_their_own() {
    let kvm = changed(handed_in("k", "2", 0.1), |it| {
        it.lanes[1].accelerator = Some(Accelerator::Kvm);
    });
    let all = class(vec![handed_in("t", "1", 1.0), kvm], false);
    let metric = &all.groups[0].metrics[0];
    let lanes: Vec<_> =
        metric.lanes.iter().map(|it| (it.lane.as_str(), it.accelerator, it.over.n)).collect();
    assert_eq!(
        lanes,
        [
            ("container", None, 2),
            ("vm/micro", Some(Accelerator::Tcg), 1),
            ("vm/micro", Some(Accelerator::Kvm), 1)
        ]
    );
    assert_eq!(metric.ratios.len(), 2);
}

#[test]
fn what_does_not_count_is_refused_with_the_reason() {
    let broken = HandedIn { file: "x".to_owned(), result: Err("it is not JSON".to_owned()) };
    let again = HandedIn { file: "again".to_owned(), ..handed_in("a", "1", 1.0) };
    let empty = changed(handed_in("e", "4", 1.0), |it| it.summary.clear());
    let all = class(vec![handed_in("a", "1", 1.0), broken, again, empty], false);
    let why = |file: &str| all.refused.iter().find(|it| it.file == file).unwrap().why.clone();
    assert_eq!(all.groups[0].machines.len(), 1);
    assert!(why("x").contains("not JSON"));
    assert!(why("again").contains("the run of a once more"));
    assert!(why("e").contains("none of its trials"));
}

#[test]
fn other_experiments_and_images_are_other_groups() {
    let size = changed(handed_in("s", "1", 1.0), |it| it.experiment = "size".to_owned());
    let all = class(vec![size, handed_in("a", "1", 1.0), handed_in("b", "2", 1.0)], false);
    let groups: Vec<_> =
        all.groups.iter().map(|it| (it.experiment.as_str(), it.machines.len())).collect();
    assert_eq!(groups, [("compare", 2), ("size", 1)]);
    let image = changed(handed_in("i", "3", 1.0), |it| {
        it.subject.digest = format!("sha256:{}", "7".repeat(64)).parse().unwrap();
    });
    let all = class(vec![handed_in("a", "1", 1.0), image], false);
    let counts: Vec<_> = all.groups.iter().map(|it| it.machines.len()).collect();
    assert_eq!(counts, [1, 1], "times of two images are one distribution");
}

#[test]
fn runs_of_one_set_up_are_joined_only_on_request() {
    let files = || vec![handed_in("a", "1", 1.0), handed_in("b", "1", 1.0)];
    let apart = class(files(), false);
    assert_eq!(apart.groups[0].machines.len(), 2);
    assert!(apart.groups[0].machines[1].notes[0].contains("set up as machine 1"));
    let joined = class(files(), true);
    assert_eq!(joined.groups[0].machines[0].files, ["a", "b"]);
    assert_eq!(joined.groups[0].metrics[0].lanes[0].machines[0].n, 10);
    let [a, b] = files().try_into().unwrap();
    let b = changed(b, |it| it.lanes[0].engine = "other".to_owned());
    let refused = class(vec![a, b], true).refused;
    assert!(refused[0].why.contains("engines of container differ"), "{refused:?}");
}

#[test]
fn other_conditions_of_a_machine_are_told() {
    let cold = changed(handed_in("b", "2", 1.0), |it| {
        it.design.cache = tandem_model::CacheState::Cold;
        it.lanes[0].resources.memory_bytes = Some(1 << 20);
    });
    let all = class(vec![handed_in("a", "1", 1.0), cold, handed_in("c", "3", 1.0)], false);
    let notes = |at: usize| all.groups[0].machines[at].notes.join("; ");
    assert_eq!((notes(0), notes(2)), (String::new(), String::new()));
    for part in ["not measured as machine 1 was: page cache: warm and cold", "memory 1048576"] {
        assert!(notes(1).contains(part), "{}", notes(1));
    }
}
