use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
};

use rustix::fs::{Mode, OFlags};

use super::Root;

/// What a mount forbids, to everything below it too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes {
    pub(crate) read_only: bool,
    pub(crate) no_devices: bool,
}

/// [`restrict`] for what is mounted at a place inside a root by now.
pub(crate) fn restrict_at(root: &Root, place: &Path, attributes: Attributes) -> io::Result<()> {
    restrict(&root.at(place, OFlags::PATH, Mode::empty())?, attributes)
}

/// Sets the attributes of a whole mounted tree and parts it from the host's:
/// what is mounted there later does not appear inside (mount_setattr(2)).
pub(crate) fn restrict(mounted: &OwnedFd, attributes: Attributes) -> io::Result<()> {
    const READ_ONLY: u64 = 1;
    const NO_DEVICES: u64 = 4;
    /// `struct mount_attr` of `<linux/mount.h>`.
    #[repr(C)]
    struct MountAttributes {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let mut set = 0;
    if attributes.read_only {
        set |= READ_ONLY;
    }
    if attributes.no_devices {
        set |= NO_DEVICES;
    }
    let request =
        MountAttributes { set, clear: 0, propagation: libc::MS_PRIVATE, user_namespace: 0 };
    // SAFETY: the path is an empty C string, the structure is as large as said
    // and lives through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mounted.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const request,
            size_of::<MountAttributes>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
