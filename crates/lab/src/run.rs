//! The course of a run, from availability to verdicts.

mod lanes;
mod parting;
mod resume;

pub use resume::Earlier;

use jiff::Timestamp;
use tandem_backend::BackendError;
use tandem_model::{
    CacheState, Design, LaneInfo, LaneReport, OutcomeKind, Parity, ResultDocument, RunEvent,
    SCHEMA, TrialRecord, number_lanes,
};
use tandem_probe::machine;
use tokio::sync::watch;

use crate::{
    Experiment, LabError, LaneSetup, Plan, ResultStore,
    analysis::{self, Warnings},
    instruments::wait_for_calm,
    order::blocks,
    parity::{Observed, compare, together},
    stage::Stage,
    trial::{Cancelled, Contestant, Kept, Request, Trial, carry_out},
};

/// Carries a plan out in these lanes, the first of which is the baseline of
/// all comparisons, and returns everything it produced.
///
/// Emits `Planned`, then what happens as it happens, and at the end
/// `Finished`, or `Stopped` when it returns an error; nothing after those.
/// A lane that cannot run here, or fails, does not end the run: its trials say
/// so. Each trial is in `store` before the next one starts.
///
/// Setting `cancel` to true ends the run at once: the launch under way is
/// given up, every instance of the run is removed, and `Stopped` lists them.
/// Do not drop the future instead: what runs would then stay until the
/// process ends.
///
/// # Errors
///
/// See [`LabError`]. Trials measured before are in `store`.
pub async fn run(
    plan: &Plan,
    lanes: Vec<LaneSetup>,
    store: &ResultStore,
    events: &mut (dyn FnMut(RunEvent) + Send),
    cancel: watch::Receiver<bool>,
) -> Result<ResultDocument, LabError> {
    match plan.experiment() {
        Ok(experiment) => {
            Box::pin(run_with(plan, experiment.as_ref(), lanes, store, events, cancel)).await
        }
        Err(e) => {
            events(RunEvent::Stopped { error: e.to_failure(), cleaned: Vec::new() });
            Err(e)
        }
    }
}

/// [`run`] with an experiment of the caller's.
///
/// # Errors
///
/// See [`LabError`]. Trials measured before are in `store`.
pub async fn run_with(
    plan: &Plan,
    experiment: &dyn Experiment,
    lanes: Vec<LaneSetup>,
    store: &ResultStore,
    events: &mut (dyn FnMut(RunEvent) + Send),
    cancel: watch::Receiver<bool>,
) -> Result<ResultDocument, LabError> {
    let mut stage = Stage { events, cancel };
    let mut cleaned = Vec::new();
    let outcome = match plan.check(&lanes) {
        Ok(()) => Run::new(plan, experiment, lanes, store).go(&mut stage, &mut cleaned).await,
        Err(e) => Err(e),
    };
    match outcome {
        Ok(document) => {
            stage.emit(RunEvent::Finished { result: Box::new(document.clone()) });
            Ok(document)
        }
        Err(e) => {
            stage.emit(RunEvent::Stopped { error: e.to_failure(), cleaned });
            Err(e)
        }
    }
}

struct Run<'a> {
    plan: &'a Plan,
    experiment: &'a dyn Experiment,
    store: &'a ResultStore,
    id: String,
    started_at: Timestamp,
    /// All lanes, with their ids.
    setups: Vec<(String, LaneSetup)>,
    reports: Vec<LaneReport>,
    /// The lanes that can run, by number.
    contestants: Vec<Option<Contestant>>,
    observed: Vec<Option<Observed>>,
    /// Lanes that were part of the last parity check.
    compared: usize,
    /// Failures in a row, by lane.
    failures: Vec<u32>,
    trials: Vec<TrialRecord>,
    order: Vec<String>,
    kept: Vec<Kept>,
    warnings: Warnings,
}

/// A lane that fails so often in a row is given up.
const MOST_FAILURES: u32 = 2;

