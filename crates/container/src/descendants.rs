//! The processes below this one.
//!
//! A supervisor is a subreaper (prctl(2), `PR_SET_CHILD_SUBREAPER`): whatever
//! its app starts stays below it, whichever parents end in between.

use std::{
    io,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid},
    },
    unistd::Pid,
};

/// Every process below this one.
pub(crate) fn descendants() -> Vec<Pid> {
    let pids = tandem_probe::tree(std::process::id());
    pids.into_iter().skip(1).filter_map(|pid| Some(Pid::from_raw(pid.try_into().ok()?))).collect()
}

/// How long killed processes may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Kills every process below this one, with those that they start meanwhile,
/// and collects them. Returns how many it could not end, which is zero but for
/// processes that hang in the kernel.
pub(crate) fn kill_descendants() -> usize {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(100);
    loop {
        collect();
        if no_children() {
            return 0;
        }
        let left = descendants();
        if left.is_empty() || Instant::now() > deadline {
            return left.len();
        }
        for pid in left {
            let _ = kill(pid, Signal::SIGKILL);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Collects every child that has ended.
fn collect() {
    while matches!(
        waitpid(None, Some(WaitPidFlag::WNOHANG)),
        Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(Errno::EINTR)
    ) {}
}

fn no_children() -> bool {
    matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD))
}

/// Collects children that have ended, but not `main`: its status is left for
/// whoever waits for it. Once that has ended the rest may wait for
/// [`kill_descendants`].
pub(crate) fn collect_orphans(main: i32) {
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) = waitid(Id::All, peek)
    {
        if pid.as_raw() == main || waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_err() {
            return;
        }
    }
}

/// Kills every process below this one, once.
pub(crate) fn kill_present() {
    for pid in descendants() {
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// Forks a child of the calling process's parent; zero in the child
/// (clone(2), `CLONE_PARENT`). The caller must have a single thread.
pub(crate) fn clone_sibling() -> io::Result<i32> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: without a stack of its own the child goes on in a copy of this
    // one, as after fork(2).
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match i32::try_from(pid) {
        Ok(pid @ 0..) => Ok(pid),
        _ => Err(io::Error::last_os_error()),
    }
}
