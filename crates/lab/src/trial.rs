//! One trial: from the request to the removal of what it made.

mod attempt;
mod clean_up;
mod settle;

use std::{sync::Arc, time::Duration};

use tandem_backend::{Availability, Backend};
use tandem_model::{InstanceId, OutcomeKind, RunEvent, TrialRecord};

pub(crate) use clean_up::take_away;

use crate::{
    LaneSetup,
    parity::Observed,
    phases::seen,
    stage::Stage,
    trial::attempt::{Attempt, End},
};

/// A lane that can run here.
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
}

/// The run was cancelled; what was cleaned up, a line each.
pub(crate) struct Cancelled(pub(crate) Vec<String>);

/// Carries a trial out. Whatever it made is gone afterwards, unless it is
/// kept.
pub(crate) async fn carry_out(
    lane: &Contestant,
    request: &Request,
    stage: &mut Stage<'_>,
) -> Result<Trial, Cancelled> {
    stage.emit(RunEvent::TrialStarted {
        lane: lane.id.clone(),
        index: request.index,
        warmup: request.warmup,
    });
    let mut attempt = Attempt::new(lane, request);
    let end = attempt.run(stage).await;
    let keep = request.keep && end.is_ok();
    let mut kept = None;
    let mut cleaned = Vec::new();
    if let Some(id) = &attempt.instance {
        let backend = lane.setup.backend.clone();
        let disowned = keep && backend.disown(id).await.is_ok();
        if disowned {
            let (name, url) = (request.name.clone(), attempt.url.clone());
            kept = Some(Kept { backend, id: id.clone(), name, url });
        } else {
            match take_away(backend.as_ref(), id, &request.name).await {
                Ok(line) => cleaned.push(line),
                Err(problem) => {
                    stage.warn(&problem);
                    cleaned.push(problem);
                }
            }
        }
    }
    let mut record = TrialRecord {
        lane: lane.id.clone(),
        index: request.index,
        warmup: request.warmup,
        outcome: OutcomeKind::Measured,
        reason: None,
        phases: Vec::new(),
        metrics: attempt.metrics,
        series: attempt.series,
    };
    let observed = match end {
        Ok(measured) => {
            record.phases = measured.phases;
            Some(measured.observed)
        }
        Err(End::Failed(reason)) => {
            record.outcome = OutcomeKind::Failed;
            record.reason = Some(reason);
            record.phases = seen(attempt.t0, &attempt.phases);
            record.metrics.clear();
            None
        }
        Err(End::Cancelled) => return Err(Cancelled(cleaned)),
    };
    Ok(Trial { record, observed, kept })
}
