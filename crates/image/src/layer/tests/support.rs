//! Archives by hand, and folders as values that can be compared.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use tar::{EntryType, Header};

use crate::{LayerError, Limits, layer::pax::push_record, unpack_layer};

/// Everything about one file that a layer keeps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Seen {
    pub(super) kind: char,
    pub(super) mode: u32,
    pub(super) modified: (i64, i64),
    pub(super) content: Vec<u8>,
    pub(super) device: u64,
    pub(super) xattrs: BTreeMap<String, Vec<u8>>,
    /// The first of its names.
    pub(super) same_as: Option<PathBuf>,
}

/// The paths at which two folders differ. The time of a mark for a deletion
/// is nobody's and not compared.
pub(super) fn differences(one: &Path, other: &Path) -> Vec<PathBuf> {
    let [one, other] = [one, other].map(|root| {
        let mut all = see(root);
        for seen in all.values_mut().filter(|seen| seen.kind == 'c') {
            seen.modified = (0, 0);
        }
        all
    });
    let paths: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    paths.into_iter().filter(|path| one.get(*path) != other.get(*path)).cloned().collect()
}

/// A folder by path, itself left out.
pub(super) fn see(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut all = BTreeMap::new();
    let mut links = BTreeMap::new();
    visit(root, root, &mut all, &mut links);
    all
}

fn visit(
    root: &Path,
    dir: &Path,
    all: &mut BTreeMap<PathBuf, Seen>,
    links: &mut BTreeMap<u64, PathBuf>,
) {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_owned();
        let file_type = metadata.file_type();
        let mut seen = Seen {
            mode: metadata.mode() & 0o7777,
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            device: metadata.rdev(),
            ..Seen::default()
        };
        if metadata.nlink() > 1 && !file_type.is_dir() {
            seen.same_as = Some(links.entry(metadata.ino()).or_insert(name.clone()).clone());
        }
        seen.kind = if file_type.is_dir() {
            visit(root, &path, all, links);
            'd'
        } else if file_type.is_symlink() {
            seen.content = fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes();
            seen.mode = 0;
            'l'
        } else if file_type.is_file() {
            seen.content = fs::read(&path).unwrap();
            '-'
        } else if file_type.is_fifo() {
            'p'
        } else {
            'c'
        };
        for key in xattr::list(&path).unwrap() {
            let key = key.into_string().unwrap();
            if key.starts_with("user.") || key.starts_with("trusted.") {
                let value = xattr::get(&path, &key).unwrap().unwrap();
                seen.xattrs.insert(key, value);
            }
        }
        all.insert(name, seen);
    }
}

/// An archive under construction.
#[derive(Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    pub(super) fn add(mut self, kind: EntryType, path: &str, link: &str, data: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        let names = header.as_old_mut();
        names.name[..path.len()].copy_from_slice(path.as_bytes());
        names.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.padded(data)
    }

    pub(super) fn file(self, path: &str, data: &[u8]) -> Self {
        self.add(EntryType::Regular, path, "", data)
    }

    pub(super) fn dir(self, path: &str) -> Self {
        self.add(EntryType::Directory, path, "", b"")
    }

    pub(super) fn symlink(self, path: &str, target: &str) -> Self {
        self.add(EntryType::Symlink, path, target, b"")
    }

    pub(super) fn hard_link(self, path: &str, target: &str) -> Self {
        self.add(EntryType::Link, path, target, b"")
    }

    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            push_record(&mut data, key, value);
        }
        self.add(EntryType::XHeader, "PaxHeader", "", &data)
    }

    /// A header of any bytes with a right checksum.
    pub(super) fn raw(mut self, mut header: Header, data: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.padded(data)
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }

    fn padded(mut self, data: &[u8]) -> Self {
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }
}

/// A folder to unpack into, within one whose other content must not change.
pub(super) struct Cage {
    dir: tempfile::TempDir,
}

impl Cage {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("outside/folder")).unwrap();
        fs::write(dir.path().join("outside/file"), "untouched").unwrap();
        fs::create_dir(dir.path().join("layer")).unwrap();
        Self { dir }
    }

    pub(super) fn layer(&self) -> PathBuf {
        self.dir.path().join("layer")
    }

    /// The absolute path of what lies beside the layer.
    pub(super) fn outside(&self) -> String {
        self.dir.path().join("outside").to_str().unwrap().to_owned()
    }

    /// Unpacks, and checks that nothing beside the layer changed.
    pub(super) fn unpack(&self, tar: &[u8]) -> Result<BTreeMap<PathBuf, Seen>, LayerError> {
        self.unpack_limited(tar, Limits::default())
    }

    pub(super) fn unpack_limited(
        &self,
        tar: &[u8],
        limits: Limits,
    ) -> Result<BTreeMap<PathBuf, Seen>, LayerError> {
        let outside = PathBuf::from(self.outside());
        let before = see(&outside);
        let unpacked = unpack_layer(tar, &self.layer(), limits);
        assert_eq!(see(&outside), before, "the archive reached outside");
        let beside = fs::read_dir(self.dir.path()).unwrap().count();
        assert_eq!(beside, 2, "the archive made something outside");
        unpacked.map(|()| see(&self.layer()))
    }
}
