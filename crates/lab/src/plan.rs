use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tandem_backend::Backend;
use tandem_model::{CacheState, InstanceSpec, Lane, PortMap, Prediction, Subject};

use crate::{Earlier, Experiment, LabError, experiment};

/// What to measure, and how often.
#[derive(Debug, Clone, PartialEq)]
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
    /// An experiment that times launches makes one even when none is asked
    /// for, since parity is checked on it before anything is timed.
    pub warmup: u32,
    /// Seed of the order and of the bootstrap, below 2^53.
    pub seed: u64,
    /// Leave the instances of the last measured trials running.
    pub keep: bool,
    /// How long an app may take to give its first answer.
    pub time_limit: Duration,
    /// State of the page cache before each trial.
    pub cache: CacheState,
    /// Most instances that run side by side, where an experiment asks for
    /// several.
    pub most_instances: u32,
    /// What somebody expects of it.
    pub prediction: Option<Prediction>,
    /// What the caller needs to make this plan once more, as it likes; kept
    /// with the run, for [`crate::ResultStore::earlier`].
    pub request: String,
    /// The first part of the run, when it is one that goes on.
    pub earlier: Option<Earlier>,
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
            cache: CacheState::Warm,
            most_instances: 8,
            prediction: None,
            request: String::new(),
            earlier: None,
        }
    }

    /// The experiment that is to be carried out.
    pub(crate) fn experiment(&self) -> Result<Box<dyn Experiment>, LabError> {
        experiment(&self.experiment).ok_or_else(|| {
            let id = &self.experiment;
            let why = match crate::describe(id).and_then(|description| description.missing) {
                Some(why) => format!("the experiment `{id}` cannot run: {why}"),
                None => format!("there is no experiment `{id}`: `tandem experiment ls` lists them"),
            };
            LabError::BadPlan(why)
        })
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
        if !(1..=MOST_INSTANCES).contains(&self.most_instances) {
            return wrong("between 1 and 500 instances can run side by side: choose such a number");
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

const MOST_INSTANCES: u32 = 500;

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
    /// Files and folders that a launch reads and that all instances share:
    /// dropped from the page cache for a cold trial.
    pub files: Vec<PathBuf>,
    /// Sizes that are the same in every trial, metric id to bytes: they stand
    /// in each, beside what is measured.
    pub sizes: BTreeMap<String, u64>,
}

impl LaneSetup {
    /// A lane without further facts.
    pub fn new(lane: Lane, spec: InstanceSpec, backend: Arc<dyn Backend>) -> Self {
        let (facts, sizes) = (BTreeMap::new(), BTreeMap::new());
        Self { lane, spec, backend, facts, files: Vec::new(), sizes }
    }

    pub(crate) fn port(&self) -> Option<PortMap> {
        self.spec.ports.first().copied()
    }
}
