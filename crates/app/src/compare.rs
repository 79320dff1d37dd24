use serde::{Deserialize, Serialize};
use tandem_model::{Lane, Resources, ResultDocument, RunEvent};

use crate::{App, AppError, Cancel, ExperimentRequest};

/// A comparison as a person asks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ts_rs::TS)]
pub struct CompareRequest {
    /// A sample, a folder with a Dockerfile, or an image.
    pub subject: String,
    /// The lanes; the first is what the others are compared with.
    pub lanes: Vec<Lane>,
    /// Measured trials a lane.
    pub trials: u32,
    /// Trials a lane before those, which do not count.
    pub warmup: u32,
    /// Seed of order and intervals; chosen when null.
    #[ts(type = "number | null")]
    pub seed: Option<u64>,
    /// Limits of every lane.
    pub resources: Resources,
    /// Port on which the app answers; the image's lowest exposed one when null.
    pub port: Option<u16>,
    /// Seconds in which it must answer.
    pub time_limit_s: u32,
    /// Leave the last instance of each lane running.
    pub keep: bool,
}

impl CompareRequest {
    /// The usual comparison: container and VM, ten trials, the same half
    /// gigabyte and two processors (one where the machine has no more) for both.
    pub fn new(subject: &str) -> Self {
        let usual = ExperimentRequest::new(COMPARE);
        Self {
            subject: subject.to_owned(),
            lanes: usual.lanes,
            trials: usual.trials,
            warmup: usual.warmup,
            seed: usual.seed,
            resources: usual.resources,
            port: usual.port,
            time_limit_s: usual.time_limit_s,
            keep: usual.keep,
        }
    }

    /// A comparison is the experiments `startup` and `size` in one run.
    fn as_experiment(&self) -> ExperimentRequest {
        ExperimentRequest {
            subject: self.subject.clone(),
            lanes: self.lanes.clone(),
            trials: self.trials,
            warmup: self.warmup,
            seed: self.seed,
            resources: self.resources,
            port: self.port,
            time_limit_s: self.time_limit_s,
            keep: self.keep,
            ..ExperimentRequest::new(COMPARE)
        }
    }
}

const COMPARE: &str = "compare";

impl App {
    /// Builds the subject, launches it in each lane, measures and judges.
    /// Cancelling, or an error, removes whatever the run made.
    pub async fn compare(
        &self,
        request: &CompareRequest,
        events: &mut (dyn FnMut(RunEvent) + Send),
        cancel: &Cancel,
    ) -> Result<ResultDocument, AppError> {
        self.experiment(&request.as_experiment(), events, cancel).await
    }
}
