//! Clocks, processes and what they use: the instruments.
//!
//! Everything that reads the kernel's text files is a pure parser with a thin
//! reader around it. A number that cannot be read is absent, never zero.
//! Nothing here knows which backend made what it looks at, so that all lanes
//! are measured with the same instrument.

mod cache;
mod cgroup;
mod clock;
mod disk;
mod follow;
mod foreign;
#[doc(hidden)]
pub mod fuzz;
mod http;
mod io;
mod kernel_file;
mod list;
mod machine;
mod memory;
mod network;
mod process;
mod sample;
mod tree;

pub use cache::drop_page_cache;
pub use cgroup::{
    CgroupLayout, CgroupLimits, CgroupUsage, Setup, Throttling, cgroup_limits, cgroup_processes,
    cgroup_setup, cgroup_throttling, cgroup_usage,
};
pub use clock::{Clocks, clocks, now, thread_cpu_ns};
pub use disk::{allocated_bytes, free_bytes};
pub use follow::Follower;
pub use foreign::{Foreign, architecture, foreign};
pub use http::{
    Body, FirstResponse, GetError, ReadyError, ReadyOptions, ResponseError, Rush, Shot,
    closed_loop, downtime_ns, get, lateness_ns, open_loop, wait_for_first_response,
};
pub use io::{IoUse, io_of};
pub use list::{ProcessRow, processes};
pub use machine::machine;
pub use memory::{MemoryBreakdown, anonymous_of_mapping, memory_of, pss_of};
pub use network::{NetworkUse, network_of};
pub use process::{alive, identity, is_stopped};
pub use sample::sample_tree;
pub use tree::{cpu_ns_of, session_members, session_of, tree};
