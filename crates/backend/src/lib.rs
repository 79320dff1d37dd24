//! What every backend has in common: the [`Backend`] trait that the
//! laboratory drives, the store of instances on disk, and the supervisor
//! process that stands beside each running instance.
//!
//! There is no daemon. An instance is a folder with an `instance.json`; while
//! it runs, one supervisor holds the folder's lock, owns the payload (a
//! container's init, a QEMU process), writes its log and answers on a control
//! socket. Everybody else reads the folder. When the lock is free and the
//! state says `running`, the supervisor was killed, and the next command
//! [reaps](SupervisedBackend::reap) what it left.
//!
//! ```text
//!            create            launch ok            payload ends
//!  (nothing) ──────▶ Created ─▶ Starting ─▶ Running ────────────▶ Exited
//!                        ▲          └── launch fails ─────────────▶  │
//!                        ├─ Restarting ◀── restart policy ──────────┤
//!                        └────────────────── start ─────────────────┘
//! ```

mod attach;
mod backend;
mod control;
mod error;
mod exec;
#[doc(hidden)]
pub mod fuzz;
mod launch;
mod log;
mod other_port;
mod standby;
mod step;
mod store;
mod supervised;
mod supervisor;
mod terminal;
mod usage;
mod volume;

pub use attach::{
    AttachEvent, AttachWishes, Attached, AttachedInput, AttachedOutput, Output, pump,
};
pub use backend::{Availability, Backend};
pub use control::{ControlRequest, Held, Peer, ask, call, connect, hold, hold_with_memory};
pub use error::BackendError;
pub use exec::{exec_ended, exec_helper, exec_wanted};
pub use launch::{ATTACHED, LaunchEvent, SUPERVISE};
pub use log::{LogLine, LogReader, LogWriter, Stream};
pub use standby::STAND_BY;
pub use step::{StepMount, StepRunner, StepSource, StepSpec};
pub use store::InstanceStore;
pub use supervised::{Supervised, SupervisedBackend};
pub use supervisor::{
    Executor, Joined, Launch, Payload, Remainder, Running, Serve, keep_descriptors, signal_number,
    stand_by, supervise, take_standard_input,
};
pub use terminal::{RawMode, WindowSize};
pub use usage::{memory_ledger, push_supervisor, sample};
pub use volume::{VolumeKeeper, VolumeRecord, VolumeStore};
