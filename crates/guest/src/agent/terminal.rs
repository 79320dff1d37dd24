use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::fs::OpenOptionsExt as _,
    },
};

use tandem_guest::wire::Window;

/// A new terminal that belongs to a user: our side, and the program's.
pub(super) fn open(uid: u32, size: Window) -> io::Result<(File, OwnedFd)> {
    let master = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open("/dev/ptmx")?;
    let unlocked: libc::c_int = 0;
    // SAFETY: one valid number is passed to be read.
    if unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: takes a number and returns a descriptor.
    let slave = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    if slave < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    let slave = unsafe { OwnedFd::from_raw_fd(slave) };
    // An image whose terminals cannot be given away runs nevertheless.
    let _ = std::os::unix::fs::fchown(&slave, Some(uid), None);
    resize(&master, size);
    Ok((master, slave))
}

/// Gives a terminal this size; whoever runs in it gets SIGWINCH.
pub(super) fn resize(terminal: &File, size: Window) {
    let size =
        libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: one valid structure is passed to be read.
    unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
}
