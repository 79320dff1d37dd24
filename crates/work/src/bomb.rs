//! Processes that make more processes, as far as they are let.

use std::time::Duration;

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::{ForkResult, Pid, fork},
};

use crate::{Problem, say};

/// More than this is no experiment any more.
const MOST: u64 = 4096;

/// How long a process of the bomb lives if nobody ends it.
const LIFE: Duration = Duration::from_secs(30);

/// Starts up to `most` processes that wait, says how many the kernel allowed,
/// and ends them all.
pub(crate) fn go_off(most: u64) -> Result<(), Problem> {
    if most > MOST {
        return Err(Problem::Refused(format!(
            "a bomb of {most} processes is refused: {MOST} at most"
        )));
    }
    let mut children = Vec::new();
    let mut why = None;
    for _ in 0..most {
        match start() {
            Ok(child) => children.push(child),
            Err(e) => {
                why = Some(e);
                break;
            }
        }
    }
    let said = say(&format!("started {}", children.len()));
    for child in &children {
        let _ = kill(*child, Signal::SIGKILL);
    }
    for child in &children {
        let _ = waitpid(*child, None);
    }
    said?;
    match why {
        Some(e) => say(&format!("stopped {e}")),
        None => Ok(()),
    }
}

fn start() -> nix::Result<Pid> {
    // SAFETY: there is one thread, so the child may do anything; it sleeps and
    // leaves without running what belongs to the parent.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            std::thread::sleep(LIFE);
            // SAFETY: ends this process at once.
            unsafe { libc::_exit(0) }
        }
    }
}
