use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

/// Makes no file below a folder younger than an epoch, so that the same build
/// gives the same layer at any time (reproducible-builds.org,
/// SOURCE_DATE_EPOCH). Links are not followed.
pub(super) fn clamp(dir: &Path, epoch: i64) -> io::Result<()> {
    for item in fs::read_dir(dir)? {
        let path = item?.path();
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_dir() {
            clamp(&path, epoch)?;
        }
        if metadata.mtime() >= epoch {
            let time = Timespec { tv_sec: epoch, tv_nsec: 0 };
            let times = Timestamps { last_access: time, last_modification: time };
            rustix::fs::utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
    }
    Ok(())
}
