//! Runs that end early and go on.

use tandem_lab::{Earlier, LabError, Plan, ResultStore, blocks, read_document, run};
use tandem_model::{Accelerator, ErrorCode, RunEvent};

use crate::common::{Journal, lanes, plan, watch};

fn planned() -> Plan {
    Plan { request: "what the caller wants".to_owned(), ..plan(4, 11) }
}

/// A run that was cancelled when so many trials were measured: its store, in a
/// folder that goes with the first value, and its id.
async fn cut(after: usize) -> (tempfile::TempDir, ResultStore, String) {
    let dir = tempfile::tempdir().unwrap();
    let store = ResultStore::open(&dir.path().join("results.db")).unwrap();
    let (sender, cancel) = watch();
    let mut seen = 0;
    let mut listen = |event: RunEvent| {
        seen += usize::from(matches!(event, RunEvent::TrialFinished { .. }));
        if seen == after {
            sender.send_replace(true);
        }
    };
    let journal = Journal::default();
    let outcome = run(&planned(), lanes(&journal), &store, &mut listen, cancel).await;
    assert!(matches!(outcome, Err(LabError::Cancelled)), "{outcome:?}");
    let id = store.list().unwrap()[0].id.clone();
    (dir, store, id)
}

async fn go_on(store: &ResultStore, earlier: Earlier) -> Result<Plan, (Plan, LabError)> {
    let plan = Plan { earlier: Some(earlier), ..planned() };
    let (_sender, cancel) = watch();
    let mut ignore = |_| {};
    match run(&plan, lanes(&Journal::default()), store, &mut ignore, cancel).await {
        Ok(_) => Ok(plan),
        Err(e) => Err((plan, e)),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_measured_counts_and_the_rest_keeps_its_order() {
    let (_dir, store, id) = cut(5).await;
    let found = store.earlier(&id[..6]).unwrap();
    assert_eq!((found.seed, found.request.as_str()), (11, "what the caller wants"));
    assert_eq!((found.earlier.trials.len(), found.earlier.lanes.len()), (5, 2));
    let before = found.earlier.trials.clone();
    go_on(&store, found.earlier).await.unwrap();

    let document = store.show(&id).unwrap().document.unwrap();
    assert_eq!(document.trials[..5], before[..]);
    // Beside the planned trials each lane made a warm-up of its own.
    assert_eq!(document.trials.len(), 2 * (1 + 4) + 2);
    let names = ["container", "vm/micro"];
    let drawn: Vec<_> = blocks(2, 5, 11).concat().into_iter().map(|lane| names[lane]).collect();
    let planned: Vec<_> = document.trials.iter().filter(|trial| trial.index < 5).collect();
    let ran: Vec<_> = planned.iter().map(|trial| trial.lane.as_str()).collect();
    assert_eq!(ran, drawn, "the order of the seed");
    let order: Vec<_> = document.trials.iter().map(|trial| trial.lane.clone()).collect();
    assert_eq!(document.design.order, order);
    assert!(document.trials.iter().filter(|trial| trial.index >= 5).all(|trial| trial.warmup));
    let summary = document.summary.iter().find(|it| it.lane == "container").unwrap();
    assert_eq!(summary.n, 4);
    assert!(document.lanes.iter().all(|lane| lane.parity.fair), "{:?}", document.lanes);
    let warnings = document.warnings.join("\n");
    assert!(warnings.contains("resumed after 5 trials"), "{warnings}");
    let refused = store.earlier(&id).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Usage);
    assert!(refused.to_string().contains("has its result"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_accelerator_is_not_pooled_with_the_first() {
    let (_dir, store, id) = cut(3).await;
    let mut earlier = store.earlier(&id).unwrap().earlier;
    let was = earlier.lanes[1].accelerator;
    let other = if was == Some(Accelerator::Kvm) { Accelerator::Tcg } else { Accelerator::Kvm };
    earlier.lanes[1].accelerator = Some(other);
    let (_, error) = go_on(&store, earlier).await.unwrap_err();
    assert!(error.to_string().contains("vm/micro ran with"), "{error}");
    // It can go on where the engine is the right one.
    let found = store.earlier(&id).unwrap();
    assert_eq!(found.earlier.trials.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_set_back_leaves_a_result_that_can_be_read() {
    let (_dir, store, id) = cut(3).await;
    let mut earlier = store.earlier(&id).unwrap().earlier;
    // By the clock of now, the run began tomorrow.
    earlier.started_at += jiff::SignedDuration::from_hours(24);
    go_on(&store, earlier).await.unwrap();
    let document = store.show(&id).unwrap().document.unwrap();
    assert!(document.finished_at >= document.started_at, "{document:?}");
    read_document(&serde_json::to_vec(&document).unwrap()).unwrap();
}
