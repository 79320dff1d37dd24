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
    let failed = |e| AppError::unwritten(file, &e);
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

/// Writes a file that a person named in the window, and that is not there yet:
/// whole or not at all.
pub fn write_named_file(typed: &str, bytes: &[u8]) -> Result<PathBuf, AppError> {
    let path = whole_path(typed)?;
    write_new_file(&path, bytes).map_err(|e| match e {
        AppError::Io { path, source, .. } => AppError::NotWritten { path, source },
        other => other,
    })?;
    Ok(path)
}

/// A path as a person writes it: absolute, or from the home folder.
pub fn whole_path(typed: &str) -> Result<PathBuf, AppError> {
    let typed = typed.trim();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let path = match (typed.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(typed),
    };
    if !path.is_absolute() {
        return Err(AppError::Usage(format!(
            "`{typed}` is not a whole path: begin it with / or ~/"
        )));
    }
    Ok(path)
}

/// The place of a new file, as a person writes it.
pub fn new_path(typed: &str) -> Result<PathBuf, AppError> {
    let path = whole_path(typed)?;
    if path.symlink_metadata().is_ok() {
        let text = format!("{} is there already: choose another name", path.display());
        return Err(AppError::Usage(text));
    }
    Ok(path)
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

    use tandem_model::ErrorCode;

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
        let lost = write_file(&dir.path().join("missing/out"), b"two").unwrap_err();
        assert_eq!(lost.code(), ErrorCode::NotFound);
        assert!(lost.to_string().ends_with("make the folder first, or choose one that is there"));
        only(dir.path(), &["out"]);
        write_new_file(&dir.path().join("new"), b"two").unwrap();
        only(dir.path(), &["new", "out"]);
    }

    #[test]
    fn a_file_that_was_named_says_why_it_is_not_written_and_where_it_could_be() {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("out");
        let file = there.display().to_string();
        assert_eq!(write_named_file(&format!(" {file} "), b"one").unwrap(), there);
        for (typed, what, code) in [
            (file.as_str(), "choose another name", ErrorCode::Usage),
            (&format!("{file}-/no/out"), "make the folder first", ErrorCode::Usage),
            ("/proc/sys/out", "choose a", ErrorCode::Usage),
            ("out", "begin it with / or ~/", ErrorCode::Usage),
        ] {
            let error = write_named_file(typed, b"two").unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
            assert_eq!(error.code(), code, "{error}");
        }
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let full = AppError::NotWritten { path: there.clone(), source: full };
        assert_eq!(full.code(), ErrorCode::NoSpace);
        assert!(full.to_string().ends_with("another disk"), "{full}");
        only(dir.path(), &["out"]);
    }
}
