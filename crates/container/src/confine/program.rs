use std::{
    ffi::{CString, OsStr},
    fs::File,
    io::{self, Read as _},
    os::{
        fd::{AsRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use rustix::pipe::{PipeFlags, pipe_with};
use tandem_backend::BackendError;

/// A program ready for `execve(2)`: nothing is left to allocate or look up.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    /// The file at `path` with its arguments (the first is the name it sees)
    /// and its environment.
    pub(crate) fn new(path: &Path, args: &[String], env: &[String]) -> Result<Self, BackendError> {
        let text = |what: &OsStr| {
            CString::new(what.as_bytes()).map_err(|_| {
                BackendError::engine("the command", "an argument or variable holds a NUL byte")
            })
        };
        let texts = |list: &[String]| {
            list.iter().map(|one| text(one.as_ref())).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self { path: text(path.as_os_str())?, args: texts(args)?, env: texts(env)? })
    }

    /// Becomes the program. Returns only when that fails.
    pub(crate) fn execute(&self) -> io::Error {
        match nix::unistd::execve(&self.path, &self.args, &self.env) {
            Err(e) => e.into(),
            Ok(never) => match never {},
        }
    }
}

/// Undoes what Rust and tokio did to the signals: every one has its default
/// action and none is blocked.
pub(crate) fn reset_signals() {
    // The kernel's own structure, all zero: default action, no flags. The C
    // library would refuse the two signals that it uses itself.
    let default = [0u64; 4];
    for number in 1..=64 {
        // SAFETY: the structure is as large as the kernel's and lives through
        // the call; signals that cannot be changed are refused with an error.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                default.as_ptr(),
                std::ptr::null_mut::<libc::c_void>(),
                size_of::<u64>(),
            )
        };
    }
    let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
}

/// Makes the kernel kill this process when its parent thread ends. `parent`
/// tells whether it has ended already. Any change of user undoes it.
pub(crate) fn die_with_parent(parent: RawFd) -> io::Result<()> {
    // SAFETY: the option takes a signal's number and touches no memory.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut poll = libc::pollfd { fd: parent, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid structure is passed.
    match unsafe { libc::poll(&raw mut poll, 1, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::other("the supervisor has ended")),
    }
}

/// Where a new process stood when it could not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Its mounts and namespaces.
    Surroundings = 1,
    /// Its working directory.
    Directory = 2,
    /// Its user, groups and capabilities.
    User = 3,
    /// The system call filter.
    Seccomp = 4,
    /// Executing the program.
    Execute = 5,
}

/// What a new process says before it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) stage: Stage,
    /// The number of the error, errno(3).
    pub(crate) errno: i32,
}

impl Complaint {
    /// The error as a person sees it.
    pub(crate) fn into_error(self, program: &str, cwd: &str) -> BackendError {
        let reason = io::Error::from_raw_os_error(self.errno);
        let refused =
            |reason: String| BackendError::NotExecutable { program: program.to_owned(), reason };
        match (self.stage, self.errno) {
            (Stage::Execute, libc::ENOEXEC) => {
                refused("it is not a program for this machine, or a script without `#!`".to_owned())
            }
            (Stage::Execute, libc::ENOENT) => {
                refused("the interpreter or loader that it names is not in the image".to_owned())
            }
            (Stage::Execute, libc::EACCES) => {
                refused("its user may not execute it; check the permissions".to_owned())
            }
            (Stage::Execute, _) => refused(reason.to_string()),
            (Stage::Directory, libc::ENOENT) => {
                refused(format!("its working directory {cwd} is not there"))
            }
            (Stage::Directory, _) => {
                refused(format!("its working directory {cwd} cannot be entered: {reason}"))
            }
            (Stage::User, _) => BackendError::engine("changing to the app's user", reason),
            (Stage::Seccomp, _) => BackendError::engine("the system call filter", reason),
            (Stage::Surroundings, _) => {
                BackendError::engine("setting up the app's surroundings", reason)
            }
        }
    }
}

/// A pipe that is closed by a successful `execve` and carries a [`Complaint`]
/// otherwise.
#[derive(Debug)]
pub(crate) struct Report {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Report {
    /// A new pipe.
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self { reader, writer })
    }

    /// The new process's side, valid in it after a fork.
    pub(crate) fn writer(&self) -> RawFd {
        self.writer.as_raw_fd()
    }

    /// Complains on the descriptor of [`Self::writer`].
    pub(crate) fn complain(writer: RawFd, stage: Stage, error: &io::Error) {
        let errno = error.raw_os_error().unwrap_or(libc::EIO).to_ne_bytes();
        let bytes = [stage as u8, errno[0], errno[1], errno[2], errno[3]];
        // SAFETY: the caller holds the descriptor of a pipe, open for writing.
        unsafe { libc::write(writer, bytes.as_ptr().cast(), bytes.len()) };
    }

    /// Complains and ends the process.
    pub(crate) fn give_up(writer: RawFd, stage: Stage, error: &io::Error) -> ! {
        Self::complain(writer, stage, error);
        // SAFETY: ends this process without running anything of the parent's.
        unsafe { libc::_exit(127) }
    }

    /// Waits until the program was executed, or for the complaint. A
    /// process that was killed before counts as the former.
    pub(crate) fn wait(self) -> io::Result<Result<(), Complaint>> {
        drop(self.writer);
        let mut bytes = Vec::new();
        File::from(self.reader).read_to_end(&mut bytes)?;
        let [stage, errno @ ..] = bytes.as_slice() else { return Ok(Ok(())) };
        let stage = match stage {
            2 => Stage::Directory,
            3 => Stage::User,
            4 => Stage::Seccomp,
            5 => Stage::Execute,
            _ => Stage::Surroundings,
        };
        let errno = errno.first_chunk().map_or(libc::EIO, |four| i32::from_ne_bytes(*four));
        Ok(Err(Complaint { stage, errno }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_arrives_and_silence_is_success() {
        let report = Report::new().unwrap();
        let error = io::Error::from_raw_os_error(libc::ENOEXEC);
        Report::complain(report.writer(), Stage::Execute, &error);
        let complaint = report.wait().unwrap().unwrap_err();
        assert_eq!(complaint, Complaint { stage: Stage::Execute, errno: libc::ENOEXEC });
        let error = complaint.into_error("/app", "/");
        assert!(matches!(error, BackendError::NotExecutable { .. }), "{error}");
        let missing = Complaint { stage: Stage::Directory, errno: libc::ENOENT };
        let error = missing.into_error("/app", "/none");
        // As in Docker 20.10, and in a machine.
        assert_eq!(error.code().exit_code(), 126);
        assert!(error.to_string().contains("/none is not there"), "{error}");
        assert_eq!(Report::new().unwrap().wait().unwrap(), Ok(()));
    }
}