impl<'a> Run<'a> {
    fn new(
        plan: &'a Plan,
        experiment: &'a dyn Experiment,
        lanes: Vec<LaneSetup>,
        store: &'a ResultStore,
    ) -> Self {
        let names: Vec<_> = lanes.iter().map(|setup| setup.lane).collect();
        let setups: Vec<_> = number_lanes(&names).into_iter().zip(lanes).collect();
        let count = setups.len();
        Self {
            plan,
            experiment,
            store,
            id: format!("{:016x}", rand::random::<u64>()),
            started_at: Timestamp::now(),
            setups,
            reports: Vec::new(),
            contestants: Vec::new(),
            observed: vec![None; count],
            compared: 0,
            failures: vec![0; count],
            trials: Vec::new(),
            order: Vec::new(),
            kept: Vec::new(),
            warnings: Warnings::default(),
        }
    }

    async fn go(
        mut self,
        stage: &mut Stage<'_>,
        cleaned: &mut Vec<String>,
    ) -> Result<ResultDocument, LabError> {
        match &self.plan.earlier {
            Some(earlier) => {
                self.take_over(earlier);
                self.store.go_on(&self.id)?;
            }
            None => self.store.begin(&self.id, self.plan, self.started_at)?,
        }
        let outcome = self.measure(stage, cleaned).await;
        if let Err(e) = &outcome {
            self.take_kept_away(stage, cleaned).await;
            let _ = self.store.stop(&self.id, &e.to_string());
        }
        outcome?;
        let store = self.store;
        let mut document = self.document();
        if let Err(e) = store.finish(&document) {
            let mut late = Warnings::default();
            stage.warn(late.not_on_disk(&e));
            document.warnings.extend(late.into_sentences());
        }
        Ok(document)
    }

    async fn measure(
        &mut self,
        stage: &mut Stage<'_>,
        cleaned: &mut Vec<String>,
    ) -> Result<(), LabError> {
        self.find_lanes(stage).await?;
        self.check_lanes_are_the_same()?;
        self.store.lanes(&self.id, &self.reports)?;
        self.prepare_lanes(stage).await?;
        if let Some(busy) = wait_for_calm().await {
            stage.warn(self.warnings.machine_is_busy(busy));
        }
        if self.plan.cache == CacheState::Cold {
            stage.warn(self.warnings.cold_cache());
        }
        let warmup = self.warmups();
        let count = warmup + self.plan.trials;
        let blocks = blocks(self.setups.len(), count, self.plan.seed);
        self.warm_up_again(count, stage, cleaned).await?;
        for (index, block) in (0_u32..).zip(blocks) {
            if index == warmup {
                self.check_parity(stage);
            }
            for lane in block {
                if self.is_done(lane, index) {
                    continue;
                }
                let keep = self.plan.keep && index + 1 == count;
                let request = self.request(lane, index, index < warmup, keep);
                if let Some(trial) = self.launch(lane, &request, stage, cleaned).await? {
                    self.look(lane, &trial);
                    self.take_in(lane, trial, stage);
                }
            }
        }
        if self.answered() > self.compared {
            // A lane whose first launches failed answered later.
            self.check_parity(stage);
        }
        Ok(())
    }

    /// Warm-up trials that are really made.
    fn warmups(&self) -> u32 {
        self.plan.warmup.max(self.experiment.least_warmup())
    }

    fn request(&self, lane: usize, index: u32, warmup: bool, keep: bool) -> Request {
        let (id, setup) = &self.setups[lane];
        let lane = id.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        Request {
            index,
            warmup,
            // Names are unique among instances: part of the run's id keeps
            // runs apart, and the lane those that a run keeps.
            name: format!("{}-{lane}-{}", setup.spec.name, &self.id[..4]),
            path: self.plan.path.clone(),
            time_limit: self.plan.time_limit,
            keep,
            beside_kept: !self.kept.is_empty(),
            cache: self.plan.cache,
            most_instances: self.plan.most_instances,
        }
    }

    /// Carries one trial out in a lane that can still run.
    async fn launch(
        &mut self,
        lane: usize,
        request: &Request,
        stage: &mut Stage<'_>,
        cleaned: &mut Vec<String>,
    ) -> Result<Option<Trial>, LabError> {
        if stage.is_cancelled() {
            return Err(LabError::Cancelled);
        }
        let Some(contestant) = &self.contestants[lane] else { return Ok(None) };
        match carry_out(self.experiment, contestant, request, stage).await {
            Ok(trial) => Ok(Some(trial)),
            Err(Cancelled(lines)) => {
                cleaned.extend(lines);
                Err(LabError::Cancelled)
            }
        }
    }

