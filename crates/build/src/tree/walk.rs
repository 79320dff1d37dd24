use std::{
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{Entry, Tree};

/// Something below the place where a walk began.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Where it is in the tree.
    pub(crate) path: PathBuf,
    /// The same below the walk's begin; empty for the begin itself.
    pub(crate) below: PathBuf,
    pub(crate) entry: Entry,
}

/// Everything at and below a path, folders before what is in them, names in
/// byte order. Links are not followed.
pub(crate) fn walk(tree: &dyn Tree, path: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let Some(entry) = tree.entry(path)? else { return Ok(found) };
    let mut todo = vec![Found { path: path.to_owned(), below: PathBuf::new(), entry }];
    while let Some(next) = todo.pop() {
        if next.entry.is_dir() {
            for name in tree.list(&next.path)?.into_iter().rev() {
                let (path, below) = (next.path.join(&name), next.below.join(&name));
                // What vanished since the listing was not there.
                if let Some(entry) = tree.entry(&path)? {
                    todo.push(Found { path, below, entry });
                }
            }
        }
        found.push(next);
    }
    Ok(found)
}

/// A folder of a tree as a tree of its own: links in it that are absolute or
/// climb up stop at the folder.
pub(crate) struct Below<'a> {
    pub(crate) tree: &'a dyn Tree,
    pub(crate) base: &'a Path,
}

impl Tree for Below<'_> {
    fn entry(&self, path: &Path) -> io::Result<Option<Entry>> {
        self.tree.entry(&self.base.join(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.tree.list(&self.base.join(path))
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        self.tree.open(&self.base.join(path))
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.tree.read_link(&self.base.join(path))
    }
}
