use serde::{Deserialize, Serialize};

use crate::{Accelerator, Failure, Lane, Ledger, OutcomeKind, Parity, ResultDocument};

/// A lane as a run announces it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct LaneInfo {
    /// Lane id, as in the result.
    pub id: String,
    /// The lane.
    pub lane: Lane,
    /// Accelerator that will run it; null for containers and processes.
    pub accelerator: Option<Accelerator>,
    /// Why the lane cannot run here; null when it can.
    pub unavailable: Option<String>,
}

/// What happens while an experiment runs. One tagged stream serves the
/// terminal, the window and the tests. Times are nanoseconds since the
/// request of the trial they belong to, on the host's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RunEvent {
    /// Work before the trials: bootstrap, build, unpack, disk, kernel.
    Preparing {
        /// Stable name of the step, e.g. `build`.
        step: String,
        /// What is being done, one line for people.
        message: String,
    },
    /// A line of a tool's output (build steps, bootstrap).
    Log {
        /// Stable name of the step it belongs to.
        step: String,
        /// The line, without its end.
        line: String,
    },
    /// The image is ready and the lanes are known.
    Planned {
        /// Experiment id.
        experiment: String,
        /// Image reference.
        image: String,
        /// Manifest digest.
        digest: String,
        /// Base image that stands in for the Dockerfile's, if any.
        base_substituted: Option<String>,
        /// The lanes.
        lanes: Vec<LaneInfo>,
        /// Measured trials a lane.
        trials: u32,
        /// Warm-up trials a lane.
        warmup: u32,
    },
    /// The check before timing is done for all lanes together.
    Parity {
        /// Its finding.
        parity: Parity,
    },
    /// A launch was requested: the clock of this trial starts.
    TrialStarted {
        /// Lane id.
        lane: String,
        /// Index within the lane.
        index: u32,
        /// Whether it is a warm-up.
        warmup: bool,
    },
    /// A phase ended.
    Phase {
        /// Lane id.
        lane: String,
        /// Index within the lane.
        index: u32,
        /// Phase name.
        name: String,
        /// Begin.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        start_ns: u64,
        /// End.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        end_ns: u64,
    },
    /// Use of the running instance.
    Sample {
        /// Lane id.
        lane: String,
        /// Index within the lane.
        index: u32,
        /// When.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        at_ns: u64,
        /// Processors busy since the last sample; 1.0 is one processor.
        cpus: f64,
        /// Memory, PSS, bytes.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        memory: u64,
    },
    /// The last byte of the first HTTP 200 arrived.
    FirstResponse {
        /// Lane id.
        lane: String,
        /// Index within the lane.
        index: u32,
        /// When.
        #[cfg_attr(feature = "ts", ts(type = "number"))]
        elapsed_ns: u64,
        /// Where the app answers.
        url: String,
    },
    /// The memory and disk sums of a lane's instance.
    Ledgers {
        /// Lane id.
        lane: String,
        /// Where memory went.
        memory: Ledger,
        /// Where disk went.
        disk: Ledger,
    },
    /// A trial is over and on disk.
    TrialFinished {
        /// Lane id.
        lane: String,
        /// Index within the lane.
        index: u32,
        /// What came of it.
        outcome: OutcomeKind,
        /// Why, when it was not measured.
        reason: Option<String>,
    },
    /// An estimate changed.
    Estimate {
        /// Lane id.
        lane: String,
        /// Metric id.
        metric: String,
        /// Trials behind it.
        n: u32,
        /// Median.
        median: f64,
        /// Its 95 % interval.
        ci95: [f64; 2],
    },
    /// An instance was left running for the person.
    Kept {
        /// Lane id.
        lane: String,
        /// Instance id.
        instance: String,
        /// Instance name.
        name: String,
        /// Where the app answers.
        url: String,
    },
    /// Something a reader must know.
    Warning {
        /// The sentence.
        message: String,
    },
    /// The run is over.
    Finished {
        /// Everything it produced.
        result: Box<ResultDocument>,
    },
    /// The run ended early, by cancel or by an error.
    Stopped {
        /// Why.
        error: Failure,
        /// What was cleaned up, a short line each.
        cleaned: Vec<String>,
    },
}
