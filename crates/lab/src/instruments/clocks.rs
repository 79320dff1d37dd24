//! Whether somebody set the clock, or the machine slept, during a trial.

use tandem_probe::{Clocks, clocks};

/// What the clocks say of a stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Disturbance {
    /// By how much the time of day was set forward, nanoseconds.
    pub(crate) set_by: i64,
    /// How long the machine slept, nanoseconds.
    pub(crate) slept_for: u64,
    /// How long we ourselves were held still at a time, nanoseconds.
    pub(crate) held_for: u64,
    /// How long it took, without sleep.
    pub(crate) elapsed: u64,
}

/// Reading three clocks one after the other takes some time too.
const LEAST: u64 = 50_000_000;

/// A busy machine lets everybody wait for a while.
const HELD: u64 = 500_000_000;

impl Disturbance {
    /// Whether the time of day jumped: clocks that are only kept in step are
    /// slewed by 500 millionths at most (ntp_adjtime(3)).
    pub(crate) fn was_set(self) -> bool {
        self.set_by.unsigned_abs() > LEAST + self.elapsed / 1000
    }

    /// Whether the machine was suspended.
    pub(crate) fn slept(self) -> bool {
        self.slept_for > LEAST
    }

    /// Whether we were held still for so long that times are wrong.
    pub(crate) fn was_held(self) -> bool {
        self.held_for > HELD
    }
}

/// Looks at the clocks at both ends of a stretch.
pub(crate) struct Watch<C> {
    read: C,
    began: Clocks,
}

impl Watch<fn() -> Clocks> {
    /// Begins now, with the kernel's clocks.
    pub(crate) fn start() -> Self {
        Self::with(clocks)
    }
}

impl<C: Fn() -> Clocks> Watch<C> {
    /// Begins now, with these clocks.
    pub(crate) fn with(read: C) -> Self {
        let began = read();
        Self { read, began }
    }

    /// The stretch until now.
    pub(crate) fn end(&self) -> Disturbance {
        let (began, ended) = (self.began, (self.read)());
        let signed = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
        let day = signed(ended.time_of_day) - signed(began.time_of_day);
        let with_sleep = ended.since_boot.saturating_sub(began.since_boot);
        let elapsed = ended.monotonic.saturating_sub(began.monotonic);
        Disturbance {
            // The time of day goes on in sleep, as the clock since boot does.
            set_by: day - signed(with_sleep),
            slept_for: with_sleep.saturating_sub(elapsed),
            held_for: 0,
            elapsed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Ten seconds by the clock that stands still in sleep.
    fn seen(slept: u64, set: i64) -> Disturbance {
        let clock = Cell::new(Clocks { monotonic: 5, time_of_day: 1 << 60, since_boot: 9 });
        let watch = Watch::with(|| clock.get());
        let before = clock.get();
        clock.set(Clocks {
            monotonic: before.monotonic + 10 * SECOND,
            since_boot: before.since_boot + 10 * SECOND + slept,
            time_of_day: (before.time_of_day + 10 * SECOND + slept).saturating_add_signed(set),
        });
        watch.end()
    }

    #[test]
    fn a_clock_that_is_set_and_one_that_slept_are_told_apart() {
        let quiet = seen(0, 0);
        assert!(!quiet.was_set() && !quiet.slept());
        let asleep = seen(3600 * SECOND, 0);
        assert!(asleep.slept() && !asleep.was_set() && asleep.slept_for == 3600 * SECOND);
        for set in [-7200, 2] {
            let stepped = seen(0, set * 1_000_000_000);
            assert!(stepped.was_set() && !stepped.slept() && stepped.set_by == set * 1_000_000_000);
        }
        let both = seen(60 * SECOND, -3_000_000_000);
        assert!(both.slept() && both.was_set());
    }

    #[test]
    fn keeping_in_step_is_no_setting() {
        // 500 millionths of ten seconds.
        assert!(!seen(0, 5_000_000).was_set() && !seen(1_000_000, -5_000_000).slept());
    }

    #[test]
    fn the_kernels_clocks_agree_in_a_moment() {
        let found = Watch::start().end();
        assert!(!found.was_set() && !found.slept(), "{found:?}");
    }
}
