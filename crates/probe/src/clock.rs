use rustix::time::{ClockId, clock_gettime};
use tandem_model::HostInstant;

/// The present moment on the host's monotonic clock.
pub fn now() -> HostInstant {
    HostInstant(nanoseconds(ClockId::Monotonic))
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
