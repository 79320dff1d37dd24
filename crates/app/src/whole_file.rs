use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tandem_home::Draft;

use crate::AppError;

/// Writes a person's file whole or not at all: it gets its name when it is
/// complete. What is there already is replaced, and keeps its permissions; a
/// link goes on to lead there, and a device or pipe is written into.
pub fn write_file(file: &Path, bytes: &[u8]) -> Result<(), AppError> {
    let failed = |e| AppError::io("write", file, e);
    let Ok(found) = fs::metadata(file) else {
        return draft(file, bytes).and_then(|draft| draft.keep(file)).map_err(failed);
    };
    if found.is_file() {
        let replace = |real: PathBuf| {
            let draft = draft(&real, bytes)?;
            draft.file().set_permissions(found.permissions())?;
            draft.keep(&real)
        };
        fs::canonicalize(file).and_then(replace).map_err(failed)
    } else {
        let open = fs::OpenOptions::new().write(true).open(file);
        open.and_then(|mut it| it.write_all(bytes)).map_err(failed)
    }
}

/// As [`write_file`], but what is there already stays, and is an error.
pub fn write_new_file(file: &Path, bytes: &[u8]) -> Result<(), AppError> {
    draft(file, bytes)
        .and_then(|draft| draft.keep_new(file))
        .map_err(|e| AppError::io("write", file, e))
}

/// The whole file, without its name. It is as any new file of this person;
/// the umask takes its part away.
fn draft(file: &Path, bytes: &[u8]) -> io::Result<Draft> {
    let draft = Draft::beside(file, 0o666)?;
    draft.file().write_all(bytes)?;
    draft.file().sync_all()?;
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

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
