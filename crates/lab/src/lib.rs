//! Experiments: plan, schedule, run, record.
//!
//! [`run`] takes a [`Plan`], which names one of the [experiments](CATALOGUE), and the lanes to compare, and goes through
//!
//! ```text
//! availability ─▶ prepare ─▶ warm-ups ─▶ parity ─▶ trials ─▶ verdicts
//! ```
//!
//! Preparing is done for all lanes before any clock runs. The measured trials
//! are blocks of one trial for each lane, in a fresh random order within each
//! block (a randomised complete block design: whatever drifts during the run
//! meets all lanes alike). Seed and order are recorded.
//!
//! A trial has one t₀, taken right before the instance is created, and one
//! finish, the last byte of the first HTTP 200, both on the host's monotonic
//! clock. Its phases cover the time between without gap or overlap. Prober and
//! sampler are the same for all lanes, run on threads of their own, and their
//! own processor time is recorded beside the result.
//!
//! What goes wrong in a trial is its outcome, never a number. Each trial is in
//! the [`ResultStore`] before the next one starts. Nothing here knows a
//! particular backend.

mod analysis;
mod beside;
mod class;
mod error;
mod experiment;
mod guide;
mod import;
mod instruments;
mod merge;
mod order;
mod parity;
mod phases;
mod plan;
mod port;
mod run;
mod stage;
mod store;
mod trial;

pub use analysis::{
    contrast::{Contrast, too_few},
    unit_of, values,
};
pub use beside::{
    Against, BesideError, CellBeside, EstimateBeside, Finding, RowBeside, RunBeside, SideBySide,
    side_by_side,
};
pub use class::{
    Class, ClassGroup, ClassLane, ClassMachine, ClassMetric, ClassRatio, HandedIn, OnMachine, Over,
    Refused, class,
};
pub use error::LabError;
pub use experiment::{
    Bench, CATALOGUE, Description, Experiment, Launched, Load, Method, TrialEnd, describe,
    experiment,
};
pub use guide::{
    Bound, ClassNeed, ENOUGH, Guide, LaneFit, NotEnough, Room, Scarce, UsedResult, guide,
};
pub use import::{ImportError, read_document};
pub use instruments::available_memory;
pub use merge::{MergeError, MethodOf, merge};
pub use order::blocks;
pub use parity::apart;
pub use plan::{LaneSetup, Plan};
pub use run::{Earlier, run, run_with};
pub use store::{ResultRow, ResultStore, Resumable, StoreError, StoredRun};
