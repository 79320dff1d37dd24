use std::collections::BTreeMap;

use tandem_backend::BackendError;
use tandem_model::{LaneReport, OutcomeKind, Parity, RunEvent, TrialRecord};

use super::{Run, lane_info};
use crate::{LabError, stage::Stage, trial::Contestant};

impl Run<'_> {
    /// Asks every lane whether it can run here, and announces the run.
    pub(super) async fn find_lanes(&mut self, stage: &mut Stage<'_>) -> Result<(), LabError> {
        let mut infos = Vec::new();
        let mut unavailable = Vec::new();
        for (id, setup) in &self.setups {
            let cancelled = stage.cancelled();
            let found = tokio::select! {
                found = setup.backend.availability(&setup.lane) => found,
                () = cancelled => return Err(LabError::Cancelled),
            };
            let lacked = self.plan.earlier.as_ref().is_some_and(|it| it.lacked(id));
            let found = match (found, self.experiment.lacks(setup.lane)) {
                (Ok(_), Some(why)) => Err(BackendError::Unavailable {
                    what: format!("{} in the lane {id}", self.experiment.id()),
                    why: why.to_owned(),
                    fix: "leave the lane out with --lanes".to_owned(),
                }),
                (found, _) => found,
            };
            let found = match found {
                Ok(_) if lacked => Err(BackendError::Unavailable {
                    what: id.clone(),
                    why: "it could not run when the run began".to_owned(),
                    fix: "begin a new run to measure it too".to_owned(),
                }),
                found => found,
            };
            let found = found.map(|availability| Contestant {
                id: id.clone(),
                setup: setup.clone(),
                availability,
            });
            infos.push(lane_info(id, setup, &found));
            self.reports.push(LaneReport {
                id: id.clone(),
                backend: setup.lane.backend,
                profile: setup.lane.profile.map(|profile| profile.to_string()),
                engine: match &found {
                    Ok(lane) => lane.availability.engine.clone(),
                    Err(_) => "none".to_owned(),
                },
                accelerator: found.as_ref().ok().and_then(|lane| lane.availability.accelerator),
                resources: setup.spec.resources,
                parity: if self.experiment.compares_answers() || found.is_err() {
                    Parity {
                        fair: false,
                        differences: vec![format!("{id} gave no answer that could be compared")],
                    }
                } else {
                    Parity { fair: true, differences: Vec::new() }
                },
            });
            if let Err(e) = &found {
                unavailable.push((id.clone(), e.to_string()));
            }
            self.contestants.push(found.ok());
        }
        stage.emit(RunEvent::Planned {
            experiment: self.plan.experiment.clone(),
            image: self.plan.subject.image.clone(),
            digest: self.plan.subject.digest.to_string(),
            base_substituted: self
                .plan
                .subject
                .base
                .clone()
                .filter(|_| self.plan.subject.base_substituted),
            lanes: infos,
            trials: self.plan.trials,
            warmup: self.warmups(),
        });
        for note in
            self.contestants.iter().flatten().filter_map(|lane| lane.availability.note.clone())
        {
            stage.warn(self.warnings.of_engine(note));
        }
        if self.contestants.iter().all(Option::is_none) {
            let reasons: Vec<_> =
                unavailable.iter().map(|(id, reason)| format!("{id}: {reason}")).collect();
            return Err(LabError::NothingToRun(reasons.join("; ")));
        }
        for (id, reason) in unavailable {
            stage.warn(self.warnings.lane_missing(&id, &reason));
            if self.plan.earlier.as_ref().is_none_or(|it| !it.lacked(&id)) {
                self.record(no_trial(&id, OutcomeKind::Unavailable, reason), stage);
            }
        }
        Ok(())
    }

    /// Does all work that no clock should see, for all lanes.
    pub(super) async fn prepare_lanes(&mut self, stage: &mut Stage<'_>) -> Result<(), LabError> {
        let mut first_failure = None;
        for number in 0..self.contestants.len() {
            let Some(lane) = self.contestants[number].take() else { continue };
            let cancelled = stage.cancelled();
            let id = lane.id.clone();
            let mut progress = |line: &str| {
                let message = format!("{id}: {line}");
                stage.emit(RunEvent::Preparing { step: "prepare".to_owned(), message });
            };
            progress("getting ready");
            let prepared = tokio::select! {
                prepared = lane.setup.backend.prepare(&lane.setup.spec, &mut progress) => prepared,
                () = cancelled => return Err(LabError::Cancelled),
            };
            match prepared {
                Ok(()) => self.contestants[number] = Some(lane),
                Err(e) => {
                    stage.warn(self.warnings.lane_missing(&id, &e.to_string()));
                    self.record(no_trial(&id, OutcomeKind::Failed, e.to_string()), stage);
                    first_failure.get_or_insert(LabError::Prepare { lane: id, source: e });
                }
            }
        }
        match first_failure {
            Some(e) if self.contestants.iter().all(Option::is_none) => Err(e),
            _ => Ok(()),
        }
    }
}

/// The record of a lane that never came to a trial.
fn no_trial(lane: &str, outcome: OutcomeKind, reason: String) -> TrialRecord {
    TrialRecord {
        lane: lane.to_owned(),
        index: 0,
        warmup: false,
        outcome,
        reason: Some(reason),
        phases: Vec::new(),
        metrics: BTreeMap::new(),
        series: BTreeMap::new(),
    }
}
