//! What the kernel's control groups say of an instance: version 1
//! (`Documentation/admin-guide/cgroup-v1`), version 2
//! (`Documentation/admin-guide/cgroup-v2.rst`) and both at once.

mod group;
mod layout;
mod limits;
mod throttling;
mod usage;

pub(crate) use group::Group;
pub use layout::{CgroupLayout, Setup, cgroup_setup};
pub use limits::{CgroupLimits, cgroup_limits};
pub use throttling::{Throttling, cgroup_throttling};
pub use usage::{CgroupUsage, cgroup_processes, cgroup_usage};
