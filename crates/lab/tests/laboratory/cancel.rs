//! Cancelling at any moment: nothing stays behind, and what was measured is
//! kept.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use tandem_lab::{Bench, Experiment, LabError, Method, Plan, ResultStore, TrialEnd};
use tandem_model::{ErrorCode, OutcomeKind, ResultDocument, RunEvent, TrialRecord, Verdict};
use tokio::sync::watch::{Receiver, Sender};

use crate::common::{Journal, lanes, plan, watch};

/// One run that somebody may cancel.
struct Cut {
    outcome: Result<ResultDocument, LabError>,
    journal: Vec<String>,
    /// What was told of finished trials, in order.
    told: Vec<(String, u32, OutcomeKind)>,
    events: usize,
    last: Option<RunEvent>,
    kept: Vec<TrialRecord>,
    stopped: Option<String>,
}

/// Runs with a cancel at the `at`th event.
async fn cut(plan: Plan, experiment: Box<dyn Experiment>, at: usize) -> Cut {
    let (sender, cancel) = watch();
    cut_by(plan, experiment, (sender, cancel), at).await
}

async fn cut_by(
    plan: Plan,
    experiment: Box<dyn Experiment>,
    (sender, cancel): (Sender<bool>, Receiver<bool>),
    at: usize,
) -> Cut {
    let dir = tempfile::tempdir().unwrap();
    let store = ResultStore::open(&dir.path().join("results.db")).unwrap();
    let journal = Journal::default();
    let (mut events, mut told, mut last) = (0, Vec::new(), None);
    let mut listen = |event: RunEvent| {
        events += 1;
        if events == at {
            sender.send_replace(true);
        }
        if let RunEvent::TrialFinished { lane, index, outcome, .. } = &event {
            told.push((lane.clone(), *index, *outcome));
        }
        last = Some(event);
    };
    let lanes = lanes(&journal);
    let run = tandem_lab::run_with(&plan, &*experiment, lanes, &store, &mut listen, cancel);
    let outcome = tokio::time::timeout(Duration::from_mins(1), run).await.expect("it ends");
    let row = store.list().unwrap().remove(0);
    let kept = store.show(&row.id).unwrap().trials;
    let journal = journal.lock().unwrap().clone();
    Cut { outcome, journal, told, events, last, kept, stopped: row.stopped }
}

impl Cut {
    fn count(&self, what: &str) -> usize {
        self.journal.iter().filter(|line| line.ends_with(what)).count()
    }

    /// Nothing is left, and everything told of is on disk.
    fn check(&self, moment: &str) {
        assert_eq!(self.count("create"), self.count("remove"), "{moment}: {:?}", self.journal);
        let kept: Vec<_> =
            self.kept.iter().map(|it| (it.lane.clone(), it.index, it.outcome)).collect();
        assert_eq!(kept, self.told, "{moment}");
        let measured = self.kept.iter().filter(|it| it.outcome == OutcomeKind::Measured);
        assert!(measured.clone().all(|it| !it.metrics.is_empty()), "{moment}");
    }

    fn check_cancelled(&self, moment: &str) {
        self.check(moment);
        assert!(matches!(self.outcome, Err(LabError::Cancelled)), "{moment}: {:?}", self.last);
        assert_eq!(self.stopped.as_deref(), Some("the run was cancelled"), "{moment}");
        let Some(RunEvent::Stopped { error, .. }) = &self.last else {
            panic!("{moment}: {:?}", self.last);
        };
        assert_eq!(error.code, ErrorCode::Cancelled, "{moment}");
    }
}

fn planned(id: &str) -> Plan {
    Plan { experiment: id.to_owned(), warmup: 1, most_instances: 2, ..plan(2, 7) }
}

/// Moments spread over a run of so many events, first and last among them.
fn moments(events: usize) -> Vec<usize> {
    let step = events.div_ceil(24).max(1);
    // The last event tells that it is over.
    (1..events).step_by(step).chain([events - 1]).collect()
}

async fn at_any_event(id: &'static str) {
    let made = || tandem_lab::experiment(id).unwrap();
    let whole = cut(planned(id), made(), usize::MAX).await;
    assert!(whole.outcome.is_ok(), "{id}: {:?}", whole.outcome);
    whole.check(id);
    // They wait more than they work.
    let mut runs = tokio::task::JoinSet::new();
    for at in moments(whole.events) {
        runs.spawn(async move { (at, cut(planned(id), made(), at).await) });
    }
    let mut seen = 0;
    while let Some(done) = runs.join_next().await {
        let (at, cut) = done.unwrap();
        let moment = format!("{id}, cancelled at event {at} of {}", whole.events);
        // What comes with the very last trial may be too late to stop it.
        if cut.outcome.is_ok() {
            cut.check(&moment);
            assert!(cut.told.len() >= whole.told.len(), "{moment} went on");
        } else {
            cut.check_cancelled(&moment);
            seen += 1;
        }
    }
    assert!(seen >= 8, "{id}: only {seen} runs were cut");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn launches_leave_nothing_whenever_they_are_cancelled() {
    at_any_event("startup").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_side_by_side_go_whenever_they_are_cancelled() {
    at_any_event("density").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_under_load_leave_nothing_whenever_they_are_cancelled() {
    at_any_event("resize").await;
}

/// An experiment of the caller's, which makes a thing of its own in each trial
/// and takes its time.
struct Course(Arc<AtomicBool>);

impl Method for Course {
    fn id(&self) -> &'static str {
        "overhead"
    }

    fn compared(&self) -> &'static [&'static str] {
        &["elapsed_time"]
    }

    fn judge(&self, _: &ResultDocument) -> Vec<Verdict> {
        Vec::new()
    }
}

#[async_trait]
impl Experiment for Course {
    async fn clean_up(&self) -> Vec<String> {
        let was_there = self.0.swap(false, Relaxed);
        was_there.then(|| "the thing".to_owned()).into_iter().collect()
    }

    async fn trial(&self, bench: &mut Bench<'_, '_>) -> Result<(), TrialEnd> {
        let thing = self.0.clone();
        let course = async move {
            thing.store(true, Relaxed);
            tokio::time::sleep(Duration::from_millis(40)).await;
        };
        bench.unless_cancelled(course).await?;
        bench.number("elapsed_time", 40e6);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_course_is_cleaned_up_whatever_moment_it_is_cancelled_in() {
    let mut runs = tokio::task::JoinSet::new();
    // Not at events, but at times: within what a course waits for.
    for step in 0..30_u64 {
        runs.spawn(async move {
            let thing = Arc::new(AtomicBool::new(false));
            let (sender, cancel) = watch();
            let late = sender.clone();
            let cancelling = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(step * 17)).await;
                late.send_replace(true);
            });
            let course = Box::new(Course(thing.clone()));
            let cut = cut_by(planned("overhead"), course, (sender, cancel), usize::MAX).await;
            cancelling.await.unwrap();
            assert!(!thing.load(Relaxed), "{step}: the thing is there still");
            (step, cut)
        });
    }
    let mut seen = 0;
    while let Some(done) = runs.join_next().await {
        let (step, cut) = done.unwrap();
        cut.check(&format!("after {} ms", step * 17));
        seen += usize::from(cut.outcome.is_err());
    }
    assert!(seen > 0, "no run was cut");
}
