//! One trial: from the request to the removal of what it made.

mod attempt;
mod balance;
mod clean_up;
mod settle;

use std::{sync::Arc, time::Duration};

use tandem_backend::{Availability, Backend};
use tandem_model::{CacheState, InstanceId, OutcomeKind, RunEvent, TrialRecord};
use tandem_probe::drop_page_cache;

pub(crate) use attempt::Attempt;
pub(crate) use balance::Balance;
pub(crate) use clean_up::take_away;

use crate::{
    LaneSetup,
    experiment::{Bench, Experiment, TrialEnd},
    instruments::{Disturbance, Pulse, Watch},
    parity::Observed,
    stage::Stage,
};

/// A lane that can run here.
#[derive(Clone)]
pub(crate) struct Contestant {
    pub(crate) id: String,
    pub(crate) setup: LaneSetup,
    pub(crate) availability: Availability,
}

/// What one trial is to do.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) index: u32,
    pub(crate) warmup: bool,
    /// The instance's name.
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) time_limit: Duration,
    /// Leave the instance running when it was measured.
    pub(crate) keep: bool,
    /// An instance that was kept runs beside this one.
    pub(crate) beside_kept: bool,
    /// State of the page cache before the trial.
    pub(crate) cache: CacheState,
    /// Most instances side by side.
    pub(crate) most_instances: u32,
}

/// An instance that was left running.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) id: InstanceId,
    pub(crate) name: String,
    /// Where its app answers.
    pub(crate) url: String,
}

/// A trial that came to an end.
pub(crate) struct Trial {
    pub(crate) record: TrialRecord,
    /// What the lane ran, when it answered.
    pub(crate) observed: Option<Observed>,
    pub(crate) kept: Option<Kept>,
    /// What happened to the clocks meanwhile.
    pub(crate) disturbance: Disturbance,
}

/// The run was cancelled; what was cleaned up, a line each.
pub(crate) struct Cancelled(pub(crate) Vec<String>);

/// Carries a trial out. Whatever it made is gone afterwards, unless it is
/// kept.
pub(crate) async fn carry_out(
    experiment: &dyn Experiment,
    lane: &Contestant,
    request: &Request,
    stage: &mut Stage<'_>,
) -> Result<Trial, Cancelled> {
    let mut record = TrialRecord {
        lane: lane.id.clone(),
        index: request.index,
        warmup: request.warmup,
        outcome: OutcomeKind::Measured,
        reason: None,
        phases: Vec::new(),
        metrics: std::collections::BTreeMap::new(),
        series: std::collections::BTreeMap::new(),
    };
    let dropped = match request.cache {
        CacheState::Cold => chill(lane).await,
        CacheState::Warm => Ok(None),
    };
    stage.emit(RunEvent::TrialStarted {
        lane: lane.id.clone(),
        index: request.index,
        warmup: request.warmup,
    });
    let (watch, pulse) = (Watch::start(), Pulse::start());
    let mut bench = Bench::new(lane, request, stage);
    let end = match &dropped {
        Ok(_) => experiment.trial(&mut bench).await,
        Err(e) => Err(TrialEnd::Failed(format!("cannot drop the lane's files from memory: {e}"))),
    };
    let disturbance = Disturbance { held_for: pulse.end(), ..watch.end() };
    let end = end.and_then(|()| undisturbed(experiment, disturbance));
    let mut kept = None;
    if request.keep && end.is_ok() && bench.made.len() == 1 {
        let backend = lane.setup.backend.clone();
        if backend.disown(&bench.made[0].id).await.is_ok() {
            let made = bench.made.remove(0);
            kept = Some(Kept { backend, id: made.id, name: made.name, url: made.url });
        }
    }
    let mut cleaned = bench.clear().await;
    cleaned.extend(experiment.clean_up().await);
    record.phases = bench.phases;
    record.series = bench.series;
    let (metrics, seen) = (bench.metrics, bench.observed);
    let observed = match end {
        Ok(()) => {
            record.metrics = metrics;
            if let Ok(Some(bytes)) = dropped {
                record.metrics.insert("cache_dropped_bytes".to_owned(), bytes.into());
            }
            seen
        }
        Err(TrialEnd::Failed(reason)) => {
            record.outcome = OutcomeKind::Failed;
            record.reason = Some(reason);
            None
        }
        Err(TrialEnd::Cancelled) => return Err(Cancelled(cleaned)),
    };
    mark(&mut record, disturbance);
    Ok(Trial { record, observed, kept, disturbance })
}

/// Numbers that were read from the time of day are none when it was set.
fn undisturbed(experiment: &dyn Experiment, by: Disturbance) -> Result<(), TrialEnd> {
    if experiment.reads_the_time_of_day() && by.was_set() {
        let text = "the machine's clock was set meanwhile, and the times of this experiment come from it: let the clock be and run it again";
        return Err(TrialEnd::Failed(text.to_owned()));
    }
    Ok(())
}

