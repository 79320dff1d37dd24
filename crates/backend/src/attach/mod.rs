//! Being attached to a running app: its output as it comes, and its standard
//! input.
//!
//! ```text
//!  app ──▶ pump ──▶ Output ─┬─▶ log
//!                           └─▶ Clients ◀──control socket──▶ Attached (a command)
//!  app ◀── Running::write_input ◀──┘
//! ```
//!
//! A connection to the control socket becomes an attachment by its request;
//! from the answer on it carries frames both ways. The command that starts an
//! instance is attached before the app's first byte: one end of a pair of
//! sockets is the supervisor's standard input.

mod attached;
mod clients;
mod frame;
pub mod fuzz;
mod output;

pub(crate) use attached::request;
pub use attached::{AttachEvent, AttachWishes, Attached, AttachedInput, AttachedOutput};
pub(crate) use clients::{Clients, Inbox};
pub use output::{Output, pump};
