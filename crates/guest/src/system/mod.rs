//! In a machine with a first process of its own: systemd starts the agent, and
//! the app as a service (the units are in `vm/system`).
//!
//! ```text
//! systemd ─▶ tandem-agent: boot file ─▶ image's folder furnished ─▶ READY=1
//!        └─▶ tandem-app:   enters the folder, becomes the app
//!              at its end: tells the agent, which has the machine switched off
//! ```
//!
//! Without a boot file (the disk was carried elsewhere) the agent ends at once,
//! and the app runs as the disk says.

mod agent;
mod app;

use std::path::Path;

pub(crate) use agent::serve;
pub(crate) use app::{become_app, tell_end};

use crate::agent::Place;

/// What exists while the machine is on.
const RUN: &str = "/run/tandem";

fn pipes() -> Place {
    Place::new(Path::new(RUN))
}

/// What the app is, while Tandem runs the machine.
fn service_file() -> std::path::PathBuf {
    Path::new(RUN).join("app.json")
}
