use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Bytes that a file or a whole folder occupies on its file system, as `du -x`
/// counts them: blocks really allocated (holes cost nothing), each hard-linked
/// file once, symbolic links themselves and never their targets, and nothing
/// that is mounted below. What vanishes while it is counted is left out.
pub fn allocated_bytes(path: &Path) -> io::Result<u64> {
    let root = fs::symlink_metadata(path)?;
    let mut linked = HashSet::new();
    let mut total = root.blocks() * 512;
    let mut pending: Vec<PathBuf> = Vec::new();
    pending.extend(root.is_dir().then(|| path.to_owned()));
    while let Some(dir) = pending.pop() {
        let Some(entries) = there(fs::read_dir(&dir))? else { continue };
        for entry in entries {
            let Some(entry) = there(entry)? else { continue };
            // `DirEntry::metadata` does not follow symbolic links.
            let Some(metadata) = there(entry.metadata())? else { continue };
            if metadata.dev() != root.dev() {
                continue;
            }
            if metadata.is_dir() {
                pending.push(entry.path());
            } else if metadata.nlink() > 1 && !linked.insert(metadata.ino()) {
                continue;
            }
            total += metadata.blocks() * 512;
        }
    }
    Ok(total)
}

/// Bytes that an ordinary user may still write to the file system of `path`
/// (statvfs(3), `f_bavail`).
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_counted_once_and_holes_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("counted");
        fs::create_dir(&folder).unwrap();
        let empty = allocated_bytes(&folder).unwrap();
        let file = folder.join("file");
        fs::write(&file, vec![1; 1 << 20]).unwrap();
        fs::File::open(&file).unwrap().sync_all().unwrap();
        fs::hard_link(&file, folder.join("again")).unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, vec![1; 1 << 20]).unwrap();
        symlink(&outside, folder.join("link")).unwrap();
        fs::File::create(folder.join("hole")).unwrap().set_len(1 << 30).unwrap();
        let grown = allocated_bytes(&folder).unwrap() - empty;
        assert!((1 << 20..(1 << 20) + (64 << 10)).contains(&grown), "{grown}");
        assert!(free_bytes(&folder).unwrap() > 0);
        assert!(allocated_bytes(&folder.join("nothing")).is_err());
    }
}
