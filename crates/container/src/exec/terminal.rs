use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use rustix::fs::{OFlags, fstatfs};

use crate::{
    confine::{Root, User},
    running::give_to,
    stdio::peer_of,
};

/// `<linux/magic.h>`.
const DEVPTS: i64 = 0x1cd1;

/// A terminal of a container.
pub(super) struct Terminal {
    pub(super) master: OwnedFd,
    pub(super) slave: OwnedFd,
}

impl Terminal {
    /// A new terminal that belongs to the user, in the container whose root
    /// this is. What is at `/dev/pts/ptmx` there is looked at: it may have
    /// been replaced.
    pub(super) fn open(user: &User, root: &Root) -> io::Result<Self> {
        const PTMX: &str = "/dev/pts/ptmx";
        let master = root.device(PTMX, (5, 2), OFlags::RDWR | OFlags::NOCTTY)?;
        if fstatfs(&master)?.f_type != DEVPTS {
            let reason = format!("{PTMX} inside is not a terminal's");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
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
