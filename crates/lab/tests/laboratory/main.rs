//! The laboratory over scripted backends and small loopback servers.

mod cancel;
mod common;
mod fake;
mod resume;
mod run;
