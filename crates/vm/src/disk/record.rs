//! Which base an instance's disk lies on.
//!
//! A base that is made again has the same files, but not at the same places: a
//! layer that was made on another one would show a mixture of both. So each
//! instance remembers its own.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tandem_backend::BackendError;
use tandem_home::{Home, read_json, write_json};

use super::base::disks;

/// `base.json` in an instance's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BaseRecord {
    /// File name below the home's disks.
    pub(crate) name: String,
    /// Bytes of the disk.
    pub(crate) size: u64,
    /// Tells one making of the file system from another: a digest of its
    /// beginning, where its time of making and its free blocks stand.
    pub(crate) mark: String,
}

const FILE: &str = "base.json";

/// Bytes from the beginning of the disk.
const HEAD: u64 = 64 * 1024;

impl BaseRecord {
    /// The record of the disk at `path`.
    pub(crate) fn of(path: &Path) -> Result<Self, BackendError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let (size, mark) = mark(path).map_err(|e| BackendError::io("read", path, e))?;
        Ok(Self { name, size, mark })
    }

    /// What stands in the instance's folder.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, BackendError> {
        Ok(read_json(&dir.join(FILE))?)
    }

    /// Writes it into the instance's folder.
    pub(crate) fn save(&self, dir: &Path) -> Result<(), BackendError> {
        Ok(write_json(&dir.join(FILE), self)?)
    }

    /// Whether its name is one: it may have come from elsewhere.
    pub(super) fn is_plain(&self) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        self.name.len() <= 200 && !self.name.starts_with('.') && self.name.chars().all(plain)
    }

    /// The disk, when it is there as it was.
    pub(crate) fn find(&self, home: &Home) -> Result<PathBuf, BackendError> {
        let gone = |why: String| BackendError::Unavailable {
            what: "the disk beneath this instance".to_owned(),
            why,
            fix: "import it from an export, or remove it with `tandem rm`".to_owned(),
        };
        if !self.is_plain() {
            return Err(gone(format!("`{}` is no name of one", self.name)));
        }
        let path = disks(home).join(&self.name);
        let (size, mark) = mark(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => gone(format!("{} is missing", path.display())),
            _ => BackendError::io("read", &path, e),
        })?;
        if size != self.size {
            return Err(gone(format!(
                "{} is damaged: it has {size} bytes and should have {}",
                path.display(),
                self.size
            )));
        }
        if mark != self.mark {
            return Err(gone(format!("{} was damaged, or made anew since", path.display())));
        }
        Ok(path)
    }
}

fn mark(path: &Path) -> io::Result<(u64, String)> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head)?;
    let digest = Sha256::digest(&head);
    Ok((size, digest_digits(digest.as_slice())))
}

/// The first half of a digest as hexadecimal digits.
pub(crate) fn digest_digits(digest: &[u8]) -> String {
    digest.iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_base_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(dir.path())).unwrap();
        std::fs::create_dir_all(disks(&home)).unwrap();
        let path = disks(&home).join("a.ext4");
        std::fs::write(&path, vec![1; 100_000]).unwrap();
        let record = BaseRecord::of(&path).unwrap();
        assert_eq!(record.find(&home).unwrap(), path);
        let up = BaseRecord { name: "../disks/a.ext4".to_owned(), ..record.clone() };
        assert!(up.find(&home).unwrap_err().to_string().contains("no name of one"));
        std::fs::write(&path, vec![2; 100_000]).unwrap();
        assert!(record.find(&home).unwrap_err().to_string().contains("made anew"));
        std::fs::write(&path, vec![1; 99_999]).unwrap();
        assert!(record.find(&home).unwrap_err().to_string().contains("99999 bytes"));
        std::fs::remove_file(&path).unwrap();
        assert!(record.find(&home).unwrap_err().to_string().contains("missing"));
    }
}
