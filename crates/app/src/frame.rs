//! What the window is sent while a run goes on.

use serde::Serialize;
use tandem_model::{Machine, RunEvent};

use crate::{ExperimentRequest, SubjectInfo, live::Charts};

/// What the page shows first. It comes with the page, so that the first frame
/// waits for no answer.
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
pub struct Beginning {
    /// A comparison as it is set when nothing was changed.
    pub request: ExperimentRequest,
    /// What can be compared.
    pub subjects: Vec<SubjectInfo>,
}

/// What the program found when it opened.
#[derive(Debug, Clone, Serialize, ts_rs::TS)]
pub struct Opening {
    /// This machine.
    pub machine: Machine,
    /// What a crash had left and was cleaned now, a short line each.
    pub cleaned: Vec<String>,
    /// The process before this one ended while the window was open.
    pub again: bool,
}

/// An event and when it happened.
#[derive(Debug, Clone, Serialize, ts_rs::TS)]
pub struct Timed {
    /// Milliseconds since the run was asked for, on the host's clock.
    pub at_ms: f64,
    /// The event.
    pub event: RunEvent,
}

/// The events of about a tenth of a second, and the charts after them.
#[derive(Debug, Clone, Serialize, ts_rs::TS)]
pub struct Frame {
    /// It begins a run: what was known of another one is void.
    pub first: bool,
    /// Milliseconds since the run was asked for, when this was sent.
    pub now_ms: f64,
    /// The events in their order; none is left out.
    pub events: Vec<Timed>,
    /// The charts as they are now; null when they have not changed.
    pub charts: Option<Charts>,
}
