use std::{
    fs::OpenOptions,
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::OpenOptionsExt as _,
    },
};

use rustix::fs::{fstat, fstatfs, major, minor};

use crate::{confine::User, running::give_to, stdio::peer_of};

/// `<linux/magic.h>`.
const DEVPTS: i64 = 0x1cd1;

/// A terminal of the container that the calling process has entered.
pub(super) struct Terminal {
    pub(super) master: OwnedFd,
    pub(super) slave: OwnedFd,
}

impl Terminal {
    /// A new terminal that belongs to the user. What the container has at
    /// `/dev/pts/ptmx` is checked: it may have been replaced.
    pub(super) fn open(user: &User) -> io::Result<Self> {
        let flags = libc::O_NOCTTY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let master: OwnedFd = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open("/dev/pts/ptmx")?
            .into();
        let device = fstat(&master)?.st_rdev;
        if fstatfs(&master)?.f_type != DEVPTS || (major(device), minor(device)) != (5, 2) {
            return Err(io::Error::other("/dev/pts/ptmx in the container is not a terminal's"));
        }
        let unlocked: libc::c_int = 0;
        // SAFETY: one valid number is passed to be read.
        if unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let slave = peer_of(&master)?;
        give_to(&slave, user)?;
        Ok(Self { master, slave })
    }
}
