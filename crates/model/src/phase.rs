use serde::{Deserialize, Serialize};

/// A moment on the host's monotonic clock, in nanoseconds since its own epoch
/// (`CLOCK_MONOTONIC`, clock_gettime(2)). The clock is common to all processes
/// of one machine boot, so supervisors and commands may compare theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(type = "number"))]
#[serde(transparent)]
pub struct HostInstant(pub u64);

impl HostInstant {
    /// Nanoseconds from `earlier` to this moment; zero when it is later.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A named slice of a launch, stamped on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Phase {
    /// `rootfs`, `network`, `create`, `disk`, `spawn`, `kernel`, `userspace`, `app`, …
    pub name: String,
    /// Begin.
    pub start: HostInstant,
    /// End.
    pub end: HostInstant,
}
