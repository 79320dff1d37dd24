//! A folder laid out as `/` will be, with every mode and time stated.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// The tree of a package.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// An empty one, in place of what was there.
    pub(crate) fn begin(root: PathBuf) -> Result<Self> {
        if root.exists() {
            fs::remove_dir_all(&root)
                .with_context(|| format!("cannot empty {}", root.display()))?;
        }
        fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
        Ok(Self { root })
    }

    /// Where it lies now.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a file of it lies now.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Writes a file that everybody may read.
    pub(crate) fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> Result<()> {
        let to = self.path(path);
        let what = || format!("cannot write {}", to.display());
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).with_context(what)?;
        }
        fs::write(&to, bytes).with_context(what)?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).with_context(what)
    }

    /// Copies a file; `mode` is what it shall have.
    pub(crate) fn copy(&self, from: &Path, path: &str, mode: u32) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.write(path, bytes)?;
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode))?;
        Ok(())
    }

    /// Packs a file as Debian's policy asks of manual pages and changelogs:
    /// as small as gzip can, without name and time.
    pub(crate) fn compress(&self, path: &str) -> Result<()> {
        let mut gzip = shell::command("gzip", &["-9nf"]);
        if !gzip.arg(self.path(path)).status()?.success() {
            bail!("cannot pack {path}: gzip says why");
        }
        Ok(())
    }

    /// Regular files below a folder of the tree, sorted, as paths from its root.
    pub(crate) fn files(&self, below: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        self.walk(&self.path(below), &mut |path, kind| {
            if kind.is_file() {
                found.push(path);
            }
            Ok(())
        })?;
        found.sort();
        Ok(found)
    }

    /// What `Installed-Size` counts: KiB of files, and one for anything else.
    pub(crate) fn kibibytes(&self) -> Result<u64> {
        let mut sum = 0;
        self.walk(&self.root, &mut |path, kind| {
            let length = if kind.is_file() { fs::metadata(self.path(&path))?.len() } else { 1 };
            sum += length.div_ceil(1024);
            Ok(())
        })?;
        Ok(sum)
    }

    /// Gives every folder its mode, and everything the same time.
    pub(crate) fn seal(&self, epoch: u64) -> Result<()> {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch);
        let seal = |path: &Path, kind: fs::FileType| -> Result<()> {
            if kind.is_dir() {
                fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
            }
            Ok(fs::File::open(path)?.set_modified(time)?)
        };
        self.walk(&self.root, &mut |path, kind| seal(&self.path(&path), kind))?;
        seal(&self.root, fs::metadata(&self.root)?.file_type())
    }

    fn walk(
        &self,
        folder: &Path,
        visit: &mut dyn FnMut(String, fs::FileType) -> Result<()>,
    ) -> Result<()> {
        let entries =
            fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.walk(&entry.path(), visit)?;
            }
            let path = entry.path();
            let inside = path.strip_prefix(&self.root).unwrap_or(&path);
            visit(inside.to_string_lossy().into_owned(), kind)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_times_and_sizes_are_as_stated() {
        let root = std::env::temp_dir().join(format!("xtask-tree-{}", std::process::id()));
        let tree = Tree::begin(root.clone()).unwrap();
        tree.write("usr/share/a", "text").unwrap();
        tree.write("usr/share/b", vec![0; 1025]).unwrap();
        tree.copy(&tree.path("usr/share/a"), "usr/bin/c", 0o755).unwrap();
        assert_eq!(tree.files("").unwrap(), ["usr/bin/c", "usr/share/a", "usr/share/b"]);
        // Three folders; 1 + 1 + 2 KiB of files.
        assert_eq!(tree.kibibytes().unwrap(), 3 + 4);
        tree.seal(86_400).unwrap();
        for (path, mode) in [("usr/bin/c", 0o755), ("usr/share/a", 0o644), ("usr/bin", 0o755)] {
            let meta = fs::metadata(root.join(path)).unwrap();
            assert_eq!(meta.permissions().mode() & 0o7777, mode, "{path}");
            let age = meta.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            assert_eq!(age.as_secs(), 86_400, "{path}");
        }
        fs::remove_dir_all(&root).unwrap();
    }
}
