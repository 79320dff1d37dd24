//! The layers of an instance's disk: qcow2 files in its folder, each with what
//! changed since the one beneath it.
//!
//! ```text
//! base.ext4 ◀─ disk.qcow2 ◀─ disk-1.qcow2 ◀─ disk-2.qcow2    written to
//!                   └ snapshot `a`    └ snapshot `b`         never again
//! ```
//!
//! `disk.json` lists them. An empty layer changes nothing, so the list may name
//! one before QEMU writes to it: whatever is cut short, the list is right.
//! Snapshots name the layers that they need; a layer that nobody names is
//! swept.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_home::{read_json, write_json};

use super::qcow2::{Backing, make_overlay, virtual_size};

/// The layers of a disk, the lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Chain(Vec<String>);

/// The file that lists them.
const LIST: &str = "disk.json";

/// The first layer of an instance.
const FIRST: &str = "disk.qcow2";

/// QEMU opens every layer, and each read may ask them all.
const MOST: usize = 100;

impl TryFrom<Vec<String>> for Chain {
    type Error = String;

    fn try_from(layers: Vec<String>) -> Result<Self, String> {
        match layers.iter().find(|name| number(name).is_none()) {
            Some(name) => Err(format!("`{name}` is not a layer of a disk")),
            None if layers.is_empty() || layers.len() > MOST => {
                Err(format!("a disk has 1 to {MOST} layers"))
            }
            None => Ok(Self(layers)),
        }
    }
}

impl From<Chain> for Vec<String> {
    fn from(chain: Chain) -> Self {
        chain.0
    }
}

/// The number in a layer's name, 0 for the first one.
fn number(name: &str) -> Option<u32> {
    if name == FIRST {
        return Some(0);
    }
    let digits = name.strip_prefix("disk-")?.strip_suffix(".qcow2")?;
    let canonical = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| canonical)
}

impl Chain {
    /// The chain of the instance in `dir`.
    pub(crate) fn load(dir: &Path) -> Result<Self, BackendError> {
        let found: Option<Self> = read_json(&dir.join(LIST))?;
        Ok(found.unwrap_or_else(|| Self(vec![FIRST.to_owned()])))
    }

    /// Writes it down for the instance in `dir`.
    pub(crate) fn save(&self, dir: &Path) -> Result<(), BackendError> {
        Ok(write_json(&dir.join(LIST), self)?)
    }

    /// Names of the layers, the lowest first.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The files in `dir`.
    pub(crate) fn paths(&self, dir: &Path) -> Vec<PathBuf> {
        self.0.iter().map(|name| dir.join(name)).collect()
    }

    /// The layer that is written to.
    pub(crate) fn top(&self) -> &str {
        self.0.last().map_or(FIRST, String::as_str)
    }

    /// Puts an empty layer on top, in the files and in the list: what was
    /// there stays as it is from now on.
    pub(crate) fn grow(&self, dir: &Path) -> Result<Self, BackendError> {
        let grown = self.with_layer(dir)?;
        grown.save(dir)?;
        Ok(grown)
    }

    /// Makes an empty layer that lies on the top one, and leaves the list.
    pub(crate) fn with_layer(&self, dir: &Path) -> Result<Self, BackendError> {
        if self.0.len() == MOST {
            let what = "another snapshot";
            let why = format!("the instance's disk has {MOST} layers, the most there may be");
            let fix = "restore it as a new instance and go on with that one".to_owned();
            return Err(BackendError::Unavailable { what: what.to_owned(), why, fix });
        }
        let below = dir.join(self.top());
        let size = virtual_size(&below).map_err(|e| BackendError::io("read", &below, e))?;
        let name = format!("disk-{}.qcow2", highest(dir)? + 1);
        let path = dir.join(&name);
        make_overlay(&path, Backing::Beside(self.top()), size)
            .and_then(|()| fs::File::open(&path)?.sync_all())
            .map_err(|e| BackendError::io("make the disk", &path, e))?;
        Ok(Self(self.0.iter().cloned().chain([name]).collect()))
    }

    /// Takes back a [`Self::grow`] whose layer nobody has written to.
    pub(crate) fn shrink_to(&self, before: &Self, dir: &Path) -> Result<(), BackendError> {
        before.save(dir)?;
        let _ = fs::remove_file(dir.join(self.top()));
        Ok(())
    }
}

fn highest(dir: &Path) -> Result<u32, BackendError> {
    Ok(layers_in(dir)?.iter().filter_map(|name| number(name)).max().unwrap_or(0))
}

fn layers_in(dir: &Path) -> Result<Vec<String>, BackendError> {
    let entries = fs::read_dir(dir).map_err(|e| BackendError::io("list", dir, e))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| number(name).is_some()).collect())
}

/// The layers of the disk of the instance in `dir`.
pub fn layers_of(dir: &Path) -> Result<Chain, BackendError> {
    Chain::load(dir)
}

/// Removes the layers in `dir` that neither its chain nor `others` name.
pub fn sweep_layers(dir: &Path, others: &[&Chain]) -> Result<(), BackendError> {
    let chain = Chain::load(dir)?;
    let used: BTreeSet<&String> =
        others.iter().copied().chain([&chain]).flat_map(|chain| &chain.0).collect();
    for name in layers_in(dir)? {
        if !used.contains(&name) {
            let path = dir.join(&name);
            fs::remove_file(&path).map_err(|e| BackendError::io("remove", &path, e))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ours_and_nothing_else() {
        assert_eq!(number("disk.qcow2"), Some(0));
        assert_eq!(number("disk-12.qcow2"), Some(12));
        for bad in ["disk-0.qcow2", "disk-+1.qcow2", "disk-.qcow2", "../disk-1.qcow2", "disk-1"] {
            assert_eq!(number(bad), None, "{bad}");
        }
        assert!(serde_json::from_str::<Chain>("[\"/etc/passwd\"]").is_err());
        assert!(serde_json::from_str::<Chain>("[]").is_err());
        let many = |count: usize| Chain::try_from(vec![FIRST.to_owned(); count]);
        assert!(many(MOST + 1).unwrap_err().contains("1 to 100"));
        let dir = tempfile::tempdir().unwrap();
        let full = many(MOST).unwrap().with_layer(dir.path()).unwrap_err().to_string();
        assert!(full.contains("100 layers"), "{full}");
    }

    #[test]
    fn a_layer_lives_as_long_as_somebody_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let base = dir.join("base.ext4");
        make_overlay(&dir.join(FIRST), Backing::Raw(&base), 1 << 30).unwrap();
        let first = Chain::load(dir).unwrap();
        let second = first.grow(dir).unwrap();
        let third = second.grow(dir).unwrap();
        assert_eq!(Chain::load(dir).unwrap(), third);
        assert_eq!(third.names(), ["disk.qcow2", "disk-1.qcow2", "disk-2.qcow2"]);
        assert_eq!(virtual_size(&dir.join(third.top())).unwrap(), 1 << 30);

        // Back to the first one, with another way on from there.
        first.save(dir).unwrap();
        let other = first.grow(dir).unwrap();
        assert_eq!(other.top(), "disk-3.qcow2");
        sweep_layers(dir, &[&second]).unwrap();
        let mut left = layers_in(dir).unwrap();
        left.sort();
        assert_eq!(left, ["disk-1.qcow2", "disk-3.qcow2", "disk.qcow2"]);
        sweep_layers(dir, &[]).unwrap();
        assert_eq!(layers_in(dir).unwrap().len(), 2);
        other.shrink_to(&first, dir).unwrap();
        assert_eq!(layers_in(dir).unwrap(), ["disk.qcow2"]);
    }
}