    /// Keeps what the first launch of a lane showed.
    fn look(&mut self, lane: usize, trial: &Trial) {
        let Some(seen) = &trial.observed else { return };
        match &self.observed[lane] {
            None => self.observed[lane] = Some(seen.clone()),
            Some(before) if before.body != seen.body => {
                self.warnings.answers_change(&self.setups[lane].0);
            }
            Some(_) => {}
        }
    }

    fn estimates(&self, lane: &str) -> Vec<RunEvent> {
        let metrics = self.experiment.compared();
        analysis::live_estimates(&self.trials, lane, metrics, self.plan.seed)
    }

    fn answered(&self) -> usize {
        self.observed.iter().flatten().count()
    }

    /// Compares all lanes that answered with the first of them.
    fn check_parity(&mut self, stage: &mut Stage<'_>) {
        self.compared = self.answered();
        let seen: Vec<(usize, &Observed)> = (0..)
            .zip(&self.observed)
            .filter_map(|(lane, seen)| Some((lane, seen.as_ref()?)))
            .collect();
        let Some(((first, baseline), others)) = seen.split_first() else { return };
        self.reports[*first].parity = Parity { fair: true, differences: Vec::new() };
        for (lane, seen) in others {
            let id = |lane: usize| self.setups[lane].0.as_str();
            self.reports[*lane].parity = compare((id(*first), baseline), (id(*lane), seen));
        }
        let looked = seen.iter().map(|(lane, _)| &self.reports[*lane].parity);
        stage.emit(RunEvent::Parity { parity: together(looked) });
    }

    /// Records a trial on disk and in memory, and tells of it.
    fn take_in(&mut self, lane: usize, trial: Trial, stage: &mut Stage<'_>) {
        let id = self.setups[lane].0.clone();
        for said in self.warnings.disturbed(&id, trial.record.index, trial.disturbance) {
            stage.warn(said);
        }
        self.record(trial.record, stage);
        self.order.push(id.clone());
        let Some(record) = self.trials.last() else { return };
        if record.outcome == OutcomeKind::Failed {
            self.failures[lane] += 1;
            if self.failures[lane] >= MOST_FAILURES && self.contestants[lane].take().is_some() {
                stage.warn(self.warnings.lane_given_up(&id, self.failures[lane]));
            }
            return;
        }
        self.failures[lane] = 0;
        if !record.warmup {
            for estimate in self.estimates(&id) {
                stage.emit(estimate);
            }
        }
        if let Some(kept) = trial.kept {
            self.tell_kept(lane, kept, stage);
        }
    }

    /// Puts a trial into the store and among the others. A store that fails
    /// costs durability, not the measurement.
    fn record(&mut self, record: TrialRecord, stage: &mut Stage<'_>) {
        if let Err(e) = self.store.record(&self.id, &record) {
            stage.warn(self.warnings.not_on_disk(&e));
        }
        stage.emit(RunEvent::TrialFinished {
            lane: record.lane.clone(),
            index: record.index,
            outcome: record.outcome,
            reason: record.reason.clone(),
        });
        self.trials.push(record);
    }

    fn document(self) -> ResultDocument {
        let warmup = self.warmups();
        let mut document = ResultDocument {
            schema: SCHEMA.to_owned(),
            id: self.id,
            experiment: self.plan.experiment.clone(),
            started_at: self.started_at,
            // The clock may have been set back meanwhile.
            finished_at: Timestamp::now().max(self.started_at),
            subject: self.plan.subject.clone(),
            machine: machine(),
            design: Design {
                trials: self.plan.trials,
                warmup,
                seed: self.plan.seed,
                order: self.order,
                cache: self.plan.cache,
            },
            lanes: self.reports,
            trials: self.trials,
            summary: Vec::new(),
            comparisons: Vec::new(),
            verdicts: Vec::new(),
            predictions: self.plan.prediction.clone().into_iter().collect(),
            warnings: Vec::new(),
        };
        analysis::complete(&mut document, self.experiment, self.warnings);
        document
    }
}

/// The lane as the run announces it.
fn lane_info(id: &str, setup: &LaneSetup, found: &Result<Contestant, BackendError>) -> LaneInfo {
    LaneInfo {
        id: id.to_owned(),
        lane: setup.lane,
        accelerator: found.as_ref().ok().and_then(|lane| lane.availability.accelerator),
        unavailable: found.as_ref().err().map(ToString::to_string),
    }
}
