use std::{io, os::fd::RawFd};

use nix::{
    sys::stat::{Mode, umask},
    unistd::{chdir, setsid},
};
use oci_spec::runtime::Capability;

use super::entry::Entry;
use crate::confine::{
    Filter, Program, Report, Stage, User, become_user, bit, bound, die_with_parent, keep,
    reset_signals,
};

/// What the forked process needs to become the command.
pub(super) struct Child<'a> {
    pub(super) entry: &'a Entry,
    pub(super) program: &'a Program,
    pub(super) user: &'a User,
    pub(super) cwd: &'a str,
    /// Capabilities at most.
    pub(super) capabilities: u64,
    pub(super) filter: Option<&'a Filter>,
    pub(super) no_new_privileges: bool,
    /// The three standard streams.
    pub(super) streams: [RawFd; 3],
    /// The first stream is a terminal and becomes the command's own.
    pub(super) terminal: bool,
    /// A pidfd of the helper; `None` for a command that outlives it.
    pub(super) helper: Option<RawFd>,
}

impl Child<'_> {
    /// Becomes the command or gives up with a complaint.
    pub(super) fn run(&self, report: RawFd) -> ! {
        if let Err((stage, error)) = self.prepare() {
            Report::give_up(report, stage, &error);
        }
        Report::give_up(report, Stage::Execute, &self.program.execute())
    }

    fn prepare(&self) -> Result<(), (Stage, io::Error)> {
        let at = |stage: Stage| move |e: io::Error| (stage, e);
        self.entry.enrol().map_err(at(Stage::Surroundings))?;
        self.entry.take_limits().map_err(at(Stage::Surroundings))?;
        self.surround().map_err(at(Stage::Surroundings))?;
        umask(Mode::from_bits_truncate(0o022));
        bound(self.capabilities).map_err(at(Stage::User))?;
        if self.no_new_privileges {
            gain_nothing().map_err(at(Stage::User))?;
        }
        if let (false, Some(filter)) = (self.no_new_privileges, self.filter) {
            // Before the capability that this needs is given up.
            filter.install().map_err(at(Stage::Seccomp))?;
        }
        // To change user takes more than an app may have that lost these; a user
        // other than root loses all of them by it.
        let lent = bit(Capability::Setuid) | bit(Capability::Setgid);
        keep(self.capabilities | lent).map_err(at(Stage::User))?;
        become_user(self.user).map_err(at(Stage::User))?;
        if self.user.uid == 0 {
            keep(self.capabilities).map_err(at(Stage::User))?;
        }
        // As the user, who may not see into every directory.
        chdir(self.cwd).map_err(|e| (Stage::Directory, e.into()))?;
        // The change of user has undone it.
        if let Some(helper) = self.helper {
            die_with_parent(helper).map_err(at(Stage::Surroundings))?;
        }
        reset_signals();
        if let (true, Some(filter)) = (self.no_new_privileges, self.filter) {
            filter.install().map_err(at(Stage::Seccomp))?;
        }
        Ok(())
    }

    fn surround(&self) -> io::Result<()> {
        // Nobody inside may look into this process before it is the command.
        // SAFETY: takes numbers and touches no memory.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
        setsid()?;
        for (stream, number) in self.streams.into_iter().zip(0..) {
            // SAFETY: both are descriptors; after a fork they are this
            // process's to change.
            if unsafe { libc::dup2(stream, number) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // SAFETY: the first stream is a terminal; no memory is touched.
        if self.terminal && unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // Everything else that is open closes with the execution.
        // SAFETY: takes numbers and touches no memory.
        let closed =
            unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
        if closed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// No execution gives this process more than it has (prctl(2)).
fn gain_nothing() -> io::Result<()> {
    // SAFETY: takes numbers and touches no memory.
    match unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
