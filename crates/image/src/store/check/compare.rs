//! Whether two unpacked layers are the same.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
};

use crate::OverlayXattrs;

/// The first difference between a layer that was just unpacked and one that
/// should be the same; `None` when they are. What overlayfs notes for itself
/// does not count, nor does the root folder's own look.
pub(super) fn difference(right: &Path, there: &Path) -> io::Result<Option<String>> {
    let mut pending = vec![std::path::PathBuf::new()];
    while let Some(folder) = pending.pop() {
        let (wanted, found) = (names(&right.join(&folder))?, names(&there.join(&folder))?);
        if let Some(name) = wanted.symmetric_difference(&found).next() {
            let path = folder.join(name);
            let what = if wanted.contains(name) { "is missing" } else { "does not belong there" };
            return Ok(Some(format!("/{} {what}", path.display())));
        }
        for name in wanted {
            let path = folder.join(name);
            let (a, b) = (right.join(&path), there.join(&path));
            let (one, two) = (fs::symlink_metadata(&a)?, fs::symlink_metadata(&b)?);
            if let Some(what) = unlike(&a, &one, &b, &two)? {
                return Ok(Some(format!("/{} has {what}", path.display())));
            }
            if one.is_dir() {
                pending.push(path);
            }
        }
    }
    Ok(None)
}

/// Names in a folder; sockets are in no layer.
fn names(folder: &Path) -> io::Result<BTreeSet<OsString>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_socket() {
            names.insert(entry.file_name());
        }
    }
    Ok(names)
}

fn unlike(a: &Path, one: &Metadata, b: &Path, two: &Metadata) -> io::Result<Option<&'static str>> {
    if one.file_type() != two.file_type() || one.rdev() != two.rdev() {
        return Ok(Some("another type"));
    }
    if one.file_type().is_char_device() && one.rdev() == 0 {
        // Marks of deletions are all the same.
        return Ok(None);
    }
    if (one.uid(), one.gid()) != (two.uid(), two.gid()) {
        return Ok(Some("another owner"));
    }
    if one.file_type().is_symlink() {
        return Ok((fs::read_link(a)? != fs::read_link(b)?).then_some("another target"));
    }
    if one.mode() != two.mode() {
        return Ok(Some("another mode"));
    }
    if attributes(a)? != attributes(b)? {
        return Ok(Some("other attributes"));
    }
    if !one.is_file() {
        return Ok(None);
    }
    if one.len() != two.len() {
        return Ok(Some("another size"));
    }
    if one.mtime() != two.mtime() {
        return Ok(Some("another time"));
    }
    Ok((!same_bytes(a, b)?).then_some("other bytes"))
}

fn attributes(path: &Path) -> io::Result<Vec<(OsString, Vec<u8>)>> {
    let opaque = OverlayXattrs::of_process().opaque();
    let mut found = Vec::new();
    for name in xattr::list(path)? {
        if name == opaque || name == "security.capability" {
            found.extend(xattr::get(path, &name)?.map(|value| (name, value)));
        }
    }
    found.sort();
    Ok(found)
}

fn same_bytes(a: &Path, b: &Path) -> io::Result<bool> {
    let (mut one, mut two) = (File::open(a)?, File::open(b)?);
    let (mut left, mut right) = (vec![0; 128 << 10], vec![0; 128 << 10]);
    loop {
        let count = one.read(&mut left)?;
        if count == 0 {
            return Ok(two.read(&mut right)? == 0);
        }
        match two.read_exact(&mut right[..count]) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            other => other?,
        }
        if left[..count] != right[..count] {
            return Ok(false);
        }
    }
}
