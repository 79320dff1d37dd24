use serde_json::json;
use tandem_model::Verdict;

use super::*;

/// A lane's id with what its trials have, metric by metric.
type Column<'a> = (&'a str, &'a [(&'a str, &'a [f64])]);

/// A document with these lanes.
fn document(experiment: &str, lanes: &[Column<'_>]) -> ResultDocument {
    let lane = |id: &str| {
        let backend = id.split('/').next().unwrap_or_default();
        let accelerator = (backend == "vm").then_some("tcg");
        json!({ "id": id, "backend": backend, "profile": null, "engine": "fake",
            "accelerator": accelerator,
            "resources": { "memory_bytes": null, "milli_cpus": null, "pids": null },
            "parity": { "fair": true, "differences": [] } })
    };
    let mut trials = Vec::new();
    for (id, metrics) in lanes {
        let count = metrics.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        for index in 0..count {
            let of_trial: serde_json::Map<_, _> = metrics
                .iter()
                .filter_map(|(name, values)| Some(((*name).to_owned(), json!(values.get(index)?))))
                .collect();
            trials.push(json!({ "lane": id, "index": index, "warmup": false,
                "outcome": "measured", "reason": null, "phases": [], "metrics": of_trial,
                "series": {} }));
        }
    }
    let digest = format!("sha256:{}", "1".repeat(64));
    let text = json!({ "schema": tandem_model::SCHEMA, "id": "0123456789abcdef",
        "experiment": experiment, "started_at": "2026-01-01T00:00:00Z",
        "finished_at": "2026-01-01T00:01:00Z",
        "subject": { "name": "s", "image": "s:latest", "digest": digest, "base": null,
            "base_substituted": false },
        "machine": { "fingerprint": "f", "cpu": "c", "cores": 2, "memory_bytes": 1,
            "kernel": "k", "os": "o", "cgroup": "v2", "virtualised": null },
        "design": { "trials": 5, "warmup": 0, "seed": 5, "order": [], "cache": "warm" },
        "lanes": lanes.iter().map(|(id, _)| lane(id)).collect::<Vec<_>>(), "trials": trials,
        "summary": [], "comparisons": [], "verdicts": [], "predictions": [], "warnings": [] });
    serde_json::from_value(text).unwrap()
}

fn judged(document: &ResultDocument) -> Verdict {
    verdicts(document).remove(0)
}

const SECOND: f64 = 1e9;

fn seconds(values: [f64; 5]) -> [f64; 5] {
    values.map(|value| value * SECOND)
}

#[test]
fn a_ratio_of_builds_has_its_interval_and_enough_trials() {
    let (quick, slow) =
        (seconds([1.0, 1.1, 1.05, 0.9, 1.0]), seconds([9.0, 10.0, 11.0, 9.5, 10.0]));
    let of = |n: usize| {
        document(
            "build",
            &[
                ("container", &[("edit_to_response", &quick[..n]), ("build_cold", &slow[..n])]),
                ("vm/micro", &[("edit_to_response", &slow[..n]), ("build_cold", &slow[..n])]),
            ],
        )
    };
    let found = judged(&of(5));
    assert_eq!(found.outcome, VerdictOutcome::Supported);
    for part in ["10 times as long", "95 % interval", "n = 5 and 5", "software emulation"] {
        assert!(found.why.contains(part), "{part}: {}", found.why);
    }
    let few = judged(&of(3));
    assert_eq!(few.outcome, VerdictOutcome::Inconclusive);
    assert!(few.why.contains("Fewer than 4 trials"), "{}", few.why);
    let mut unfair = of(5);
    unfair.lanes[1].parity.fair = false;
    unfair.lanes[1].parity.differences.push("memory limit: a, b".to_owned());
    let found = judged(&unfair);
    assert!(
        found.why.starts_with("This comparison is unfair (memory limit: a, b). From"),
        "{found:?}"
    );
}

#[test]
fn wrapping_is_light_when_the_whole_interval_is() {
    let base = seconds([1.0, 1.02, 1.01, 0.99, 1.0]);
    let vm = seconds([4.0, 4.1, 4.2, 3.9, 4.0]);
    let told = |container: [f64; 5]| {
        let container = seconds(container);
        let lane =
            |times: &[f64; 5]| [("cpu_time", times.to_vec()), ("throughput", vec![500.0; 5])];
        let of = [lane(&base), lane(&container), lane(&vm)];
        let rows = of.each_ref().map(|lane| lane.each_ref().map(|(name, all)| (*name, &all[..])));
        judged(&document(
            "overhead",
            &[("process", &rows[0]), ("container", &rows[1]), ("vm/micro", &rows[2])],
        ))
    };
    let light = told([1.0, 1.03, 1.02, 1.01, 1.02]);
    assert_eq!(light.outcome, VerdictOutcome::Supported);
    assert!(light.why.contains("1.02 (95 % interval"), "{}", light.why);
    assert!(light.why.contains("500 requests a second"), "{}", light.why);
    assert_eq!(told([1.0, 1.4, 0.9, 1.3, 1.1]).outcome, VerdictOutcome::Inconclusive);
    assert_eq!(told([1.5, 1.6, 1.5, 1.4, 1.5]).outcome, VerdictOutcome::Refuted);
}

#[test]
fn a_percentile_of_few_answers_says_so() {
    let (calm, busy) = (seconds([0.01, 0.011, 0.01, 0.012, 0.01]), seconds([0.02; 5]));
    let of = |requests: f64, busy: &[f64; 5]| {
        let asked = [requests; 5];
        let lane = [("latency_p99", &calm[..]), ("latency_p99_beside", busy), ("requests", &asked)];
        judged(&document("neighbour", &[("container", &lane), ("vm/micro", &lane)]))
    };
    let few = of(25.0, &busy);
    assert_eq!(few.outcome, VerdictOutcome::Supported);
    assert!(few.why.contains("processors 2 (95 % interval 1.67 to 2) and 2 ("), "{}", few.why);
    assert!(few.why.contains("the VM 25 times"), "{}", few.why);
    assert!(!of(600.0, &busy).why.contains("a hundred"));
    assert_eq!(of(600.0, &seconds([0.09; 5])).outcome, VerdictOutcome::Inconclusive);
}

#[test]
fn what_a_new_machine_lacks_is_said_too() {
    let lane = |anew: f64| {
        [
            ("survives.layer_restart", vec![1.0]),
            ("survives.layer_anew", vec![anew]),
            ("survives.volume_anew", vec![1.0]),
        ]
    };
    let of = lane(0.0);
    let rows = of.each_ref().map(|(name, all)| (*name, &all[..]));
    let found = judged(&document("persistence", &[("container", &rows), ("vm/micro", &rows)]));
    assert_eq!(found.outcome, VerdictOutcome::Supported);
    let told = "still there after a restart and gone after it was made anew: a disk file goes";
    assert!(found.why.contains(told), "{}", found.why);
}

#[test]
fn a_snapshot_that_does_not_leave_its_home_refutes_the_claim() {
    let told = |elsewhere: Option<f64>| {
        let mut vm = vec![("survives.disk", vec![1.0]), ("survives.memory", vec![1.0])];
        if let Some(value) = elsewhere {
            vm.push(("survives.disk_elsewhere", vec![1.0]));
            vm.push(("survives.memory_elsewhere", vec![value]));
            vm.push(("survives.memory_from_files", vec![0.0]));
        }
        let vm: Vec<_> = vm.iter().map(|(name, all)| (*name, &all[..])).collect();
        let container = [("survives.disk", &[1.0][..]), ("survives.memory", &[0.0])];
        judged(&document("snapshot", &[("container", &container), ("vm/micro", &vm)]))
    };
    // Results of earlier versions.
    assert_eq!(told(None).outcome, VerdictOutcome::Supported);
    let found = told(Some(1.0));
    assert_eq!(found.outcome, VerdictOutcome::Supported);
    for said in ["restored too: both marks came back.", "files alone the mark in memory did not."] {
        assert!(found.why.contains(said), "{}", found.why);
    }
    let found = told(Some(0.0));
    assert_eq!(found.outcome, VerdictOutcome::Refuted);
    assert!(found.why.contains("not both marks came back"), "{}", found.why);
}

#[test]
fn the_other_ways_of_a_container_are_told_where_they_were_tried() {
    let told = |ways: &[(&'static str, f64)]| {
        let mut container = vec![("survives.disk", vec![1.0]), ("survives.memory", vec![0.0])];
        container.extend(ways.iter().map(|(name, value)| (*name, vec![*value])));
        let container: Vec<_> = container.iter().map(|(name, all)| (*name, &all[..])).collect();
        let vm = [("survives.disk", &[1.0][..]), ("survives.memory", &[1.0])];
        judged(&document("snapshot", &[("container", &container), ("vm/micro", &vm)])).why
    };
    assert!(!told(&[]).contains("committed") && !told(&[]).contains("copy of its volume"));
    let found = told(&[
        ("survives.disk_from_commit", 1.0),
        ("survives.memory_from_commit", 0.0),
        ("survives.volume_from_copy", 1.0),
        ("survives.disk_from_copy", 0.0),
        ("survives.memory_from_copy", 0.0),
    ]);
    for said in [
        "committed of the container the mark on disk came back, the one in memory did not.",
        "the mark in the volume came back, the one on disk did not, the one in memory did not.",
    ] {
        assert!(found.contains(said), "{found}");
    }
}

const MIB: f64 = (1 << 20) as f64;

/// What elasticity finds: asked for 576 MiB within 384, and for `cpus`
/// processors within one, of which a container without a limit and a VM got so
/// many.
fn grown(free: f64, vm: f64) -> Verdict {
    let common = |reached: f64| {
        vec![
            ("demand_bytes", 576.0 * MIB),
            ("reached_bytes", reached * MIB),
            ("demand_cpus", 2.0),
            ("limit_cpus", 1.0),
        ]
    };
    let mut of_container = common(368.0);
    of_container.extend([
        ("reached_without_limit_bytes", 576.0 * MIB),
        ("got_cpus", 1.0),
        ("got_without_limit_cpus", free),
        ("throttled_periods", 10.0),
        ("periods", 10.0),
        ("memory_host_freed", MIB),
    ]);
    let mut of_vm = common(304.0);
    of_vm.extend([
        ("got_cpus", vm),
        ("got_when_given_cpus", 1.9),
        ("reached_when_given_bytes", 576.0 * MIB),
        ("allocate_lag", 0.3 * SECOND),
        ("memory_host_freed", 700.0 * MIB),
        ("memory_host_taken_back", 300.0 * MIB),
    ]);
    let values = |all: &[(&'static str, f64)]| -> Vec<(&'static str, Vec<f64>)> {
        all.iter().map(|(name, value)| (*name, vec![*value])).collect()
    };
    let (container, vm) = (values(&of_container), values(&of_vm));
    let rows = [&container, &vm]
        .map(|lane| lane.iter().map(|(name, all)| (*name, &all[..])).collect::<Vec<_>>());
    judged(&document("elasticity", &[("container", &rows[0]), ("vm/micro", &rows[1])]))
}

#[test]
fn more_processors_come_by_themselves_or_by_somebody() {
    let found = grown(1.95, 1.02);
    assert_eq!(found.outcome, VerdictOutcome::Supported);
    for said in [
        "Asked for 2 processors, they got 1.95, 1 and 1.02.",
        "held the container back in 10 of 10 periods",
        "Given more while it ran, which took 0.30 s, the VM got 576 MiB and 1.90 processors.",
        "the container held 1.0 MiB of the host's and the VM 700 MiB, and 300 MiB after",
    ] {
        assert!(found.why.contains(said), "{said}: {}", found.why);
    }
    let busy = grown(1.1, 1.0);
    assert_eq!(busy.outcome, VerdictOutcome::Inconclusive);
    assert!(busy.why.contains("others kept this machine's processors busy"), "{}", busy.why);
    assert_eq!(grown(1.95, 1.6).outcome, VerdictOutcome::Refuted);
}

#[test]
fn memory_alone_decides_in_results_of_earlier_versions() {
    let container = [
        ("demand_bytes", &[6.0][..]),
        ("reached_bytes", &[4.0]),
        ("reached_without_limit_bytes", &[6.0]),
    ];
    let vm = [("demand_bytes", &[6.0][..]), ("reached_bytes", &[3.0])];
    let found = judged(&document("elasticity", &[("container", &container), ("vm/micro", &vm)]));
    assert_eq!(found.outcome, VerdictOutcome::Supported);
    assert!(!found.why.contains("processors"), "{}", found.why);
}

#[test]
fn what_takes_all_memory_must_be_stopped_too() {
    let told = |hog: Option<f64>| {
        let lane = |kernel: f64| {
            let mut all = vec![
                ("own_kernel", vec![kernel]),
                ("sees_host_processes", vec![0.0]),
                ("sees_host_files", vec![0.0]),
                ("contained.bomb", vec![1.0]),
            ];
            all.extend(hog.map(|hog| ("contained.hog", vec![hog])));
            all
        };
        let (container, vm) = (lane(0.0), lane(1.0));
        let rows = [&container, &vm]
            .map(|lane| lane.iter().map(|(name, all)| (*name, &all[..])).collect::<Vec<_>>());
        judged(&document("isolation", &[("container", &rows[0]), ("vm/micro", &rows[1])]))
    };
    assert_eq!(told(None).outcome, VerdictOutcome::Supported);
    let found = told(Some(1.0));
    assert_eq!(found.outcome, VerdictOutcome::Supported);
    assert!(found.why.contains("was stopped at the limit in both"), "{}", found.why);
    let found = told(Some(0.0));
    assert_eq!(found.outcome, VerdictOutcome::Refuted);
    assert!(found.why.contains("was not stopped at the limit"), "{}", found.why);
}

#[test]
fn the_reason_is_that_of_a_lane_which_the_claim_is_about() {
    let mut found = document(
        "portability",
        &[("process", &[("x", &[1.0])]), ("container", &[]), ("vm/micro", &[("x", &[1.0])])],
    );
    for (trial, reason) in
        found.trials.iter_mut().zip(["no inside", "no kernel; its last output:\n  E: x"])
    {
        trial.reason = Some(reason.to_owned());
    }
    let why = judged(&found).why;
    assert!(why.ends_with("The first reason: no kernel"), "{why}");
}

#[test]
fn the_comparison_with_a_bare_process_says_that_it_lacks_one() {
    let times = seconds([1.0, 1.1, 1.0, 1.05, 1.0]);
    let lane = [("cpu_time", &times[..])];
    let found = judged(&document("overhead", &[("container", &lane), ("vm/micro", &lane)]));
    assert_eq!(found.outcome, VerdictOutcome::NotMeasured);
    assert!(found.why.contains("bare process, and this run had none"), "{}", found.why);
    let empty =
        document("overhead", &[("process", &[]), ("container", &lane), ("vm/micro", &lane)]);
    assert_eq!(judged(&empty).why, "Not every lane was measured.");
}

#[test]
fn of_several_machines_the_one_that_is_judged_is_named() {
    let times = seconds([1.0, 1.1, 1.0, 1.05, 1.0]);
    let lane = [("edit_to_response", &times[..])];
    let lanes = [("container", &lane[..]), ("vm/full", &lane), ("vm/micro", &lane)];
    assert!(
        judged(&document("build", &lanes))
            .why
            .ends_with("The VM is vm/full; the other machines' figures stand in the table.")
    );
    assert!(!judged(&document("build", &lanes[..2])).why.contains("The VM is"));
}

#[test]
fn requests_without_an_answer_are_not_forgotten_beside_a_percentile() {
    let calm = seconds([0.01, 0.011, 0.01, 0.012, 0.01]);
    let of = |failed: f64| {
        let (asked, failed) = ([200.0; 5], [failed; 5]);
        let lane = [
            ("latency_p99", &calm[..]),
            ("latency_p99_beside", &calm),
            ("requests", &asked),
            ("requests_beside", &asked),
            ("failed_requests_beside", &failed),
        ];
        judged(&document("neighbour", &[("container", &lane), ("vm/micro", &lane)]))
    };
    assert_eq!(of(0.0).outcome, VerdictOutcome::Supported);
    let some = of(3.0);
    assert_eq!(some.outcome, VerdictOutcome::Inconclusive);
    assert!(
        some.why.contains("15 of 1000 requests to the container and 15 of 1000"),
        "{}",
        some.why
    );
}

#[test]
fn a_snapshot_that_did_not_bring_all_back_is_not_said_to_have() {
    let told = |vm: f64, container: f64| {
        let (vm, container) = ([vm; 1], [container; 1]);
        let of = |marks: &[f64; 1]| {
            [("survives.disk", marks.to_vec()), ("survives.memory", marks.to_vec())]
        };
        let rows = [of(&container), of(&vm)];
        let rows = rows.each_ref().map(|row| row.each_ref().map(|(name, all)| (*name, &all[..])));
        judged(&document("snapshot", &[("container", &rows[0]), ("vm/micro", &rows[1])])).why
    };
    assert!(
        told(1.0, 0.0).contains("So VMs do restore whole; of this container the files did not")
    );
    let lost = told(0.0, 1.0);
    assert!(lost.contains("So this VM did not restore whole") && lost.contains("(CRIU)"), "{lost}");
}
