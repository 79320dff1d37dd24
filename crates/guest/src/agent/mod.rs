//! The agent: carries output, input and requests between the host and the
//! programs that run here. One thread, one poll.
//!
//! ```text
//!            ┌─ task 0: the app
//! host ◀─▶ link ─ tasks 1…: what the host asked for
//!            └─ requests about the whole machine: system
//! ```

mod confine;
mod ends;
mod link;
mod program;
mod service;
mod session;
mod spawn;
mod system;
mod task;
mod terminal;
mod user;

use std::io;

use tandem_guest::wire::Failure;

pub(crate) use confine::{OWN_GROUP, apply, mount_groups, prepare};
pub(crate) use link::open_port;
pub(crate) use service::{Notice, Place, Service};
pub(crate) use session::Session;
pub(crate) use spawn::become_program;
pub(crate) use system::stats;

/// A failed step.
pub(crate) fn step(step: &str) -> impl FnOnce(io::Error) -> Failure {
    move |e| Failure::Step { step: step.to_owned(), reason: e.to_string() }
}