/// A trial that was disturbed says so.
fn mark(record: &mut TrialRecord, by: Disturbance) {
    if by.was_set() {
        record.metrics.insert("clock_set_time".to_owned(), by.set_by.into());
    }
    if by.was_held() {
        record.metrics.insert("held_still_time".to_owned(), by.held_for.into());
    }
    if by.slept() {
        record.metrics.insert("machine_slept_time".to_owned(), by.slept_for.into());
    }
}

/// Drops the lane's files from the page cache; the size of those files.
async fn chill(lane: &Contestant) -> std::io::Result<Option<u64>> {
    let files = lane.setup.files.clone();
    let dropped = tokio::task::spawn_blocking(move || drop_page_cache(&files));
    dropped.await.map_err(std::io::Error::other)?.map(Some)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tandem_model::ResultDocument;
    use tandem_probe::Clocks;

    use super::*;
    use crate::{Method, analysis::Warnings};

    /// Whether its times are the log's.
    struct Timed(bool);

    impl Method for Timed {
        fn id(&self) -> &'static str {
            "overhead"
        }

        fn compared(&self) -> &'static [&'static str] {
            &["cpu_time"]
        }

        fn judge(&self, _: &ResultDocument) -> Vec<tandem_model::Verdict> {
            Vec::new()
        }
    }

    #[async_trait::async_trait]
    impl Experiment for Timed {
        fn reads_the_time_of_day(&self) -> bool {
            self.0
        }

        async fn trial(&self, _: &mut Bench<'_, '_>) -> Result<(), TrialEnd> {
            Ok(())
        }
    }

    /// Ten seconds in which the machine slept and somebody set the clock.
    fn disturbed(slept_s: u64, set_s: i64) -> Disturbance {
        const SECOND: u64 = 1_000_000_000;
        let clock = Cell::new(Clocks { monotonic: 7, since_boot: 7, time_of_day: 1 << 60 });
        let watch = Watch::with(|| clock.get());
        let passed = (10 + slept_s) * SECOND;
        clock.set(Clocks {
            monotonic: 7 + 10 * SECOND,
            since_boot: 7 + passed,
            time_of_day: ((1 << 60) + passed).saturating_add_signed(set_s * 1_000_000_000),
        });
        watch.end()
    }

    fn marks(by: Disturbance) -> (Option<i64>, Option<i64>, String) {
        let mut record = TrialRecord {
            lane: "container".to_owned(),
            index: 3,
            warmup: false,
            outcome: OutcomeKind::Measured,
            reason: None,
            phases: Vec::new(),
            metrics: std::collections::BTreeMap::new(),
            series: std::collections::BTreeMap::new(),
        };
        mark(&mut record, by);
        let number = |name: &str| record.metrics.get(name).and_then(serde_json::Value::as_i64);
        let said = Warnings::default().disturbed("container", 3, by).join("\n");
        (number("clock_set_time"), number("machine_slept_time"), said)
    }

    #[test]
    fn a_trial_through_sleep_or_a_set_clock_is_marked_and_told_of() {
        assert_eq!(marks(disturbed(0, 0)), (None, None, String::new()));
        let (set, slept, said) = marks(disturbed(60, 0));
        assert_eq!((set, slept), (None, Some(60_000_000_000)));
        assert!(said.contains("slept for 1 min") || said.contains("slept for 60"), "{said}");
        let (set, slept, said) = marks(disturbed(0, -5));
        assert_eq!((set, slept), (Some(-5_000_000_000), None));
        assert!(said.contains("set back by 5") && said.contains("trial 3 of container"), "{said}");
        let (set, slept, said) = marks(disturbed(30, 4));
        assert_eq!((set, slept), (Some(4_000_000_000), Some(30_000_000_000)));
        assert_eq!(said.lines().count(), 2, "{said}");
    }

    #[test]
    fn a_trial_in_which_we_were_held_still_is_marked_and_told_of() {
        let held = |ms: u64| Disturbance { held_for: ms * 1_000_000, ..disturbed(0, 0) };
        assert_eq!(marks(held(400)).2, "");
        let said = marks(held(3000)).2;
        assert!(said.contains("held still for 3.00 s during trial 3 of container"), "{said}");
    }

    #[test]
    fn times_of_a_log_are_none_when_the_clock_was_set() {
        let of = |timed, by| undisturbed(&Timed(timed), by);
        assert_eq!(of(true, disturbed(0, 0)), Ok(()));
        assert_eq!(of(false, disturbed(0, 9)), Ok(()));
        // Sleep passes for both clocks alike.
        assert_eq!(of(true, disturbed(9, 0)), Ok(()));
        let Err(TrialEnd::Failed(why)) = of(true, disturbed(0, 9)) else { panic!("it counts") };
        assert!(why.contains("clock was set"), "{why}");
    }
}
