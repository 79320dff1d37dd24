use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::fs::FileType;
use tandem_backend::BackendError;
use tandem_model::{ErrorCode, Failure};

use crate::confine::Root;

/// Whether files of ours can be mounted where they belong: an image, or a copy
/// into the instance, may have a folder there, which nothing but the reason is
/// told about later.
pub(super) fn check_places(
    rootfs: &Path,
    files: &[(PathBuf, &'static str)],
) -> Result<(), BackendError> {
    let root = Root::open(rootfs).map_err(|e| BackendError::io("open", rootfs, e))?;
    for (_, place) in files {
        let problem = match root.mode(Path::new(place)) {
            Ok(mode) if FileType::from_raw_mode(mode).is_dir() => "it is a folder",
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => "what is above it is no folder",
            _ => continue,
        };
        let text = format!(
            "`{place}` inside cannot be the file that every app has there: {problem}; remove that from the image, or from the instance by making it anew"
        );
        return Err(Failure::new(ErrorCode::Conflict, text).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_in_a_files_place_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let problem = |place| {
            let files = [(PathBuf::from("/of/ours"), place)];
            check_places(dir.path(), &files).err().map(|e| e.to_string()).unwrap_or_default()
        };
        assert_eq!(problem("/etc/hosts"), "");
        fs::create_dir_all(dir.path().join("etc/hosts")).unwrap();
        fs::write(dir.path().join("etc/hostname"), "").unwrap();
        fs::write(dir.path().join("dev"), "").unwrap();
        assert!(problem("/etc/hosts").contains("it is a folder"));
        assert_eq!(problem("/etc/hostname"), "");
        assert!(problem("/dev/init").contains("above it is no folder"));
    }
}
