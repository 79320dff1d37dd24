use rustix::time::{ClockId, clock_gettime};
use tandem_model::HostInstant;

/// The present moment on the host's monotonic clock.
pub fn now() -> HostInstant {
    HostInstant(nanoseconds(ClockId::Monotonic))
}

/// The host's clocks in one moment, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Stands still while the machine sleeps (`CLOCK_MONOTONIC`).
    pub monotonic: u64,
    /// The time of day since 1970, which somebody may set (`CLOCK_REALTIME`).
    pub time_of_day: u64,
    /// Goes on in sleep, and nobody sets it (`CLOCK_BOOTTIME`).
    pub since_boot: u64,
}

/// Reads all of them.
pub fn clocks() -> Clocks {
    Clocks {
        monotonic: nanoseconds(ClockId::Monotonic),
        time_of_day: nanoseconds(ClockId::Realtime),
        since_boot: nanoseconds(ClockId::Boottime),
    }
}

/// Processor time that the calling thread has used, nanoseconds: what an
/// instrument costs.
pub fn thread_cpu_ns() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds * 1_000_000_000 + nanoseconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_only_goes_forward() {
        let first = now();
        assert!(now() >= first && first.0 > 0);
    }
}
