//! What QEMU may reach of the host, whoever runs it (Linux,
//! `Documentation/userspace-api/landlock.rst`): a guest that has taken over its
//! QEMU finds its own disk there, not the person's files, and ends no other
//! process. A kernel without Landlock leaves it to the user's own rights.

use std::{
    fs, io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

/// Folders and files that QEMU needs besides those that all programs do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reach {
    /// What it may read.
    pub(crate) read: Vec<PathBuf>,
    /// What it may write, and make and remove files in.
    pub(crate) write: Vec<PathBuf>,
}

/// Where programs, libraries and QEMU's own files are, and what it asks the
/// kernel and its resolver.
const SYSTEM: [&str; 14] = [
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/bin",
    "/opt",
    "/proc",
    "/sys",
    "/etc/ld.so.cache",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/dev/urandom",
    "/dev/random",
];

/// Devices that it also writes to.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/kvm"];

// Rights of `<linux/landlock.h>`.
const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
/// Removing and making, all that the first version knows.
const CHANGE: u64 = (1 << 13) - (1 << 4);
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
/// What a file that is no folder can have.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE;
const READ: u64 = EXECUTE | READ_FILE | READ_DIR;

/// Connections to sockets without a file, and signals: only within the fence.
const SCOPES: u64 = 1 | 1 << 1;

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION: u32 = 1;

/// `LANDLOCK_RULE_PATH_BENEATH`.
const PATH_BENEATH: libc::c_int = 1;

/// `struct landlock_ruleset_attr`.
#[repr(C)]
struct Handled {
    files: u64,
    network: u64,
    scopes: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: i32,
}

/// A fence that a process may enter, and never leave.
#[derive(Debug)]
pub(super) struct Fence(OwnedFd);

impl Fence {
    /// A fence around what QEMU needs; `None` where the kernel has none.
    pub(super) fn around(reach: &Reach) -> io::Result<Option<Self>> {
        // SAFETY: asks for a number with no structure at all.
        let version = unsafe {
            libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0, VERSION)
        };
        if version < 1 {
            return Ok(None);
        }
        let newer = |since: i64, right: u64| if version >= since { right } else { 0 };
        let write = WRITE_FILE | CHANGE | newer(2, REFER) | newer(3, TRUNCATE);
        let handled = Handled { files: READ | write, network: 0, scopes: newer(6, SCOPES) };
        // SAFETY: one valid structure of this size is passed to be read.
        let fd = unsafe {
            let size = size_of::<Handled>();
            libc::syscall(libc::SYS_landlock_create_ruleset, &raw const handled, size, 0)
        };
        let fd =
            i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
        // SAFETY: the kernel has just given us this descriptor.
        let fence = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        for path in SYSTEM.iter().map(Path::new).chain(reach.read.iter().map(PathBuf::as_path)) {
            fence.allow(path, READ)?;
        }
        for path in DEVICES.iter().map(Path::new) {
            fence.allow(path, (READ | write) & OF_FILES)?;
        }
        for path in &reach.write {
            fence.allow(path, READ | write)?;
        }
        Ok(Some(fence))
    }

    /// Lets in what is there; what is not cannot be reached either.
    fn allow(&self, path: &Path, rights: u64) -> io::Result<()> {
        // A link's target is what counts.
        let Ok(path) = fs::canonicalize(path) else { return Ok(()) };
        let Ok(opened) = rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        else {
            return Ok(());
        };
        let allowed = if path.is_dir() { rights } else { rights & OF_FILES };
        let rule = Beneath { allowed, parent: opened.as_raw_fd() };
        // SAFETY: one valid structure is passed to be read; both descriptors
        // are open.
        let added = unsafe {
            let fd = self.0.as_raw_fd();
            libc::syscall(libc::SYS_landlock_add_rule, fd, PATH_BENEATH, &raw const rule, 0)
        };
        if added == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Puts this process behind it, with all that it executes. Makes system
    /// calls only and allocates nothing.
    pub(super) fn enter(&self) -> io::Result<()> {
        // SAFETY: takes numbers and touches no memory.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::syscall(libc::SYS_landlock_restrict_self, self.0.as_raw_fd(), 0) == 0
        };
        if done { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::CommandExt as _, process::Command};

    use super::*;

    #[test]
    fn what_is_outside_cannot_be_reached() {
        let [inside, shown, outside] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        fs::write(shown.path().join("file"), "shown").unwrap();
        fs::write(outside.path().join("file"), "secret").unwrap();
        let reach = Reach {
            read: vec![shown.path().to_owned()],
            write: vec![inside.path().to_owned(), "/no/such/place".into()],
        };
        let Some(fence) = Fence::around(&reach).unwrap() else { return };
        let script = "cd \"$0\" && echo x > made && mv made kept && cat \"$1/file\" && ! cat \"$2/file\" && ! touch \"$1/new\" && ! touch \"$2/new\" && ! ls /root";
        let mut command = Command::new("/bin/sh");
        let folders = [&inside, &shown, &outside].map(tempfile::TempDir::path);
        command.args(["-c", script]).args(folders);
        // SAFETY: the closure makes system calls only and allocates nothing.
        unsafe { command.pre_exec(move || fence.enter()) };
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "shown", "{said}");
        assert!(inside.path().join("kept").exists());
        assert!(!outside.path().join("new").exists() && !shown.path().join("new").exists());
    }
}
