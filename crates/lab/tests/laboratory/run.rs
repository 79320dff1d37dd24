//! Whole runs over scripted backends and small loopback servers.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tandem_lab::{LabError, ResultStore, run};
use tandem_model::{
    BackendKind, ErrorCode, Lane, OutcomeKind, ProcessIdentity, ResultDocument, RunEvent,
    VerdictOutcome,
};

use crate::{
    common::{Journal, app, lane, never, plan, setup, slow_app, watch},
    fake::FakeBackend,
};

struct Ran {
    outcome: Result<ResultDocument, LabError>,
    events: Vec<RunEvent>,
    journal: Vec<String>,
    store: ResultStore,
    _dir: tempfile::TempDir,
}

impl Ran {
    fn document(&self) -> &ResultDocument {
        self.outcome.as_ref().unwrap()
    }

    fn warnings(&self) -> String {
        self.document().warnings.join("\n")
    }
}

async fn ran(
    plan: tandem_lab::Plan,
    journal: Journal,
    lanes: Vec<(Lane, FakeBackend)>,
    cancel_at: Option<&str>,
) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let store = ResultStore::open(&dir.path().join("results.db")).unwrap();
    let (sender, cancel) = watch();
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = events.clone();
    let cancel_at = cancel_at.map(str::to_owned);
    let mut listen = move |event: RunEvent| {
        let name = serde_json::to_value(&event).unwrap()["type"].as_str().unwrap().to_owned();
        if cancel_at.as_ref() == Some(&name) {
            sender.send_replace(true);
        }
        seen.lock().unwrap().push(event);
    };
    let lanes = lanes.into_iter().map(|(lane, backend)| setup(lane, Arc::new(backend))).collect();
    let outcome = run(&plan, lanes, &store, &mut listen, cancel).await;
    drop(listen);
    let events = Arc::try_unwrap(events).unwrap().into_inner().unwrap();
    let journal = journal.lock().unwrap().clone();
    Ran { outcome, events, journal, store, _dir: dir }
}

