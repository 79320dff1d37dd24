//! The `process` lane: the same files through the same overlay, a chroot, and
//! no isolation. What the other lanes cost is measured against it.

mod app;
mod engine;
mod payload;
mod ports;

pub use engine::ProcessEngine;
pub use payload::process_payload;

/// The engine's name in results.
const ENGINE: &str = "chroot";
