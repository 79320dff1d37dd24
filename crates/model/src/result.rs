use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Accelerator, BackendKind, Digest, Resources};

/// The `schema` field of a result document.
pub const SCHEMA: &str = "tandem.result/1";

/// What an experiment produced, as it is exported
/// (`result-1.schema.json` is the contract).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ResultDocument {
    /// [`SCHEMA`].
    pub schema: String,
    /// Unique, at least eight characters.
    pub id: String,
    /// `startup`, `compare`, …
    pub experiment: String,
    /// RFC 3339.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub started_at: jiff::Timestamp,
    /// RFC 3339.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub finished_at: jiff::Timestamp,
    /// What ran.
    pub subject: Subject,
    /// Where it ran.
    pub machine: Machine,
    /// How it was measured.
    pub design: Design,
    /// The sides of the comparison.
    pub lanes: Vec<LaneReport>,
    /// Every raw trial, in the order in which they ran.
    pub trials: Vec<TrialRecord>,
    /// Per lane and metric.
    pub summary: Vec<Summary>,
    /// Ratios between lanes.
    pub comparisons: Vec<Comparison>,
    /// The claims, judged.
    pub verdicts: Vec<Verdict>,
    /// What people expected before it ran, and what they made of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predictions: Vec<Prediction>,
    /// What a reader must know besides.
    pub warnings: Vec<String>,
}

/// What somebody expected of an experiment, written down before it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Prediction {
    /// What was asked.
    pub question: String,
    /// What was expected.
    pub expected: String,
    /// Why it came out as it did, in their words, once they had seen it.
    #[serde(default)]
    pub explanation: Option<String>,
}

impl Prediction {
    /// Longest text of each part, in characters.
    pub const LONGEST: usize = 2000;
    /// Most in one result.
    pub const MOST: usize = 500;
}

/// What ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Subject {
    /// Sample, folder or image as the person named it.
    pub name: String,
    /// The image's reference.
    pub image: String,
    /// The manifest digest that every lane ran.
    pub digest: Digest,
    /// The base image really used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub base: Option<String>,
    /// Whether that base stands in for the one the Dockerfile names.
    pub base_substituted: bool,
}

/// Where it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Machine {
    /// Hash of the other fields: equal on the same machine set-up.
    pub fingerprint: String,
    /// Processor model.
    pub cpu: String,
    /// Logical processors.
    pub cores: u32,
    /// Physical memory.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub memory_bytes: u64,
    /// `uname -r`.
    pub kernel: String,
    /// Distribution, e.g. `Debian GNU/Linux 12 (bookworm)`.
    pub os: String,
    /// `v1`, `v2` or `hybrid`.
    pub cgroup: String,
    /// The hypervisor beneath this machine, when there is one.
    pub virtualised: Option<String>,
}

/// How it was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Design {
    /// Measured trials a lane.
    pub trials: u32,
    /// Warm-up trials a lane, recorded and marked.
    pub warmup: u32,
    /// Seed of the order and of the bootstrap; below 2^53 so that every
    /// reader keeps it exactly.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub seed: u64,
    /// Lane ids in the order in which the trials ran.
    pub order: Vec<String>,
    /// State of the page cache before each trial.
    pub cache: CacheState,
}

/// State of the page cache before a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum CacheState {
    /// Files were read before.
    Warm,
    /// Caches were dropped.
    Cold,
}

/// One side of the comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct LaneReport {
    /// Lane text, `#2` for the second of equal lanes.
    pub id: String,
    /// What ran it.
    pub backend: BackendKind,
    /// `micro`, for `vm`.
    pub profile: Option<String>,
    /// Engine and version.
    pub engine: String,
    /// `kvm`, `tcg`, or null where there is no virtual machine.
    pub accelerator: Option<Accelerator>,
    /// Limits.
    pub resources: Resources,
    /// Whether this lane ran the same bytes under the same limits.
    pub parity: Parity,
}

/// The finding of the check before timing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Parity {
    /// Nothing differed.
    pub fair: bool,
    /// What differed, a sentence each.
    pub differences: Vec<String>,
}

/// What came of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// It has values.
    Measured,
    /// The lane cannot run here.
    Unavailable,
    /// It was tried and went wrong.
    Failed,
}

/// A phase relative to the trial's request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct TrialPhase {
    /// Its name.
    pub name: String,
    /// Nanoseconds from the request to its begin.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub start_ns: u64,
    /// Nanoseconds from the request to its end.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub end_ns: u64,
}

/// One measured repetition in one lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct TrialRecord {
    /// Lane id.
    pub lane: String,
    /// Counts from zero within the lane, warm-ups included.
    pub index: u32,
    /// Whether it is left out of summaries.
    pub warmup: bool,
    /// What came of it.
    pub outcome: OutcomeKind,
    /// Why, when it was not measured.
    pub reason: Option<String>,
    /// Slices of the launch.
    pub phases: Vec<TrialPhase>,
    /// Metric id to value; times in nanoseconds, sizes in bytes.
    #[cfg_attr(feature = "ts", ts(type = "Record<string, number | string | boolean | null>"))]
    pub metrics: BTreeMap<String, serde_json::Value>,
    /// Named time series: `cpu` and `memory`, each a list of
    /// `[nanoseconds since the request, value]`.
    pub series: BTreeMap<String, Vec<[f64; 2]>>,
}

/// Unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// Bytes.
    Bytes,
    /// A plain number.
    Count,
    /// A quotient.
    Ratio,
    /// Events a second.
    PerSecond,
    /// Bytes a second.
    BytesPerSecond,
    /// Yes or no.
    Boolean,
}

/// Summary of one metric in one lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Summary {
    /// Lane id.
    pub lane: String,
    /// Metric id.
    pub metric: String,
    /// Its unit.
    pub unit: Unit,
    /// Measured trials behind it.
    pub n: u32,
    /// The estimate.
    pub median: f64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Sample standard deviation; null for n = 1.
    pub stddev: Option<f64>,
    /// Bootstrap 95 % interval of the median.
    pub ci95: [f64; 2],
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Values beyond Tukey's fences; they are kept.
    pub outliers: u32,
}

/// A ratio of medians between two lanes, `b` divided by `a`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Comparison {
    /// Metric id.
    pub metric: String,
    /// Lane in the denominator.
    pub a: String,
    /// Lane in the numerator.
    pub b: String,
    /// Median of `b` divided by median of `a`.
    pub ratio: f64,
    /// Bootstrap 95 % interval of the ratio.
    pub ci95: [f64; 2],
}

/// How a claim fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum VerdictOutcome {
    /// The numbers say so.
    Supported,
    /// The numbers say the opposite.
    Refuted,
    /// Not enough evidence.
    Inconclusive,
    /// Nothing was measured.
    NotMeasured,
}

/// A claim of the article, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Verdict {
    /// The claim in the article's words.
    pub claim: String,
    /// How it fared.
    pub outcome: VerdictOutcome,
    /// The numbers that say so, and the caveat.
    pub why: String,
}
