use std::os::fd::OwnedFd;

use rustix::{
    fs::{Timespec, Timestamps, seek},
    io::Errno,
};

use super::pax::Time;

/// Writes a piece of a file; whole pages of zeros become holes.
pub(super) fn write_at(file: &OwnedFd, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
    const PAGE: usize = 4096;
    if bytes.len() >= PAGE && bytes.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    seek(file, rustix::fs::SeekFrom::Start(offset))?;
    let mut left = bytes;
    while !left.is_empty() {
        let count = rustix::io::retry_on_intr(|| rustix::io::write(file, left))?;
        left = &left[count..];
    }
    Ok(())
}

/// Both times of a file, in the form of the system call.
pub(super) fn times(modified: Time) -> Timestamps {
    let time = Timespec { tv_sec: modified.seconds, tv_nsec: i64::from(modified.nanoseconds) };
    Timestamps { last_access: time, last_modification: time }
}
