use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStringExt as _,
    },
    path::{Path, PathBuf},
};

use nix::{
    sched::{CloneFlags, setns, unshare},
    sys::wait::waitpid,
    unistd::{self, ForkResult, Pid},
};
use rustix::process::{PidfdFlags, pidfd_open};
use tandem_model::ProcessIdentity;
use tandem_rootless::Standing;

use crate::descendants::clone_sibling;

/// A running container, held open: what follows can only be about it, even if
/// its process ends and the number is given to another.
pub(super) struct Entry {
    pidfd: OwnedFd,
    /// `/proc/PID` of its first process.
    proc: PathBuf,
    /// Its resource limits, by number.
    limits: Vec<libc::rlimit>,
    /// Where a process enrols in each of its control groups.
    groups: Vec<File>,
}

impl Entry {
    /// Opens the container whose first process this is.
    pub(super) fn open(process: ProcessIdentity, cgroups: &[PathBuf]) -> io::Result<Self> {
        let pid = i32::try_from(process.pid).ok().and_then(rustix::process::Pid::from_raw);
        let pidfd = pidfd_open(pid.ok_or(io::ErrorKind::NotFound)?, PidfdFlags::empty())?;
        if !tandem_probe::alive(process) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let proc = PathBuf::from(format!("/proc/{}", process.pid));
        let limits = limits_in(&fs::read_to_string(proc.join("limits"))?)
            .ok_or_else(|| io::Error::other("the kernel tells no resource limits"))?;
        let enrol =
            |folder: &PathBuf| OpenOptions::new().write(true).open(folder.join("cgroup.procs"));
        let groups = cgroups.iter().map(enrol).collect::<io::Result<_>>()?;
        Ok(Self { pidfd, proc, limits, groups })
    }

    /// The container's root directory, as its processes see it.
    pub(super) fn root(&self) -> PathBuf {
        self.proc.join("root")
    }

