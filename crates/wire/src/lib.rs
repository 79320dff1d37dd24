//! What the window and the process behind it say to each other.
//!
//! The window's program draws and carries clicks; the work is done by a
//! process of the `tandem` command that it starts ([`ENTRY`]). One stream
//! socket, the standard input of that process, carries messages both ways:
//!
//! ```text
//! length u32 │ kind u8 │ number u64 │ body       little-endian; the length is
//!            └──────── length ────────────┘      that of all that follows it
//! ```
//!
//! A call has a number of its own, and its answer or fault bears the same.
//! What is told while a call goes on bears the number of an *outlet* that the
//! call named, until that is over. Bodies are JSON, except of [`Kind::Bytes`].

mod line;
mod message;

pub use line::{Sender, connect};
pub use message::{Kind, Message};

/// The hidden word with which the window starts the `tandem` command; the
/// window's version follows.
pub const ENTRY: &str = "__window";

/// A further word: the process before this one ended while the window was open.
pub const AGAIN: &str = "again";
