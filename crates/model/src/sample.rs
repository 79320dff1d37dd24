use serde::{Deserialize, Serialize};

use crate::HostInstant;

/// Memory of one instance as the host sees it, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct MemoryUse {
    /// Proportional set size, summed over the instance's processes
    /// (`/proc/PID/smaps_rollup`).
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub pss: u64,
    /// Bytes charged to the instance's cgroup, when it has one.
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub cgroup: Option<u64>,
    /// Anonymous memory charged to the cgroup.
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub anonymous: Option<u64>,
    /// Page cache charged to the cgroup.
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub file: Option<u64>,
    /// Kernel memory charged to the cgroup.
    #[cfg_attr(feature = "ts", ts(type = "number | null"))]
    pub kernel: Option<u64>,
}

/// What an instance uses at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Sample {
    /// When it was read.
    pub at: HostInstant,
    /// Processor time used since the instance started, nanoseconds.
    #[cfg_attr(feature = "ts", ts(type = "number"))]
    pub cpu_ns: u64,
    /// Memory now.
    pub memory: MemoryUse,
    /// Processes now.
    pub processes: u32,
}

/// What came of an attempt to measure. A failure is never a zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome<T> {
    /// The measured value.
    Measured {
        /// The value.
        value: T,
    },
    /// This machine or lane cannot do it.
    Unavailable {
        /// Why.
        reason: String,
    },
    /// It was tried and went wrong.
    Failed {
        /// What happened.
        reason: String,
    },
}
