//! The embedded container engine, the `process` baseline lane, and the runner
//! of build steps.
//!
//! Three ways to run a command in an image's files, from most to least
//! isolated:
//!
//! * [`ContainerEngine`]: libcontainer, with namespaces, control groups, a
//!   network of its own and Docker's default restrictions;
//! * [`StepEngine`]: one `RUN` of a build, with the same restrictions but no
//!   control group, gone without trace when its helper process is killed;
//! * [`ProcessEngine`]: a chroot and nothing else, what the others are
//!   measured against.
//!
//! All mounts are made in private mount namespaces, so the host never sees
//! one and none can be left behind.

mod bundle;
mod cgroup;
mod changes;
mod checkpoint;
mod confine;
mod container;
mod descendants;
mod exec;
mod files;
#[doc(hidden)]
pub mod fuzz;
mod init;
mod launch;
mod memory;
mod network;
mod prepare;
mod process;
mod proxy;
mod reap;
mod rootfs;
mod running;
mod stdio;
mod step;
mod storage;
mod task;
mod usage;
mod users;

pub use cgroup::WarmUp;
pub use changes::{Change, ChangeKind, changes, tidy_changes, upper_of};
pub use checkpoint::{
    Checkpoint, checkpoint_capability, checkpoint_works, drop_pending, lay_pending,
};
pub use container::{ContainerEngine, container_payload};
pub use exec::{EXEC, exec_main};
pub use files::{
    FILES, FilesAnswer, FilesRequest, FilesSource, FilesTask, copied_as_it_is, copy_destination,
    files_main,
};
pub use network::{NETWORK, NetworkStore, network_main};
pub use process::{ProcessEngine, process_payload};
pub use step::{STEP, StepEngine, step_main};
pub use users::user_names;
