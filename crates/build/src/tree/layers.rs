use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, OFlags};

use super::{Entry, Kind, Tree};

/// What an overlay mount of these folders would show, found by looking
/// through them (kernel, overlayfs.rst). No mount and no privilege is needed.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    /// Top first.
    dirs: Vec<PathBuf>,
}

impl Layers {
    /// The view of layers, bottom first.
    pub(crate) fn new(bottom_first: &[PathBuf]) -> Self {
        Self { dirs: bottom_first.iter().rev().cloned().collect() }
    }

    /// This view with a further folder on top.
    pub(crate) fn under(&self, top: PathBuf) -> Self {
        let mut dirs = vec![top];
        dirs.extend(self.dirs.iter().cloned());
        Self { dirs }
    }

    /// Where a path's content lies: one place for a file; for a folder every
    /// layer that adds to it, top first. Empty when it is not there.
    fn places(&self, path: &Path) -> io::Result<Vec<(PathBuf, Entry)>> {
        let mut places = Vec::new();
        for dir in &self.dirs {
            places.push((dir.clone(), stat(dir)?.ok_or(io::ErrorKind::NotFound)?));
        }
        for part in path {
            let mut next = Vec::new();
            for (place, entry) in places {
                if !entry.is_dir() {
                    break;
                }
                let place = place.join(part);
                let Some(entry) = stat(&place)? else { continue };
                if is_whiteout(&entry) {
                    break;
                }
                if !entry.is_dir() {
                    // A file beneath a folder is hidden by it.
                    if next.is_empty() {
                        next.push((place, entry));
                    }
                    break;
                }
                let opaque = is_opaque(&place)?;
                next.push((place, entry));
                if opaque {
                    break;
                }
            }
            places = next;
        }
        Ok(places)
    }

    fn place(&self, path: &Path) -> io::Result<PathBuf> {
        let place = self.places(path)?.into_iter().next();
        place.map(|(place, _)| place).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Tree for Layers {
    fn entry(&self, path: &Path) -> io::Result<Option<Entry>> {
        Ok(self.places(path)?.into_iter().next().map(|(_, entry)| entry))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut seen = BTreeSet::new();
        let mut names = BTreeMap::new();
        for (place, _) in self.places(path)? {
            for item in fs::read_dir(&place)? {
                let name = item?.file_name();
                if seen.insert(name.clone()) {
                    let entry = stat(&place.join(&name))?;
                    if entry.is_some_and(|entry| !is_whiteout(&entry)) {
                        names.insert(name, ());
                    }
                }
            }
        }
        Ok(names.into_keys().collect())
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        fs::OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(self.place(path)?)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        fs::read_link(self.place(path)?)
    }
}

fn stat(path: &Path) -> io::Result<Option<Entry>> {
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(Entry::of(&stat))),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn is_whiteout(entry: &Entry) -> bool {
    entry.kind == Kind::CharDevice && entry.device == 0
}

/// Whether a folder hides what is beneath it. Layers hold the mark in the
/// namespace that the process which unpacked them could write.
fn is_opaque(dir: &Path) -> io::Result<bool> {
    use rustix::io::Errno;
    for name in ["trusted.overlay.opaque", "user.overlay.opaque"] {
        let mut value = [0; 1];
        match rustix::fs::lgetxattr(dir, name, &mut value) {
            Ok(1) if value == *b"y" => return Ok(true),
            Ok(_) | Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE | Errno::PERM) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::tree::resolve;

    /// Layers from lists of files; a name that ends with `/` is a folder, one
    /// that begins with `!` an opaque folder.
    fn layers(root: &Path, contents: &[&[&str]]) -> Layers {
        let mut dirs = Vec::new();
        for (at, files) in contents.iter().enumerate() {
            let dir = root.join(at.to_string());
            fs::create_dir(&dir).unwrap();
            for file in *files {
                let path = dir.join(file.trim_start_matches('!'));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                if file.ends_with('/') {
                    fs::create_dir_all(&path).unwrap();
                } else {
                    fs::write(&path, at.to_string()).unwrap();
                }
                if file.starts_with('!') {
                    let flags = rustix::fs::XattrFlags::empty();
                    rustix::fs::setxattr(&path, "user.overlay.opaque", b"y", flags).unwrap();
                }
            }
            dirs.push(dir);
        }
        Layers::new(&dirs)
    }

    fn names(layers: &Layers, path: &str) -> Vec<String> {
        let list = layers.list(Path::new(path)).unwrap();
        list.into_iter().map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn upper_layers_add_replace_and_hide() {
        let dir = tempfile::tempdir().unwrap();
        let view = layers(
            dir.path(),
            &[&["a/1", "a/2", "b/old", "c/deep/x", "d"], &["a/2", "a/3", "!b/", "c", "d/"]],
        );
        assert_eq!(names(&view, ""), ["a", "b", "c", "d"]);
        assert_eq!(names(&view, "a"), ["1", "2", "3"]);
        assert!(names(&view, "b").is_empty());
        assert!(names(&view, "d").is_empty());
        let read = |path: &str| io::read_to_string(view.open(Path::new(path)).unwrap()).unwrap();
        assert_eq!((read("a/1"), read("a/2"), read("c")), ("0".into(), "1".into(), "1".into()));
        assert!(view.entry(Path::new("b/old")).unwrap().is_none());
        assert!(view.entry(Path::new("c/deep/x")).unwrap().is_none());
        // A third layer that makes `c` a folder again does not bring back
        // what the second one hid.
        let third = dir.path().join("third");
        fs::create_dir_all(third.join("c")).unwrap();
        assert!(names(&view.under(third), "c").is_empty());
    }

    #[test]
    fn links_are_followed_inside_the_view_only() {
        let dir = tempfile::tempdir().unwrap();
        let view = layers(dir.path(), &[&["usr/bin/tool"]]);
        symlink("/usr/bin", dir.path().join("0/bin")).unwrap();
        symlink("../../../../etc", dir.path().join("0/out")).unwrap();
        let found = |path: &str| resolve(&view, Path::new(path), true).unwrap();
        assert_eq!(found("/bin/tool"), Path::new("usr/bin/tool"));
        assert_eq!(found("/out/passwd"), Path::new("etc/passwd"));
        assert!(view.entry(&found("/out/passwd")).unwrap().is_none());
    }
}
