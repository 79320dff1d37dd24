use std::{
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::AppError;

/// Writes a person's file whole or not at all: it gets its name when it is
/// complete. What is there already is replaced, and keeps its permissions; a
/// link goes on to lead there, and a device or pipe is written into.
pub fn write_file(file: &Path, bytes: &[u8]) -> Result<(), AppError> {
    let failed = |e| AppError::io("write", file, e);
    let Ok(found) = fs::metadata(file) else {
        return fresh(file, bytes)
            .and_then(|fresh| fresh.persist(file).map(drop).map_err(|e| e.error))
            .map_err(failed);
    };
    if found.is_file() {
        let replace = |real: PathBuf| {
            let fresh = fresh(&real, bytes)?;
            fresh.as_file().set_permissions(found.permissions())?;
            fresh.persist(&real).map(drop).map_err(|e| e.error)
        };
        fs::canonicalize(file).and_then(replace).map_err(failed)
    } else {
        let open = fs::OpenOptions::new().write(true).open(file);
        open.and_then(|mut it| it.write_all(bytes)).map_err(failed)
    }
}

/// As [`write_file`], but what is there already stays, and is an error.
pub fn write_new_file(file: &Path, bytes: &[u8]) -> Result<(), AppError> {
    fresh(file, bytes)
        .and_then(|fresh| fresh.persist_noclobber(file).map(drop).map_err(|e| e.error))
        .map_err(|e| AppError::io("write", file, e))
}

/// The whole file under another name beside its own.
fn fresh(file: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let folder = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Whoever names a missing folder is to read its name, not that of our draft.
    fs::metadata(folder)?;
    // As any new file of this person; the umask takes its part away.
    let mode = Permissions::from_mode(0o666);
    let mut fresh =
        tempfile::Builder::new().prefix(".tandem-").permissions(mode).tempfile_in(folder)?;
    fresh.write_all(bytes)?;
    fresh.as_file().sync_all()?;
    Ok(fresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(dir: &Path, names: &[&str]) {
        let mut found: Vec<_> =
            fs::read_dir(dir).unwrap().map(|it| it.unwrap().file_name()).collect();
        found.sort();
        assert_eq!(found, names);
    }

    #[test]
    fn a_file_is_replaced_and_a_link_followed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out");
        write_file(&file, b"one").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("out", &link).unwrap();
        write_file(&link, b"two").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        only(dir.path(), &["link", "out"]);
        write_file(Path::new("/dev/null"), b"three").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn what_fails_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out");
        fs::write(&file, "mine").unwrap();
        let taken = write_new_file(&file, b"two").unwrap_err().to_string();
        assert!(taken.contains(file.to_str().unwrap()), "{taken}");
        assert_eq!(fs::read(&file).unwrap(), b"mine");
        assert!(write_file(dir.path(), b"two").is_err());
        assert!(write_file(&dir.path().join("missing/out"), b"two").is_err());
        only(dir.path(), &["out"]);
        write_new_file(&dir.path().join("new"), b"two").unwrap();
        only(dir.path(), &["new", "out"]);
    }
}
