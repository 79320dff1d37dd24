use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, linkat, openat},
    io::Errno,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::HomeError;

/// Writes a whole file so that readers and crashes see the old one or the new
/// one: a file without a name, fsync, name, fsync of the folder.
/// The file is 0600.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), HomeError> {
    let io = |e| HomeError::io("write", path, e);
    replace(path, bytes, true)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)
}

/// Writes a value as JSON with [`write_atomic`].
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), HomeError> {
    write_atomic(path, &to_json(path, value)?)
}

/// Writes a value as JSON so that readers and crashes of programs see the old
/// one or the new one. It may be lost when the machine itself stops: right for
/// state that ends with the machine anyway, and without the wait for a disk. On
/// a full one it is written over what was there, when it has room for that.
pub fn write_json_volatile<T: Serialize>(path: &Path, value: &T) -> Result<(), HomeError> {
    let bytes = to_json(path, value)?;
    match replace(path, &bytes, false) {
        Err(e) if e.is_no_space() => overwrite(path, &bytes).map_err(|_| e),
        other => other,
    }
}

/// Writes over a file within the blocks that it has, for when the disk has no
/// others. What is too long is refused.
fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = fs::OpenOptions::new().write(true).open(path)?;
    let metadata = file.metadata()?;
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if bytes.len() as u64 > metadata.blocks().saturating_mul(512).max(metadata.len()) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    // White space behind the value, rather than a moment without one.
    let mut padded = bytes.to_vec();
    padded.resize(length.max(bytes.len()), b'\n');
    file.write_all_at(&padded, 0)
}

fn replace(path: &Path, bytes: &[u8], sync: bool) -> Result<(), HomeError> {
    let io = |e| HomeError::io("write", path, e);
    let dir = path.parent().unwrap_or(Path::new("."));
    let fill = |mut file: &File| {
        file.write_all(bytes)?;
        if sync { file.sync_data() } else { Ok(()) }
    };
    if let Some(file) = nameless(dir).map_err(io)? {
        fill(&file).map_err(io)?;
        match name(&file, path) {
            // Without `/proc` it gets no name.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            other => return other.map_err(io),
        }
    }
    let file = tempfile::Builder::new().prefix(FRESH).tempfile_in(dir).map_err(io)?;
    fill(file.as_file()).map_err(io)?;
    file.persist(path).map(drop).map_err(|e| io(e.error))
}

/// A person's file in the making: it has no name until it is whole, where the
/// file system can do that, so that of a writer that is killed nothing is left.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    file: File,
    /// Its name until then, elsewhere.
    named: Option<tempfile::TempPath>,
}

impl Draft {
    /// Begins the file at `path`. It is 0600.
    pub fn of(path: &Path) -> io::Result<Self> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new("."));
        let path = path.to_owned();
        // Without `/proc` it would get no name.
        if Path::new("/proc/self/fd").is_dir()
            && let Some(file) = nameless(dir)?
        {
            return Ok(Self { path, file, named: None });
        }
        let (file, named) =
            tempfile::Builder::new().prefix(".tandem-").tempfile_in(dir)?.into_parts();
        Ok(Self { path, file, named: Some(named) })
    }

    /// What is written into.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Puts it in its place, where another one may be. Its bytes are on the
    /// disk then.
    pub fn keep(self) -> io::Result<()> {
        self.file.sync_all()?;
        match self.named {
            Some(named) => named.persist(&self.path).map_err(|e| e.error),
            None => name(&self.file, &self.path),
        }
    }
}

/// What names of half-written files begin with.
const FRESH: &str = ".new-";

/// A file without a name: of a writer that is killed nothing is left. `None`
/// where the file system has none (`open(2)`, `O_TMPFILE`).
fn nameless(dir: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    match openat(CWD, dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Gives a whole file its name, which another one may have. A link cannot take
/// its place at once, so for a moment there are two.
fn name(file: &File, path: &Path) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |to: &Path| linkat(CWD, &own, CWD, to, AtFlags::SYMLINK_FOLLOW);
    match link(path) {
        Err(Errno::EXIST) => {}
        other => return Ok(other?),
    }
    let fresh = loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let fresh = path.with_file_name(format!("{FRESH}{}-{count}", std::process::id()));
        match link(&fresh) {
            Ok(()) => break fresh,
            Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
    };
    fs::rename(&fresh, path).inspect_err(|_| drop(fs::remove_file(&fresh)))
}

fn to_json<T: Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, HomeError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| HomeError::Damaged { path: path.to_owned(), reason: e.to_string() })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads a JSON value; `None` when the file is not there.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, HomeError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(HomeError::io("read", path, e)),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| HomeError::Damaged { path: path.to_owned(), reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_takes_its_place_or_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        for text in ["one", "two"] {
            drop(Draft::of(&path).unwrap());
            let draft = Draft::of(&path).unwrap();
            draft.file().write_all(text.as_bytes()).unwrap();
            draft.keep().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
        assert!(Draft::of(&dir.path().join("missing/out")).is_err());
    }

    #[test]
    fn what_is_written_has_no_name_until_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("value");
        if let Some(file) = nameless(dir.path()).unwrap() {
            (&file).write_all(b"half").unwrap();
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        }
        write_atomic(&path, b"one").unwrap();
        // Somebody who was killed in the one moment left this.
        let left = dir.path().join(format!(".new-{}-0", std::process::id()));
        fs::write(&left, "left").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_to_string(&left).unwrap(), "left");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        assert!(write_atomic(&dir.path().join("none/value"), b"").is_err());
    }

    #[test]
    fn a_value_survives_and_no_temporary_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("value.json");
        assert_eq!(read_json::<u32>(&path).unwrap(), None);
        write_json(&path, &7u32).unwrap();
        write_json(&path, &8u32).unwrap();
        assert_eq!(read_json::<u32>(&path).unwrap(), Some(8));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        overwrite(&path, b"9").unwrap();
        assert_eq!(read_json::<u32>(&path).unwrap(), Some(9));
        assert!(overwrite(&path, &vec![b'9'; 100_000]).is_err());
        fs::write(&path, "{").unwrap();
        assert!(matches!(read_json::<u32>(&path), Err(HomeError::Damaged { .. })));
    }
}
