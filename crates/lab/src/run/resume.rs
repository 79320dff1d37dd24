//! Going on with a run that ended early.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tandem_model::{LaneReport, OutcomeKind, TrialRecord};

use super::Run;
use crate::{LabError, stage::Stage};

/// What the first part of a run left.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// The run's id, which the whole of it keeps.
    pub id: String,
    /// When it began.
    pub started_at: Timestamp,
    /// Its lanes as they were found; empty when it came no further.
    pub lanes: Vec<LaneReport>,
    /// Its trials, in the order in which they ran.
    pub trials: Vec<TrialRecord>,
}

impl Earlier {
    /// Lane and number of each trial that was really made.
    fn made(&self) -> BTreeSet<(&str, u32)> {
        let tried = self.trials.iter().filter(|trial| trial.outcome != OutcomeKind::Unavailable);
        tried.map(|trial| (trial.lane.as_str(), trial.index)).collect()
    }

    /// Whether the lane could not run when the run began.
    pub(super) fn lacked(&self, lane: &str) -> bool {
        let of_lane = |trial: &&TrialRecord| trial.lane == lane;
        self.trials.iter().filter(of_lane).any(|it| it.outcome == OutcomeKind::Unavailable)
    }
}

impl Run<'_> {
    /// Takes over what the first part left.
    pub(super) fn take_over(&mut self, earlier: &Earlier) {
        self.id.clone_from(&earlier.id);
        self.started_at = earlier.started_at;
        self.trials.clone_from(&earlier.trials);
        let tried = earlier.trials.iter().filter(|it| it.outcome != OutcomeKind::Unavailable);
        self.order = tried.map(|trial| trial.lane.clone()).collect();
    }

    /// Whether the earlier part has this trial.
    pub(super) fn is_done(&self, lane: usize, index: u32) -> bool {
        let id = self.setups[lane].0.as_str();
        self.plan.earlier.as_ref().is_some_and(|it| it.made().contains(&(id, index)))
    }

    /// The lanes must be what they were: other engines or another accelerator
    /// would be pooled with them.
    pub(super) fn check_lanes_are_the_same(&self) -> Result<(), LabError> {
        let Some(earlier) = &self.plan.earlier else { return Ok(()) };
        let name = |lane: &LaneReport| {
            let accelerator = lane.accelerator.map(tandem_model::Accelerator::as_str);
            format!("{} {}", lane.engine, accelerator.unwrap_or("without an accelerator"))
        };
        for (then, now) in earlier.lanes.iter().zip(&self.reports) {
            let same = then.id == now.id && name(then) == name(now);
            if !same && !earlier.lacked(&then.id) {
                return Err(LabError::BadPlan(format!(
                    "the run {} cannot go on: {} ran with {}, and now {} would run with {}; begin a new run",
                    earlier.id,
                    then.id,
                    name(then),
                    now.id,
                    name(now)
                )));
            }
        }
        Ok(())
    }

    /// After a pause the machine is cold and nothing was seen of the lanes'
    /// answers: each lane that has trials left makes a warm-up of its own.
    pub(super) async fn warm_up_again(
        &mut self,
        count: u32,
        stage: &mut Stage<'_>,
        cleaned: &mut Vec<String>,
    ) -> Result<(), LabError> {
        let Some(earlier) = &self.plan.earlier else { return Ok(()) };
        let tried = earlier.trials.iter().filter(|it| it.outcome != OutcomeKind::Unavailable);
        stage.warn(self.warnings.resumed(tried.count()));
        if self.warmups() == 0 && !self.experiment.compares_answers() {
            return Ok(());
        }
        // Counts on where no planned trial is.
        let last = earlier.trials.iter().map(|trial| trial.index + 1).max().unwrap_or(0);
        let index = last.max(count);
        for lane in 0..self.setups.len() {
            let request = self.request(lane, index, true, false);
            if let Some(trial) = self.launch(lane, &request, stage, cleaned).await? {
                self.look(lane, &trial);
                self.take_in(lane, trial, stage);
            }
        }
        Ok(())
    }
}
