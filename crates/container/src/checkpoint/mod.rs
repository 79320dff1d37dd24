//! The memory of a running container, through CRIU (criu(8)).
//!
//! ```text
//! dump      app held still by its control group ─ criu dump ─ goes on
//! restore   rootfs, network, group as for any start ─ criu restore ─ our child
//! ```
//!
//! What belongs to this machine and not to the app is not in the images: files
//! and volumes, the network namespace, control groups, the pipes of the log.
//! It is made anew and given to the restored processes in place of what they
//! had. Connections that stood are closed; sockets that listen are kept.

mod dump;
mod images;
mod mounts;
mod probe;
mod program;
mod restore;
mod sockets;

pub(crate) use dump::Subject;
pub(crate) use images::pending;
pub use images::{Checkpoint, drop_pending, lay_pending};
pub use probe::{checkpoint_capability, checkpoint_works};
pub(crate) use restore::{Given, Grounds, restore};
