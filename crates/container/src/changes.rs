//! What an instance changed of its image's files.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use serde::Serialize;
use tandem_backend::BackendError;
use tandem_home::Home;
use tandem_image::OverlayXattrs;
use tandem_model::InstanceRecord;

use crate::{
    files::out_of_reach,
    launch::{image_of, layers_of, open_images},
    rootfs::InstanceDirs,
};

/// What became of a path of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum ChangeKind {
    /// New.
    #[serde(rename = "A")]
    Added,
    /// Another content or other attributes; of a folder, something in it.
    #[serde(rename = "C")]
    Changed,
    /// Gone.
    #[serde(rename = "D")]
    Deleted,
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// The path inside.
    pub path: PathBuf,
    /// What became of it.
    pub kind: ChangeKind,
}

/// What an instance changed, by path. What Tandem itself had to make to mount
/// on is left out.
pub fn changes(home: &Home, record: &InstanceRecord) -> Result<Vec<Change>, BackendError> {
    let upper = upper_of(home, record)?;
    let layers = image_layers(home, record)?;
    let mut found = Vec::new();
    if upper.is_dir() {
        let below = Below { layers: &layers };
        walk(&upper, Path::new(""), &below, &mut found)
            .map_err(|e| BackendError::io("read", &upper, e))?;
    }
    found.sort();
    Ok(found)
}

/// The folder that holds an instance's changes.
///
/// # Errors
/// For a virtual machine, which has a disk, and for containers of engines.
pub fn upper_of(home: &Home, record: &InstanceRecord) -> Result<PathBuf, BackendError> {
    if !record.spec.backend.keeps_files_here() {
        return Err(out_of_reach(record));
    }
    Ok(InstanceDirs::new(home.instances().join(record.id.as_str())).upper())
}

fn image_layers(home: &Home, record: &InstanceRecord) -> Result<Vec<PathBuf>, BackendError> {
    let images = open_images(home)?;
    layers_of(&images, &image_of(&images, &record.spec)?, &|_| {})
}

/// Takes from a copy of an instance's changes what is none: the empty places
/// that Tandem made to mount on, and folders in which nothing changed.
pub fn tidy_changes(home: &Home, record: &InstanceRecord, copy: &Path) -> Result<(), BackendError> {
    let layers = image_layers(home, record)?;
    let below = Below { layers: &layers };
    tidy(copy, Path::new(""), &below).map(drop).map_err(|e| BackendError::io("tidy", copy, e))
}

/// Places that are mounted over at each start.
const PLACES: [&str; 6] = ["proc", "sys", "dev", "etc/hosts", "etc/hostname", "etc/resolv.conf"];

/// Whether a path is a place to mount on that the image lacks.
fn is_place(path: &Path, metadata: &Metadata, below: &Below<'_>) -> io::Result<bool> {
    let listed = PLACES.iter().any(|place| Path::new(place) == path);
    let empty = metadata.is_dir() || metadata.len() == 0;
    Ok(listed && empty && below.find(path)?.is_none())
}

/// Removes what is no change; true when the folder is then as it was before.
fn tidy(root: &Path, path: &Path, below: &Below<'_>) -> io::Result<bool> {
    let full = root.join(path);
    let mut left = 0;
    for entry in fs::read_dir(&full)? {
        let entry = entry?;
        let (name, metadata) = (path.join(entry.file_name()), entry.metadata()?);
        if metadata.is_dir() && tidy(root, &name, below)? {
            fs::remove_dir(entry.path())?;
        } else if !metadata.is_dir() && is_place(&name, &metadata, below)? {
            fs::remove_file(entry.path())?;
        } else {
            left += 1;
        }
    }
    let metadata = fs::symlink_metadata(&full)?;
    if left > 0 || path.as_os_str().is_empty() || is_opaque(&full) {
        return Ok(false);
    }
    Ok(is_place(path, &metadata, below)?
        || below.find(path)?.is_some_and(|it| same(&it, &metadata)))
}

/// Whether two folders have the same attributes.
fn same(a: &Metadata, b: &Metadata) -> bool {
    a.is_dir() && (a.mode(), a.uid(), a.gid()) == (b.mode(), b.uid(), b.gid())
}