    /// The capabilities that the container's processes can have at most.
    pub(super) fn bounding_set(&self) -> io::Result<u64> {
        let status = fs::read_to_string(self.proc.join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
        line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
            .ok_or_else(|| io::Error::other("the kernel tells no bounding set"))
    }

    /// Gives the calling process the limits of the container's first one.
    /// Allocates nothing.
    pub(super) fn take_limits(&self) -> io::Result<()> {
        for (resource, limit) in (0_u32..).zip(&self.limits) {
            // SAFETY: one valid structure is passed to be read.
            if unsafe { libc::setrlimit(resource, limit) } == 0 {
                continue;
            }
            // An ordinary user keeps what the own session began with.
            let mut held = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: one valid structure is passed to be written, then read.
            let taken = unsafe {
                libc::getrlimit(resource, &raw mut held) == 0 && {
                    held.rlim_max = held.rlim_max.min(limit.rlim_max);
                    held.rlim_cur = limit.rlim_cur.min(held.rlim_max);
                    libc::setrlimit(resource, &raw const held) == 0
                }
            };
            if !taken {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// Enters its namespaces but that of process ids, which is for children
    /// only ([`Self::fork`]), and its root: who enters a mount namespace gets that
    /// namespace's own, which is the machine's where the engine itself is in a
    /// `chroot`.
    pub(super) fn enter(&self) -> io::Result<()> {
        let mut kinds = CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS;
        if Path::new("/proc/self/ns/cgroup").exists() {
            kinds |= CloneFlags::CLONE_NEWCGROUP;
        }
        let root = File::open(self.root())?;
        setns(&self.pidfd, kinds)?;
        unistd::fchdir(&root)?;
        Ok(unistd::chroot(".")?)
    }

    /// Forks a child of the calling process into its namespace of process ids.
    /// Who may not come back from there must not go: an ordinary user may not
    /// enter the machine's own again, and a process with children elsewhere
    /// cannot have threads. So somebody goes and ends, and leaves its child to
    /// the caller. The caller must have a single thread; `work` does not return.
    pub(super) fn fork(&self, work: impl FnOnce()) -> io::Result<Pid> {
        let (mut reader, mut writer) = io::pipe()?;
        // SAFETY: this process has a single thread.
        let messenger = match unsafe { unistd::fork() }? {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                let entered = setns(&self.pidfd, CloneFlags::CLONE_NEWPID);
                let child = entered.map_err(io::Error::from).and_then(|()| clone_sibling());
                let told = match child {
                    Ok(0) => {
                        work();
                        0
                    }
                    Ok(pid) => pid,
                    Err(e) => -e.raw_os_error().unwrap_or(libc::EIO),
                };
                let _ = writer.write_all(&told.to_ne_bytes());
                // SAFETY: ends the process without running anything of its
                // parent's.
                unsafe { libc::_exit(0) }
            }
        };
        drop(writer);
        let mut told = [0; 4];
        let heard = reader.read_exact(&mut told);
        waitpid(messenger, None)?;
        heard?;
        match i32::from_ne_bytes(told) {
            pid @ 1.. => Ok(Pid::from_raw(pid)),
            error => Err(io::Error::from_raw_os_error(-error)),
        }
    }

    /// Enrols the calling process in the control groups. Allocates nothing.
    pub(super) fn enrol(&self) -> io::Result<()> {
        for group in &self.groups {
            // SAFETY: the descriptor is open and one valid byte is passed. The
            // kernel takes zero for the caller.
            if unsafe { libc::write(group.as_raw_fd(), c"0".as_ptr().cast(), 1) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}

/// The limits of a process by number (`<asm-generic/resource.h>`), as
/// `/proc/PID/limits` lists them in order. prlimit(2) would want privileges
/// over a process of another user.
fn limits_in(text: &str) -> Option<Vec<libc::rlimit>> {
    /// The width of the name's column.
    const NAME: usize = 26;
    const LIMITS: usize = 16;
    let value = |word: &str| match word {
        "unlimited" => Some(libc::RLIM_INFINITY),
        number => number.parse().ok(),
    };
    let limit = |line: &str| {
        let mut words = line.get(NAME..)?.split_ascii_whitespace();
        let (rlim_cur, rlim_max) = (value(words.next()?)?, value(words.next()?)?);
        Some(libc::rlimit { rlim_cur, rlim_max })
    };
    let limits: Vec<_> = text.lines().skip(1).map(limit).collect::<Option<_>>()?;
    (limits.len() == LIMITS).then_some(limits)
}

/// Says that this process runs from a read-only view of its program.
const PROTECTED: &str = "TANDEM_EXEC_PROTECTED";

/// Executes this program again from a clone of its mount that is read-only
/// (open_tree(2), mount_setattr(2)), unless that was done. From then on no
/// process, whatever it may do inside a container, can write to the program
/// through `/proc/PID/exe`.
pub(super) fn protect() -> io::Result<()> {
    if std::env::var_os(PROTECTED).is_some() {
        return Ok(());
    }
    let mut own = c"/proc/self/exe".to_owned();
    if !Standing::of_process().is_machine_root() {
        // An ordinary user may clone mounts in a namespace of the own only,
        // and there by name: the link leads to the mount outside.
        unshare(CloneFlags::CLONE_NEWNS)?;
        own = CString::new(fs::read_link("/proc/self/exe")?.into_os_string().into_vec())?;
    }
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path is a C string and the result is checked.
    let tree = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, own.as_ptr(), flags) };
    let tree = i32::try_from(tree).unwrap_or(-1);
    if tree < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    let tree = unsafe { OwnedFd::from_raw_fd(tree) };
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: a descriptor, an empty C string and one structure with its size.
    let set = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    let path = format!("/proc/self/fd/{}", tree.as_raw_fd());
    let error = std::os::unix::process::CommandExt::exec(
        std::process::Command::new(path).args(std::env::args_os().skip(1)).env(PROTECTED, "1"),
    );
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_that_the_kernel_enforces() {
        let limits = limits_in(&fs::read_to_string("/proc/self/limits").unwrap()).unwrap();
        for (resource, limit) in (0_u32..).zip(limits) {
            let mut held = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: one valid structure is passed to be written.
            assert_eq!(unsafe { libc::getrlimit(resource, &raw mut held) }, 0);
            assert_eq!((limit.rlim_cur, limit.rlim_max), (held.rlim_cur, held.rlim_max));
        }
        assert!(limits_in("Limit\nMax cpu time").is_none());
    }
}
