//! A person's terminal, or a script's pipes, joined to a running app.

mod keys;
mod session;
mod typing;

pub(crate) use keys::{DetachKeys, Scanner};
pub(crate) use session::{Left, Session, Signals};
pub(crate) use typing::read_stdin;
