use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{Draft, HomeError};

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
    let draft = Draft::in_home(path.parent().unwrap_or(Path::new(".")), FRESH).map_err(io)?;
    draft.file().write_all(bytes).map_err(io)?;
    if sync {
        draft.file().sync_data().map_err(io)?;
    }
    draft.keep(path).map_err(io)
}

/// What names of half-written files begin with.
const FRESH: &str = ".new-";

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
    fn a_value_takes_the_place_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("value");
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