fn walk(upper: &Path, path: &Path, below: &Below<'_>, found: &mut Vec<Change>) -> io::Result<()> {
    let full = upper.join(path);
    let mut add = |path: PathBuf, kind| {
        found.push(Change { path: Path::new("/").join(path), kind });
    };
    if !path.as_os_str().is_empty() && is_opaque(&full) {
        for name in below.names(path)? {
            if fs::symlink_metadata(full.join(&name)).is_err() {
                add(path.join(name), ChangeKind::Deleted);
            }
        }
    }
    for entry in fs::read_dir(&full)? {
        let entry = entry?;
        let (name, metadata) = (path.join(entry.file_name()), entry.metadata()?);
        let before = below.find(&name)?;
        if is_whiteout(&metadata) {
            if before.is_some() {
                found.push(Change { path: Path::new("/").join(name), kind: ChangeKind::Deleted });
            }
            continue;
        }
        if is_place(&name, &metadata, below)? && !metadata.is_dir() {
            continue;
        }
        let kind = if before.is_some() { ChangeKind::Changed } else { ChangeKind::Added };
        let count = found.len();
        if metadata.is_dir() {
            walk(upper, &name, below, found)?;
        }
        let untouched = before.is_some_and(|before| same(&before, &metadata))
            || is_place(&name, &metadata, below)?;
        if found.len() > count || !metadata.is_dir() || !untouched {
            found.push(Change { path: Path::new("/").join(name), kind });
        }
    }
    Ok(())
}

/// A deletion in overlayfs's form.
fn is_whiteout(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

/// Whether a folder hides all beneath it.
fn is_opaque(folder: &Path) -> bool {
    let mut value = [0; 1];
    let name = OverlayXattrs::of_process().opaque();
    rustix::fs::lgetxattr(folder, name, &mut value[..]).is_ok_and(|_| value == *b"y")
}

/// The image's layers as one tree, without mounting them.
struct Below<'a> {
    /// Bottom first.
    layers: &'a [PathBuf],
}

impl Below<'_> {
    /// What the image has at a path.
    fn find(&self, path: &Path) -> io::Result<Option<Metadata>> {
        for layer in self.layers.iter().rev() {
            let mut hides = false;
            let mut at = layer.clone();
            let mut parts = path.components().peekable();
            while let Some(part) = parts.next() {
                at.push(part);
                let metadata = match fs::symlink_metadata(&at) {
                    Ok(metadata) => metadata,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => break,
                    Err(e) => return Err(e),
                };
                if parts.peek().is_none() {
                    return Ok((!is_whiteout(&metadata)).then_some(metadata));
                }
                if !metadata.is_dir() {
                    return Ok(None);
                }
                hides |= is_opaque(&at);
            }
            if hides {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// The names that the image has in a folder.
    fn names(&self, folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
        let mut names = Vec::new();
        for layer in self.layers {
            for entry in fs::read_dir(layer.join(folder)).into_iter().flatten().flatten() {
                names.push(entry.file_name());
            }
        }
        names.sort();
        names.dedup();
        let mut kept = Vec::new();
        for name in names {
            if self.find(&folder.join(&name))?.is_some() {
                kept.push(name);
            }
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_from_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let (layer, upper) = (dir.path().join("layer"), dir.path().join("upper"));
        for path in ["etc/kept", "usr/share"] {
            fs::create_dir_all(layer.join(path)).unwrap();
        }
        fs::write(layer.join("etc/file"), "old").unwrap();
        for path in ["etc", "usr/share", "proc", "new/deep"] {
            fs::create_dir_all(upper.join(path)).unwrap();
        }
        fs::write(upper.join("etc/file"), "new").unwrap();
        fs::write(upper.join("etc/hosts"), "").unwrap();
        let layers = [layer];
        let mut found = Vec::new();
        walk(&upper, Path::new(""), &Below { layers: &layers }, &mut found).unwrap();
        found.sort();
        let told: Vec<_> =
            found.iter().map(|it| (it.kind, it.path.to_str().unwrap().to_owned())).collect();
        let expected = [
            (ChangeKind::Changed, "/etc"),
            (ChangeKind::Changed, "/etc/file"),
            (ChangeKind::Added, "/new"),
            (ChangeKind::Added, "/new/deep"),
        ];
        assert_eq!(told, expected.map(|(kind, path)| (kind, path.to_owned())));
        tidy(&upper, Path::new(""), &Below { layers: &layers }).unwrap();
        assert!(upper.join("etc/file").is_file() && upper.join("new/deep").is_dir());
        assert!(!upper.join("etc/hosts").exists() && !upper.join("usr").exists());
        assert!(!upper.join("proc").exists());
    }
}
