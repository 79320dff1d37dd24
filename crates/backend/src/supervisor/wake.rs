//! What a supervisor waits for.

use std::{os::fd::AsRawFd, time::Duration};

use tandem_model::ProcessIdentity;
use tokio::io::{Interest, unix::AsyncFd};

use crate::BackendError;

/// Resolves when the reader of our standard output has closed it.
pub(super) async fn reader_gone() {
    match watch(std::io::stdout(), Interest::ERROR) {
        Some(stdout) => drop(stdout.ready(Interest::ERROR).await),
        None => std::future::pending().await,
    }
}

/// Resolves when the process has ended; never without one.
pub(super) async fn ended(process: Option<ProcessIdentity>) {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let Some(process) = process else { return std::future::pending().await };
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
    let pidfd = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    // Checked after opening, so that the descriptor cannot be a later process's.
    let (Some(pidfd), true) = (pidfd, tandem_probe::alive(process)) else { return };
    if let Some(pidfd) = watch(pidfd, Interest::READABLE) {
        let _ = pidfd.readable().await;
    }
}

fn watch<T: AsRawFd>(source: T, interest: Interest) -> Option<AsyncFd<T>> {
    // SAFETY: standard output and an owned pidfd name the same open file as
    // long as the value lives, and the value lives inside the `AsyncFd`.
    unsafe { AsyncFd::register_with_interest(source, interest) }.ok()
}

/// Resolves when the signal arrives.
pub(super) async fn terminated(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Resolves at the time limit; never without one.
pub(super) async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// How long threads that have done their work may take to end.
const THREADS: Duration = Duration::from_secs(10);

/// Resolves when this process has a single thread, as a launch wants it.
pub(super) async fn single_threaded() -> Result<(), BackendError> {
    let begin = tokio::time::Instant::now();
    loop {
        let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count);
        match threads {
            Ok(1) => return Ok(()),
            _ if begin.elapsed() < THREADS => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => return Err(BackendError::engine("starting the app again", "a thread hangs")),
        }
    }
}
