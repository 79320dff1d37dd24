use std::{fs, io, path::PathBuf};

use rustix::fs::{Advice, OFlags, fadvise};

/// Drops the contents of regular files from the page cache: of these files
/// and of all below these folders (`POSIX_FADV_DONTNEED`, posix_fadvise(2)).
/// What is not yet on the disk is written first. Returns the sizes' sum.
///
/// Pages that a process has mapped stay, as does what the disk caches itself.
/// What vanishes meanwhile is skipped; symbolic links are not followed.
pub fn drop_page_cache(paths: &[PathBuf]) -> io::Result<u64> {
    rustix::fs::sync();
    let mut bytes = 0;
    let mut open: Vec<PathBuf> = paths.to_vec();
    while let Some(path) = open.pop() {
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        if meta.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else if meta.is_file() && meta.len() > 0 {
            match rustix::fs::open(
                &path,
                OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                rustix::fs::Mode::empty(),
            ) {
                Ok(file) => fadvise(&file, 0, None, Advice::DontNeed)?,
                Err(rustix::io::Errno::NOENT) => continue,
                Err(e) => return Err(e.into()),
            }
            bytes += meta.len();
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_below_folders_count_and_links_do_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/b"), [7; 5000]).unwrap();
        std::os::unix::fs::symlink("a/b", dir.path().join("c")).unwrap();
        let paths = [dir.path().to_owned(), dir.path().join("gone")];
        assert_eq!(drop_page_cache(&paths).unwrap(), 5000);
        assert_eq!(fs::read(dir.path().join("a/b")).unwrap(), [7; 5000]);
    }
}
