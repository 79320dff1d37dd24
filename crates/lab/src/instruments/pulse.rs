//! Whether we ourselves were held still during a trial: by Ctrl-Z, a debugger,
//! a frozen control group, or a machine that had no moment for us. Then what
//! we timed came later than it was.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Between two beats.
const BEAT: Duration = Duration::from_millis(50);

/// A thread that does nothing but notice when it could not.
pub(crate) struct Pulse {
    longest: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    /// Missing where no thread could be had.
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    /// Begins now.
    pub(crate) fn start() -> Self {
        let longest = Arc::new(AtomicU64::new(0));
        let ended = Arc::new(AtomicBool::new(false));
        let (most, over) = (longest.clone(), ended.clone());
        let beating = move || {
            while !over.load(Relaxed) {
                let begin = Instant::now();
                thread::park_timeout(BEAT);
                let late = begin.elapsed().saturating_sub(BEAT);
                most.fetch_max(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX), Relaxed);
            }
        };
        let thread = thread::Builder::new().name("tandem-pulse".to_owned()).spawn(beating).ok();
        Self { longest, ended, thread }
    }

    /// How long it stood still at the longest, nanoseconds.
    pub(crate) fn end(mut self) -> u64 {
        self.stop();
        self.longest.load(Relaxed)
    }

    fn stop(&mut self) {
        self.ended.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_ends_at_once_and_has_its_own_measure() {
        let begin = Instant::now();
        let pulse = Pulse::start();
        thread::sleep(BEAT * 3);
        let longest = pulse.end();
        // It cannot have stood still for longer than it was there.
        assert!(u128::from(longest) <= begin.elapsed().as_nanos(), "{longest}");
    }
}
