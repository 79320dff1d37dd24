//! Docker and Podman as lanes, through the API that both answer (Docker
//! Engine API, version 1.40 and later) on a unix socket of this machine.
//!
//! ```text
//! supervisor ── Payload ── Api ── unix socket ── dockerd | podman service
//!     │            │
//!     │            └─ create, attach, start, wait, kill … of one container
//!     └─ log, control socket, restarts: as for every backend
//! ```
//!
//! A container is named `tandem-ID` and carries labels with the instance and
//! its home. Whatever lacks them belongs to somebody else and is never
//! touched; an image is loaded under a name of Tandem's own, so that nobody's
//! tag moves. A volume with a name is the engine's own, under a name of ours.

mod api;
mod body;
mod container;
mod create;
mod engine;
mod exec;
mod frames;
#[doc(hidden)]
pub mod fuzz;
mod image;
mod keeper;
mod payload;
mod place;
mod refusal;
mod running;
mod socket;
mod volume;

pub use engine::EngineApi;
pub use exec::{ENGINE_EXEC, engine_exec_main};
pub use payload::engine_payload;
pub use volume::remove_kept_volume;
