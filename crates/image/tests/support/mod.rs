//! Folders as values, and a real overlay.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use rustix::mount::UnmountFlags;

/// How long an unmounted folder may be held by programs that just start.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is seen of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `d`, `l`, `-`, `w` for a mark of a deletion, or `o`.
    pub(crate) kind: char,
    /// Mode, owner, group.
    pub(crate) rights: (u32, u32, u32),
    /// Seconds and nanoseconds.
    pub(crate) modified: (i64, i64),
    /// Bytes, or a link's target.
    pub(crate) content: Vec<u8>,
    /// Number of the device.
    pub(crate) device: u64,
    /// Attributes but for the overlay's bookkeeping.
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
    /// The first of several names.
    pub(crate) same_as: Option<PathBuf>,
}

/// A folder by path.
pub(crate) type Tree = BTreeMap<PathBuf, Seen>;

/// Looks at everything below a folder.
pub(crate) fn see(root: &Path) -> Result<Tree> {
    let mut tree = Tree::new();
    let mut first = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    let mut paths = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path.clone());
            }
            paths.insert(path);
        }
    }
    for path in paths {
        let metadata = fs::symlink_metadata(&path)?;
        let name = path.strip_prefix(root)?.to_owned();
        let (kind, content) = if metadata.is_dir() {
            ('d', Vec::new())
        } else if metadata.is_symlink() {
            ('l', fs::read_link(&path)?.into_os_string().into_encoded_bytes())
        } else if metadata.is_file() {
            ('-', fs::read(&path)?)
        } else if metadata.mode() & 0o170_000 == 0o020_000 && metadata.rdev() == 0 {
            ('w', Vec::new())
        } else {
            ('o', Vec::new())
        };
        let mut xattrs = BTreeMap::new();
        for key in xattr::list(&path)?.filter_map(|key| key.into_string().ok()) {
            let bookkeeping = key.contains(".overlay.") && !key.ends_with(".opaque");
            if !bookkeeping && let Some(value) = xattr::get(&path, &key)? {
                xattrs.insert(key, value);
            }
        }
        let several = metadata.nlink() > 1 && !metadata.is_dir() && kind != 'w';
        let same_as =
            several.then(|| first.entry(metadata.ino()).or_insert_with(|| name.clone()).clone());
        let time = (metadata.mtime(), metadata.mtime_nsec());
        let seen = Seen {
            kind,
            rights: (metadata.mode(), metadata.uid(), metadata.gid()),
            // The time of a mark is nobody's.
            modified: if kind == 'w' { (0, 0) } else { time },
            content,
            device: metadata.rdev(),
            xattrs,
            same_as,
        };
        tree.insert(name, seen);
    }
    Ok(tree)
}

/// The paths at which two trees differ, with both sides.
pub(crate) fn differences(one: &Tree, other: &Tree) -> Vec<String> {
    let paths: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    paths
        .into_iter()
        .filter(|path| one.get(*path) != other.get(*path))
        .map(|path| format!("{}: {:?} / {:?}", path.display(), one.get(path), other.get(path)))
        .collect()
}

/// A mounted overlay; dropped, it is unmounted.
pub(crate) struct Overlay {
    dir: PathBuf,
    root: PathBuf,
}

impl Overlay {
    /// Mounts an overlay over layers given bottom first.
    pub(crate) fn mount(place: &Path, layers: &[PathBuf]) -> Result<Self> {
        let dir = tempfile::tempdir_in(place)?.keep();
        for name in ["upper", "work", "root"] {
            fs::create_dir(dir.join(name))?;
        }
        let lower: Vec<_> = layers.iter().rev().map(|dir| dir.display().to_string()).collect();
        let options = format!(
            "lowerdir={},upperdir={1}/upper,workdir={1}/work,redirect_dir=off,metacopy=off,index=off",
            lower.join(":"),
            dir.display()
        );
        let status = Command::new("mount")
            .args(["-t", "overlay", "overlay", "-o", &options])
            .arg(dir.join("root"))
            .status()?;
        ensure!(status.success(), "mount: {status}");
        Ok(Self { root: dir.join("root"), dir })
    }

    /// The merged view.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Unmounts and gives the upper folder.
    pub(crate) fn unmount(self) -> Result<PathBuf> {
        // A program that another test just starts holds our files open until
        // it is executed.
        let begin = Instant::now();
        while let Err(e) = rustix::mount::unmount(&self.root, UnmountFlags::empty()) {
            ensure!(begin.elapsed() < PATIENCE, "unmount {}: {e}", self.root.display());
            thread::sleep(Duration::from_millis(5));
        }
        Ok(self.dir.join("upper"))
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        // Of a test that failed half-way; otherwise nothing is mounted any more.
        let _ = rustix::mount::unmount(&self.root, UnmountFlags::DETACH);
    }
}
