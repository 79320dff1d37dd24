use serde::{Deserialize, Serialize};
use tandem_image::Image;
use tandem_model::Digest;

/// What happens during a build. Steps are numbered from 1 over all stages
/// that are built; each ends with [`Self::StepCached`] or
/// [`Self::StepFinished`] unless the build fails in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BuildEvent {
    /// An instruction begins.
    StepStarted {
        /// Its number.
        index: u32,
        /// How many there are.
        total: u32,
        /// The stage's name, or its number from 0.
        stage: String,
        /// Its text as written.
        instruction: String,
        /// Its line in the Dockerfile.
        line: u32,
    },
    /// The instruction's result was already there.
    StepCached {
        /// Its number.
        index: u32,
    },
    /// A line that the step wrote.
    Output {
        /// The step's number.
        index: u32,
        /// Where it wrote it.
        stream: OutputStream,
        /// The line without its end.
        line: String,
    },
    /// The instruction was carried out.
    StepFinished {
        /// Its number.
        index: u32,
        /// How long it took.
        elapsed_ns: u64,
        /// Bytes of the layer that it made, as stored; 0 without a layer.
        bytes: u64,
    },
    /// A named context stands in for what the Dockerfile names.
    Substituted(Substitution),
    /// Something that the person ought to know.
    Warning {
        /// Line in the Dockerfile, if it has one.
        line: Option<u32>,
        /// The sentence.
        message: String,
    },
    /// The image is in the store.
    Done {
        /// Its manifest digest.
        digest: Digest,
    },
}

/// Where a line of output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    /// The command's standard output.
    Stdout,
    /// The command's standard error.
    Stderr,
    /// Tandem itself: pulling, unpacking.
    Progress,
}

/// A named context that stood in for a name of the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Substitution {
    /// What the Dockerfile names.
    pub from: String,
    /// What was taken.
    pub to: String,
}

/// A finished build.
#[derive(Debug, Clone)]
pub struct Built {
    /// The image in the store, under its first name.
    pub image: Image,
    /// Every named context that was used.
    pub substitutions: Vec<Substitution>,
    /// The steps in order.
    pub steps: Vec<StepReport>,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// The instruction as written.
    pub instruction: String,
    /// Its line in the Dockerfile.
    pub line: u32,
    /// Its result was already there.
    pub cached: bool,
    /// How long it took.
    pub elapsed_ns: u64,
    /// Bytes of the layer that it made, as stored; 0 without a layer.
    pub bytes: u64,
}