/// A container and a VM whose apps answer with these bodies.
fn pair(journal: &Journal, one: &'static str, two: &'static str) -> Vec<(Lane, FakeBackend)> {
    vec![
        (Lane::CONTAINER, lane(BackendKind::Container, journal, app(one))),
        (Lane::VM_MICRO, lane(BackendKind::Vm, journal, app(two))),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_prepares_all_before_it_times_any_and_leaves_nothing() {
    let journal = Journal::default();
    let lanes = pair(&journal, "hello", "hello");
    let ran = ran(plan(4, 11), journal, lanes, None).await;
    let document = ran.document();

    assert_eq!(ran.journal[..2], ["container prepare", "vm prepare"]);
    let course: Vec<&str> = ran.journal[2..].iter().map(String::as_str).collect();
    assert_eq!(course.len(), 5 * 2 * 4, "{course:?}");
    // One lane at a time, and each instance is gone before the next is made.
    let order: Vec<&str> = course
        .chunks(4)
        .map(|trial| {
            let kind = trial[0].split(' ').next().unwrap();
            let steps = ["create", "start", "stop", "remove"].map(|step| format!("{kind} {step}"));
            assert_eq!(trial, steps, "{course:?}");
            kind
        })
        .collect();
    // Interleaved: every block has both lanes, and the recorded order is true.
    assert!(order.chunks(2).all(|block| block.contains(&"container") && block.contains(&"vm")));
    let recorded: Vec<_> =
        document.design.order.iter().map(|id| id.split('/').next().unwrap()).collect();
    assert_eq!(recorded, order);
    let in_trials: Vec<_> = document.trials.iter().map(|trial| trial.lane.clone()).collect();
    assert_eq!(in_trials, document.design.order);

    assert!(document.trials.iter().all(|trial| trial.outcome == OutcomeKind::Measured));
    assert_eq!(document.trials.iter().filter(|trial| trial.warmup).count(), 2);
    assert!(document.lanes.iter().all(|lane| lane.parity.fair), "{:?}", document.lanes);
    assert_eq!(document.verdicts.len(), 3);
    assert!(matches!(ran.events.last(), Some(RunEvent::Finished { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phases_add_up_and_everything_is_measured() {
    let journal = Journal::default();
    let lanes = pair(&journal, "hello", "hello");
    let ran = ran(plan(2, 3), journal, lanes, None).await;
    for trial in &ran.document().trials {
        let names: Vec<_> = trial.phases.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(names, ["launch", "create", "app"]);
        let total: u64 = trial.phases.iter().map(|phase| phase.end_ns - phase.start_ns).sum();
        assert_eq!(trial.metrics["first_response"].as_u64(), Some(total));
        assert!(trial.phases.windows(2).all(|pair| pair[0].end_ns == pair[1].start_ns));
        // The server opens its port 30 ms after the start.
        assert!((30_000_000..3_000_000_000).contains(&total), "{total}");
        let number = |name: &str| trial.metrics[name].as_u64().unwrap();
        assert!(number("tenth_response") > number("first_response"));
        assert_eq!((number("memory_host"), number("instance_bytes")), (1 << 20, 4096));
        assert_eq!(number("response_bytes"), 5);
        assert!(number("sampler_cpu") < 100_000_000 && number("prober_cpu") > 0);
        assert!(trial.series["memory"].len() >= 2, "{:?}", trial.series);
        assert!(!trial.series["cpu"].is_empty(), "{:?}", trial.series);
        // Told while it happened, just as it is recorded.
        let told: Vec<_> = ran
            .events
            .iter()
            .filter_map(|event| match event {
                RunEvent::Phase { lane, index, name, start_ns, end_ns }
                    if (lane, *index) == (&trial.lane, trial.index) =>
                {
                    Some((name.clone(), *start_ns, *end_ns))
                }
                _ => None,
            })
            .collect();
        let recorded: Vec<_> =
            trial.phases.iter().map(|p| (p.name.clone(), p.start_ns, p.end_ns)).collect();
        assert_eq!(told, recorded);
    }
    let estimates = ran
        .events
        .iter()
        .filter(|event| matches!(event, RunEvent::Estimate { metric, .. } if metric == "first_response"))
        .count();
    assert_eq!(estimates, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_keeps_to_the_schema_and_is_on_disk() {
    let journal = Journal::default();
    let mut lanes = pair(&journal, "hello", "hello");
    let gone = FakeBackend::new(BackendKind::Process, journal.clone(), app("hello"));
    lanes.push((Lane::PROCESS, gone.unavailable("it is only a test")));
    let ran = ran(plan(1, 3), journal, lanes, None).await;
    let document = ran.document();
    let schema =
        serde_json::from_str(include_str!("../../../../tests/fixtures/result-1.schema.json"))
            .unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let value = serde_json::to_value(document).unwrap();
    let errors: Vec<_> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let stored = ran.store.show(&document.id).unwrap();
    assert_eq!(stored.document.as_ref(), Some(document));
    assert_eq!(stored.trials, document.trials);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_gives_the_order_again() {
    let order = async |seed| {
        let journal = Journal::default();
        let lanes = pair(&journal, "x", "x");
        let ran = ran(plan(6, seed), journal, lanes, None).await;
        ran.document().design.order.clone()
    };
    let (one, again, other) = (order(4).await, order(4).await, order(9).await);
    assert_eq!(one, again);
    assert_ne!(one, other);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_answers_make_the_comparison_unfair() {
    let journal = Journal::default();
    let lanes = pair(&journal, "hello world", "hello World");
    let ran = ran(plan(1, 3), journal, lanes, None).await;
    let parity = &ran.document().lanes[1].parity;
    assert!(!parity.fair && parity.differences.len() == 1, "{parity:?}");
    assert!(parity.differences[0].contains("different from byte 7 on"), "{parity:?}");
    assert!(ran.document().lanes[0].parity.fair);
    assert!(ran.warnings().contains("vm/micro did not run the same"), "{}", ran.warnings());
    assert!(ran.document().verdicts[0].why.starts_with("This comparison is unfair"));
    // It was found before anything was timed.
    let parity = ran.events.iter().position(|event| matches!(event, RunEvent::Parity { .. }));
    let timed = ran
        .events
        .iter()
        .position(|event| matches!(event, RunEvent::TrialStarted { warmup: false, .. }));
    assert!(parity.unwrap() < timed.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_cannot_run_here_does_not_end_the_run() {
    let journal = Journal::default();
    let mut lanes = pair(&journal, "hello", "hello");
    let (vm, backend) = lanes.pop().unwrap();
    lanes.push((vm, backend.unavailable("there is no QEMU")));
    let ran = ran(plan(2, 3), journal, lanes, None).await;
    let document = ran.document();
    let vm: Vec<_> = document.trials.iter().filter(|trial| trial.lane == "vm/micro").collect();
    assert_eq!(vm.len(), 1);
    assert_eq!(vm[0].outcome, OutcomeKind::Unavailable);
    assert!(vm[0].reason.as_ref().unwrap().contains("there is no QEMU"));
    assert!(ran.warnings().contains("there is no QEMU"));
    assert_eq!(document.verdicts[0].outcome, VerdictOutcome::NotMeasured);
    assert!(document.verdicts[0].why.contains("there is no QEMU"), "{:?}", document.verdicts[0]);
    assert_eq!(document.summary.iter().find(|s| s.metric == "first_response").unwrap().n, 2);
    assert!(!ran.journal.iter().any(|line| line.starts_with("vm")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_to_run_is_an_error() {
    let journal = Journal::default();
    let gone = FakeBackend::new(BackendKind::Vm, journal.clone(), app("x"));
    let lanes = vec![(Lane::VM_MICRO, gone.unavailable("there is no QEMU"))];
    let ran = ran(plan(2, 3), journal, lanes, None).await;
    let error = ran.outcome.as_ref().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert!(error.to_string().contains("there is no QEMU"));
    assert!(matches!(ran.events.last(), Some(RunEvent::Stopped { .. })));
    assert!(ran.store.list().unwrap()[0].stopped.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_never_answers_fails_with_its_log_and_the_lane_is_given_up() {
    let journal = Journal::default();
    let lanes = vec![
        (Lane::CONTAINER, lane(BackendKind::Container, &journal, app("hello"))),
        (Lane::PROCESS, lane(BackendKind::Process, &journal, never)),
    ];
    let mut plan = plan(4, 3);
    plan.time_limit = Duration::from_millis(400);
    let ran = ran(plan, journal, lanes, None).await;
    let document = ran.document();
    let failed: Vec<_> = document.trials.iter().filter(|trial| trial.lane == "process").collect();
    assert_eq!(failed.len(), 2, "given up after two failures in a row");
    for trial in failed {
        assert_eq!(trial.outcome, OutcomeKind::Failed);
        let reason = trial.reason.as_ref().unwrap();
        for part in
            ["no HTTP 200 within 0.4 s", "refused", "0.0.0.0:8080", "a line of the fake's log"]
        {
            assert!(reason.contains(part), "{part}: {reason}");
        }
        assert!(trial.metrics.is_empty(), "a failure has no numbers");
    }
    assert!(!document.summary.iter().any(|summary| summary.lane == "process"));
    assert!(ran.warnings().contains("process was given up after 2 failures"), "{}", ran.warnings());
    let removed = ran.journal.iter().filter(|line| *line == "process remove").count();
    assert_eq!(removed, 2);
    assert_eq!(document.summary.iter().find(|s| s.metric == "first_response").unwrap().n, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_ends_early_is_told_with_its_code() {
    let journal = Journal::default();
    let ending = FakeBackend::new(BackendKind::Container, journal.clone(), never).exiting(3);
    let ran = ran(plan(1, 3), journal, vec![(Lane::CONTAINER, ending)], None).await;
    let reason = ran.document().trials[0].reason.as_ref().unwrap();
    assert!(reason.contains("exit code 3") && reason.contains("a line of"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_nobody_looks_after_any_more_is_not_waited_for() {
    let journal = Journal::default();
    let killed = ProcessIdentity { pid: std::process::id(), start: u64::MAX };
    let alone = FakeBackend::new(BackendKind::Vm, journal.clone(), never).supervised_by(killed);
    let begin = std::time::Instant::now();
    let plan = tandem_lab::Plan { time_limit: Duration::from_mins(10), ..plan(1, 3) };
    let ran = ran(plan, journal, vec![(Lane::VM_MICRO, alone)], None).await;
    let reason = ran.document().trials[0].reason.as_ref().unwrap();
    let told = format!("supervisor (process {}) was killed", killed.pid);
    assert!(reason.contains(&told), "{reason}");
    assert!(begin.elapsed() < Duration::from_mins(2), "it was waited for");
    assert!(ran.journal.iter().any(|line| line == "vm remove"), "{:?}", ran.journal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_removes_what_it_made_and_says_so() {
    for moment in [
        "planned",
        "preparing",
        "trial_started",
        "phase",
        "first_response",
        "ledgers",
        "trial_finished",
    ] {
        let journal = Journal::default();
        let lanes = pair(&journal, "hello", "hello");
        let started = std::time::Instant::now();
        let ran = ran(plan(50, 3), journal, lanes, Some(moment)).await;
        assert!(started.elapsed() < Duration::from_secs(10), "{moment}");
        assert!(matches!(ran.outcome, Err(LabError::Cancelled)), "{moment}");
        let count = |what: &str| ran.journal.iter().filter(|line| line.ends_with(what)).count();
        assert_eq!(count("create"), count("remove"), "{moment}: {:?}", ran.journal);
        let Some(RunEvent::Stopped { error, cleaned }) = ran.events.last() else {
            panic!("{moment}: {:?}", ran.events.last());
        };
        assert_eq!(error.code, ErrorCode::Cancelled);
        if ["phase", "first_response"].contains(&moment) {
            assert_eq!(cleaned.len(), 1, "{moment}");
            assert!(cleaned[0].contains("hello-") && cleaned[0].contains("removed"), "{cleaned:?}");
        }
        let row = &ran.store.list().unwrap()[0];
        assert_eq!(row.stopped.as_deref(), Some("the run was cancelled"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_instances_are_kept_when_asked() {
    let journal = Journal::default();
    let lanes = pair(&journal, "hello", "hello");
    let mut plan = plan(2, 3);
    plan.keep = true;
    let ran = ran(plan, journal, lanes, None).await;
    let kept: Vec<_> = ran
        .events
        .iter()
        .filter_map(|event| match event {
            RunEvent::Kept { lane, url, name, .. } => Some((lane.as_str(), url.clone(), name)),
            _ => None,
        })
        .collect();
    assert_eq!(kept.len(), 2);
    assert_ne!(kept[0].0, kept[1].0);
    for (_, url, name) in kept {
        let addr = url.strip_prefix("http://").unwrap().trim_end_matches('/').parse().unwrap();
        let body = tandem_probe::get(addr, "/", Duration::from_secs(5)).await.unwrap().bytes;
        assert_eq!(body, b"hello");
        assert!(name.starts_with("hello-"), "{name}");
    }
    let count = |what: &str| ran.journal.iter().filter(|line| line.ends_with(what)).count();
    assert_eq!((count("create"), count("remove"), count("disown")), (6, 4, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_lanes_are_told_apart_and_found_equal() {
    let journal = Journal::default();
    let lanes = vec![
        (Lane::CONTAINER, lane(BackendKind::Container, &journal, slow_app(200))),
        (Lane::CONTAINER, lane(BackendKind::Container, &journal, slow_app(200))),
    ];
    let ran = ran(plan(5, 3), journal, lanes, None).await;
    let ids: Vec<_> = ran.document().lanes.iter().map(|lane| lane.id.as_str()).collect();
    assert_eq!(ids, ["container", "container#2"]);
    let first = &ran.document().comparisons[0];
    assert_eq!((first.metric.as_str(), first.a.as_str()), ("first_response", "container"));
    assert!((0.8..1.25).contains(&first.ratio), "{first:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_plans_are_refused() {
    for wrong in [
        tandem_lab::Plan { trials: 0, ..plan(1, 1) },
        tandem_lab::Plan { trials: 20_000, ..plan(1, 1) },
        plan(1, 1 << 53),
        tandem_lab::Plan { time_limit: Duration::ZERO, ..plan(1, 1) },
    ] {
        let journal = Journal::default();
        let lanes = pair(&journal, "x", "x");
        let ran = ran(wrong, journal, lanes, None).await;
        assert_eq!(ran.outcome.unwrap_err().code(), ErrorCode::Usage);
        assert!(ran.journal.is_empty());
    }
}
