use std::{
    io,
    os::fd::RawFd,
    path::{Path, PathBuf},
};

use nix::{
    mount::MsFlags,
    sched::{CloneFlags, unshare},
    unistd::{ForkResult, chdir, chroot, fork, setsid},
};

use crate::{
    confine::{
        Attributes, Kind, Program, Report, Root, Stage, Target, User, become_user, die_with_parent,
        reset_signals, restrict_at,
    },
    stdio::Stdio,
};

/// What the host shows of itself inside the chroot.
const SHOWN: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Everything that the app's process does before it is the app.
#[derive(Debug)]
pub(super) struct App {
    pub(super) rootfs: PathBuf,
    pub(super) cwd: String,
    pub(super) user: User,
    pub(super) program: Program,
    /// A pidfd of the supervisor.
    pub(super) supervisor: RawFd,
}

impl App {
    /// Forks. Returns the app's process id at once; `report` tells when it
    /// was executed.
    pub(super) fn start(&self, stdio: &Stdio, report: &Report) -> io::Result<i32> {
        // SAFETY: the supervisor has a single thread, so the child may do
        // whatever the parent could.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(child.as_raw()),
            ForkResult::Child => {
                let (stage, error) = self.become_app(stdio);
                Report::give_up(report.writer(), stage, &error)
            }
        }
    }

    fn become_app(&self, stdio: &Stdio) -> (Stage, io::Error) {
        if let Err(failure) = self.enter(stdio) {
            return failure;
        }
        reset_signals();
        (Stage::Execute, self.program.execute())
    }

    fn enter(&self, stdio: &Stdio) -> Result<(), (Stage, io::Error)> {
        let at = |stage: Stage| move |e: io::Error| (stage, e);
        stdio.adopt().map_err(at(Stage::Surroundings))?;
        let _ = setsid();
        show_host(&self.rootfs).map_err(at(Stage::Surroundings))?;
        chroot(&self.rootfs).map_err(|e| (Stage::Surroundings, e.into()))?;
        chdir(self.cwd.as_str()).map_err(|e| (Stage::Directory, e.into()))?;
        become_user(&self.user).map_err(at(Stage::User))?;
        die_with_parent(self.supervisor).map_err(at(Stage::Surroundings))
    }
}

/// Binds the host's `/proc`, `/sys`, `/dev` and name servers, in a mount
/// namespace that ends with the app: the supervisor must not have the host's
/// devices below a folder that it deletes one day.
fn show_host(rootfs: &Path) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let root = Root::open(rootfs)?;
    for path in SHOWN {
        let target = Target::open(&root, Path::new(path), Kind::Directory)?;
        target.mount(path, None, MsFlags::MS_BIND | MsFlags::MS_REC, None)?;
    }
    let names = "/etc/resolv.conf";
    if Path::new(names).exists() {
        let target = Target::open(&root, Path::new(names), Kind::File)?;
        target.mount(names, None, MsFlags::MS_BIND, None)?;
        let locked = Attributes { read_only: true, no_devices: true };
        restrict_at(&root, Path::new(names), locked)?;
    }
    Ok(())
}
