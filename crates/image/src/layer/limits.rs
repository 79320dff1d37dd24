use std::fs;

use serde::Deserialize;
use tandem_home::Home;

use crate::ImageError;

/// What a foreign archive may ask of this machine. The default lets every
/// honest image through and ends an archive bomb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Entries in one layer.
    pub entries: u64,
    /// Bytes of the uncompressed archive, and of its files with their holes.
    pub bytes: u64,
    /// Folders above one file.
    pub depth: u64,
    /// Bytes of one extended header (names, attributes).
    pub header_bytes: u64,
    /// Extended attributes of one file.
    pub attributes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 2_000_000,
            bytes: 64 << 30,
            depth: 256,
            header_bytes: 1 << 20,
            attributes: 256,
        }
    }
}

/// Name of the file in the home that changes limits.
pub(super) const FILE: &str = "limits.json";

impl Limits {
    /// The limits of a home: the default, but for what its `limits.json` says.
    ///
    /// # Errors
    /// [`ImageError::Limits`] when that file is there and cannot be read.
    pub fn of(home: &Home) -> Result<Self, ImageError> {
        let path = home.root().join(FILE);
        let failed = |reason: String| ImageError::Limits { path: path.clone(), reason };
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| failed(e.to_string())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(failed(e.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_changes_what_it_names() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(dir.path())).unwrap();
        assert_eq!(Limits::of(&home).unwrap(), Limits::default());
        let path = dir.path().join(FILE);
        fs::write(&path, r#"{"entries": 7, "header_bytes": 9}"#).unwrap();
        let changed = Limits { entries: 7, header_bytes: 9, ..Limits::default() };
        assert_eq!(Limits::of(&home).unwrap(), changed);
        for bad in ["{", r#"{"entrys": 7}"#, r#"{"bytes": -1}"#] {
            fs::write(&path, bad).unwrap();
            let error = Limits::of(&home).unwrap_err().to_string();
            assert!(error.contains("limits.json") && error.contains("remove it"), "{error}");
        }
    }
}
