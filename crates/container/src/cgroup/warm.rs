//! Moves between control groups without the wait of the first one.
//!
//! The first move after a while makes the kernel wait for a grace period of
//! its read-copy-update machinery, about ten milliseconds
//! (`cgroup_threadgroup_rwsem` in kernel/cgroup/cgroup.c); others that follow
//! within fifteen do not wait again. So somebody moves to the group that it is
//! in already, as early as one can, and again until the app's process has come.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::PathBuf,
    time::Duration,
};

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, fork, getppid},
};
use tandem_probe::CgroupLayout;

/// How often it is done again, and for how long: after that nobody comes.
const PAUSE: Duration = Duration::from_millis(5);
const TIMES: u32 = 40;

/// A child that takes the waits upon itself while the file system and the
/// network are made. It ends with this value, or with the process.
#[derive(Debug)]
pub struct WarmUp(Option<Pid>);

impl WarmUp {
    /// Begins. The calling process must have a single thread. When it cannot
    /// be done nothing is lost but time.
    pub fn begin() -> Self {
        let Some(mut group) = own_file("cgroup.procs") else { return Self(None) };
        let parent = nix::unistd::getpid();
        // SAFETY: there is a single thread, and the child only makes system
        // calls and ends.
        match unsafe { fork() } {
            Ok(ForkResult::Parent { child }) => Self(Some(child)),
            Ok(ForkResult::Child) => {
                // SAFETY: the option takes a signal's number.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
                for _ in 0..TIMES {
                    if getppid() != parent || group.write_all(b"0").is_err() {
                        break;
                    }
                    std::thread::sleep(PAUSE);
                }
                // SAFETY: ends the child without running anything of ours.
                unsafe { libc::_exit(0) }
            }
            Err(_) => Self(None),
        }
    }

    /// Whether it goes on still.
    pub(crate) fn lasts(&mut self) -> bool {
        let Some(child) = self.0 else { return false };
        let there =
            matches!(waitpid(child, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive));
        if !there {
            self.0 = None;
        }
        there
    }
}

impl Drop for WarmUp {
    fn drop(&mut self) {
        if let Some(child) = self.0 {
            let _ = kill(child, Signal::SIGKILL);
            let _ = waitpid(child, None);
        }
    }
}

/// The same once, in a thread of a process that has others and may not be
/// moved: only the thread is. For groups of version 1.
pub(crate) fn warm_up_once() {
    std::thread::spawn(|| {
        if let Some(mut group) = own_file("tasks") {
            // By its number: for the writer itself the kernel waits for nobody.
            let _ = group.write_all(rustix::thread::gettid().to_string().as_bytes());
        }
    });
}

/// A file of the group that this process is in.
fn own_file(name: &str) -> Option<File> {
    let layout = CgroupLayout::read();
    let own: Option<PathBuf> =
        ["pids", "memory", ""].into_iter().find_map(|name| layout.own_folder(name));
    OpenOptions::new().write(true).open(own?.join(name)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_none() {
        assert!(own_file("tandem.nothing").is_none());
    }
}
