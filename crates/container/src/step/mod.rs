//! One `RUN` of a build.
//!
//! ```text
//! builder ── socket ── helper `tandem __step` (own mount namespace)
//!                        │  overlay of the layers so far
//!                        └─ command: pid 1 of its pid namespace, own mounts,
//!                           Docker's capabilities and system call filter
//! ```
//!
//! There is no control group and nothing on the host to take away: when the
//! helper is gone, the kernel kills the command (`PR_SET_PDEATHSIG`), with it
//! everything in its pid namespace, and drops the mounts. The helper ends when
//! its socket is closed, so it does not outlive the builder either.

mod command;
mod engine;
mod helper;
mod mounts;
mod stubs;

use serde::{Deserialize, Serialize};
use tandem_model::Failure;

use crate::confine::Filter;

pub use engine::StepEngine;
pub use helper::step_main;

/// First argument of the hidden entry point that runs a step: `tandem __step`.
pub const STEP: &str = "__step";

/// What the helper is asked, one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Request<S> {
    step: S,
    /// The system call filter; making it takes longer than many a step.
    filter: Filter,
}

/// What the helper answers, one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// The command ended with this code.
    Ended(i32),
    /// It could not be run.
    Failed(Failure),
}
