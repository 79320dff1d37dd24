//! Demand that grows, a stage each time that it is told to go on (SIGUSR1): so
//! who measures it takes as long as that needs, however slow the lane is.

use std::{
    hint::black_box,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use nix::sys::signal::{SigSet, Signal};

use crate::{Problem, compute, memory, say};

/// Longest that a stage lasts, whoever forgot to end it.
const LONGEST: Duration = Duration::from_mins(2);

/// Between one busy processor and one more.
const RAMP: Duration = Duration::from_millis(100);

/// Most processors that are kept busy.
const MOST: u64 = 256;

/// Keeps one processor busy after the other, `threads` of them. Told to go on it
/// takes memory, up to `bytes` and as [`memory::take`] does; told again it gives
/// the memory back, and then it ends.
pub(crate) fn grow(threads: u64, bytes: u64, leave: u64) -> Result<(), Problem> {
    if threads > MOST {
        return Err(Problem::Refused(format!("{threads} threads are refused: {MOST} at most")));
    }
    let told = Told::listen()?;
    press(threads, &told)?;
    let held = memory::take(bytes, leave)?;
    say("holding")?;
    told.to_go_on();
    drop(black_box(held));
    say("freed")?;
    told.to_go_on();
    Ok(())
}

/// Keeps the processors busy until it is told to go on.
fn press(threads: u64, told: &Told) -> Result<(), Problem> {
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    black_box(compute::work(100_000));
                }
            });
            thread::sleep(RAMP);
        }
        let said = say("pressing");
        if said.is_ok() {
            told.to_go_on();
        }
        enough.store(true, Ordering::Relaxed);
        said
    })
}

/// Who hears of the signal. It is blocked, so that a first process hears it too,
/// whose signals the kernel would otherwise drop (pid_namespaces(7)).
struct Told(Receiver<()>);

impl Told {
    fn listen() -> Result<Self, Problem> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGUSR1);
        let failed = |e: nix::Error| Problem::Failed(format!("cannot listen for a signal: {e}"));
        set.thread_block().map_err(failed)?;
        let (sender, told) = mpsc::channel();
        thread::spawn(move || while set.wait().is_ok() && sender.send(()).is_ok() {});
        Ok(Self(told))
    }

    fn to_go_on(&self) {
        // Told, or forgotten: it goes on either way.
        let _ = self.0.recv_timeout(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_refused_before_anything_begins() {
        assert!(matches!(grow(MOST + 1, 0, 0), Err(Problem::Refused(_))));
    }
}
