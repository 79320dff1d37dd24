//! The agent: carries output, input and requests between the host and the
//! programs that run here. One thread, one poll.
//!
//! ```text
//!            ┌─ task 0: the app (not in a `full` machine)
//! host ◀─▶ link ─ tasks 1…: what the host asked for
//!            └─ requests about the whole machine: system
//! ```

mod confine;
mod link;
mod program;
mod session;
mod spawn;
mod system;
mod task;
mod terminal;
mod user;

use std::{io, process::ExitCode};

use tandem_guest::wire::{Confinement, Failure};

pub(crate) use confine::prepare;
pub(crate) use link::open_port;
pub(crate) use session::Session;
pub(crate) use system::stats;

/// A failed step.
pub(crate) fn step(step: &str) -> impl FnOnce(io::Error) -> Failure {
    move |e| Failure::Step { step: step.to_owned(), reason: e.to_string() }
}

/// Serves the host beside another first process, until the machine ends.
pub(crate) fn serve() -> ExitCode {
    let served = Session::new(|| (), Confinement::default()).and_then(|mut session| {
        session.connect(Some(open_port()?));
        session.run()
    });
    match served {
        Ok(_) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("tandem-guest: the channel to the host failed: {e}");
            ExitCode::FAILURE
        }
    }
}
