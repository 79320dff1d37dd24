//! Process 1 of a container with `--init`: executes one program, passes
//! signals on to it, collects orphans, and ends with the program's code.
//!
//! `tandem-guest container-init PROGRAM ARG0 ARG…`

use std::{ffi::CString, os::unix::ffi::OsStringExt as _, process::ExitCode};

use nix::{
    errno::Errno,
    sys::{
        signal::{SigSet, SigmaskHow, Signal, sigprocmask},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, execv, fork, setpgid},
};

/// The word that gives this job.
pub(crate) const JOB: &str = "container-init";

/// Runs until the program has ended.
pub(crate) fn run() -> ExitCode {
    let words: Option<Vec<CString>> =
        std::env::args_os().skip(2).map(|word| CString::new(word.into_vec()).ok()).collect();
    let Some([program, args @ ..]) = words.as_deref() else { return ExitCode::from(125) };
    // All signals wait to be fetched; none is lost and none ends process 1.
    let mut before = SigSet::empty();
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before));
    // SAFETY: the process has a single thread.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => serve(child),
        Ok(ForkResult::Child) => {
            // A group of its own, in front of the terminal: what is typed there
            // reaches it once, not a second time through process 1.
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            // SAFETY: takes a descriptor and a number; without a terminal it
            // fails, and that is fine.
            unsafe { libc::tcsetpgrp(0, libc::getpid()) };
            let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
            let Err(error) = execv(program, args);
            eprintln!("tandem: cannot execute {}: {error}", program.to_string_lossy());
            ExitCode::from(if error == Errno::ENOENT { 127 } else { 126 })
        }
        Err(error) => {
            eprintln!("tandem: cannot start the program: {error}");
            ExitCode::from(125)
        }
    }
}

/// Fetches signals one by one.
fn serve(child: Pid) -> ExitCode {
    let all = SigSet::all();
    loop {
        // Numbers without a name, the real-time signals, are passed on too.
        let mut number = 0;
        // SAFETY: both point to values that live through the call.
        if unsafe { libc::sigwait(all.as_ref(), &raw mut number) } != 0 {
            continue;
        }
        if number == Signal::SIGCHLD as i32 {
            if let Some(code) = collect(child) {
                return ExitCode::from(code);
            }
        } else {
            // SAFETY: takes two numbers.
            unsafe { libc::kill(child.as_raw(), number) };
        }
    }
}

/// Collects everyone who has ended; the program's code when it is among them.
fn collect(child: Pid) -> Option<u8> {
    let mut code = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => {
                code = u8::try_from(status & 0xff).ok();
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                code = u8::try_from(128 + signal as i32).ok();
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return code,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return code,
        }
    }
}
