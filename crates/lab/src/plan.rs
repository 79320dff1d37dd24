use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tandem_backend::Backend;
use tandem_model::{InstanceSpec, Lane, PortMap, Subject};

use crate::LabError;

/// What to measure, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Experiment id, e.g. `compare` or `startup`.
    pub experiment: String,
    /// What runs in every lane.
    pub subject: Subject,
    /// Path that the app is asked for.
    pub path: String,
    /// Measured trials a lane, at least one.
    pub trials: u32,
    /// Trials a lane before those: recorded, marked, left out of summaries.
    /// One is made even when none is asked for, since parity is checked on it
    /// before anything is timed.
    pub warmup: u32,
    /// Seed of the order and of the bootstrap, below 2^53.
    pub seed: u64,
    /// Leave the instances of the last measured trials running.
    pub keep: bool,
    /// How long an app may take to give its first answer.
    pub time_limit: Duration,
}

impl Plan {
    /// The usual plan: ten trials and a warm-up, a random seed, two minutes
    /// for an answer.
    pub fn new(experiment: impl Into<String>, subject: Subject) -> Self {
        Self {
            experiment: experiment.into(),
            subject,
            path: "/".to_owned(),
            trials: 10,
            warmup: 1,
            seed: rand::random::<u64>() >> 11,
            keep: false,
            time_limit: Duration::from_mins(2),
        }
    }

    /// Warm-up trials that are really made.
    pub(crate) fn warmups(&self) -> u32 {
        self.warmup.max(1)
    }

    pub(crate) fn check(&self, lanes: &[LaneSetup]) -> Result<(), LabError> {
        let wrong = |why: &str| Err(LabError::BadPlan(why.to_owned()));
        if lanes.is_empty() {
            return wrong("no lane is given: name at least one, e.g. --lanes container,vm");
        }
        if self.trials == 0 {
            return wrong("no trials are asked for: --trials takes 1 or more");
        }
        if self.trials.saturating_add(self.warmup) > MOST_TRIALS {
            return wrong("more than 10000 trials a lane are asked for: choose fewer");
        }
        if self.seed >= 1 << 53 {
            return wrong("the seed is too large: choose one below 2^53");
        }
        if self.time_limit.is_zero() {
            return wrong("the time limit for an answer is zero: give the app some seconds");
        }
        match lanes.iter().find(|setup| setup.port().is_none()) {
            Some(setup) => Err(LabError::BadPlan(format!(
                "lane {} publishes no port that could be asked for an answer",
                setup.lane
            ))),
            None => Ok(()),
        }
    }
}

const MOST_TRIALS: u32 = 10_000;

/// One side of the comparison as the caller sets it up.
#[derive(Clone)]
pub struct LaneSetup {
    /// What the lane is called.
    pub lane: Lane,
    /// What runs in it. Its first port is where the app answers; name, host
    /// port and owner are replaced for each trial.
    pub spec: InstanceSpec,
    /// What runs it.
    pub backend: Arc<dyn Backend>,
    /// Further facts that must be equal in all lanes, by name, e.g. package
    /// versions. A fact that a lane does not state is not compared.
    pub facts: BTreeMap<String, String>,
}

impl LaneSetup {
    /// A lane without further facts.
    pub fn new(lane: Lane, spec: InstanceSpec, backend: Arc<dyn Backend>) -> Self {
        Self { lane, spec, backend, facts: BTreeMap::new() }
    }

    pub(crate) fn port(&self) -> Option<PortMap> {
        self.spec.ports.first().copied()
    }
}
