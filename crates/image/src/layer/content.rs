use std::{io::Read, os::fd::OwnedFd};

use rustix::{
    fs::{Mode, OFlags, Timespec, Timestamps, ftruncate, openat, seek},
    io::Errno,
};

use super::{
    LayerError,
    archive::{Archive, Member},
    pax::Time,
    root::Place,
};

/// Makes a file with what a member says of its content, readable to nobody
/// else until it is dressed. The content goes through `buffer`.
pub(super) fn make_file<R: Read>(
    member: &Member,
    path: &[u8],
    place: &Place,
    archive: &mut Archive<R>,
    buffer: &mut [u8],
) -> Result<OwnedFd, LayerError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(&place.dir, place.name.as_slice(), flags, Mode::RUSR | Mode::WUSR)
        .map_err(LayerError::io("make", path))?;
    let write = |error: Errno| LayerError::io("write", path)(error);
    for extent in &member.content.extents {
        let (mut at, mut left) = (extent.offset, extent.length);
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let count = archive.read(&mut buffer[..wanted])?;
            if count == 0 {
                return Err(LayerError::malformed("it ends within a file"));
            }
            write_at(&file, at, &buffer[..count]).map_err(write)?;
            at += count as u64;
            left -= count as u64;
        }
    }
    // Zeros at the end were left as a hole.
    if member.content.size > 0 {
        ftruncate(&file, member.content.size).map_err(write)?;
    }
    Ok(file)
}

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
