//! What is written down of a snapshot.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};
use tandem_home::read_json;
use tandem_image::Stamps;
use tandem_model::{ErrorCode, Failure, InstanceRecord, InstanceSpec};
use tandem_vm::Saved;

use crate::AppError;

pub(crate) const RECORD: &str = "snapshot.json";
pub(crate) const HEAD: &str = "head.json";

/// A snapshot as it lies on the disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Version of this format.
    pub(crate) version: u32,
    /// Its name, unique in its instance.
    pub(crate) name: String,
    /// When it was taken.
    pub(crate) created_at: jiff::Timestamp,
    /// The snapshot that the instance came from then.
    pub(crate) parent: Option<String>,
    /// What the instance was.
    pub(crate) spec: InstanceSpec,
    /// Volumes that lie in it.
    pub(crate) volumes: Vec<String>,
    /// It holds the memory of a container, in its folder `memory`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) checkpoint: bool,
    /// What it holds of a virtual machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) machine: Option<Saved>,
}

impl Snapshot {
    pub(crate) const VERSION: u32 = 1;

    /// One of this moment, with nothing in it yet.
    pub(super) fn now(name: &str, parent: Option<String>, spec: InstanceSpec) -> Self {
        Self {
            version: Self::VERSION,
            name: name.to_owned(),
            created_at: jiff::Timestamp::now(),
            parent,
            spec,
            volumes: Vec::new(),
            checkpoint: false,
            machine: None,
        }
    }
}

/// What the instance's files come from, to find what was not touched since.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The last snapshot taken or restored.
    pub(crate) snapshot: Option<String>,
    /// Stamps by tree: `upper`, `volumes/NAME`; none for a virtual machine.
    #[serde(default)]
    pub(crate) trees: BTreeMap<String, Stamps>,
}

/// A snapshot that was just taken.
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
pub struct Taken {
    /// Its name.
    pub name: String,
    /// Nanoseconds that the app was held still; absent when it did not run.
    #[ts(type = "number | null")]
    pub pause_ns: Option<u64>,
    /// Nanoseconds that a client waited for an answer meanwhile, at most;
    /// absent when the app answers no HTTP, or answered none of the requests.
    #[ts(type = "number | null")]
    pub longest_wait_ns: Option<u64>,
}

/// What a restore came to.
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
pub struct Restored {
    /// The instance that has the snapshot's files now.
    pub instance: String,
    /// It ran before and runs again.
    pub started: bool,
    /// Its memory came back as well, or will with its next start.
    pub memory: bool,
}

/// What an instance is that has come back to a snapshot's `spec`: still itself.
pub(super) fn come_back(spec: InstanceSpec, instance: &InstanceSpec) -> InstanceSpec {
    InstanceSpec {
        name: instance.name.clone(),
        remove: instance.remove,
        owner: instance.owner,
        ..spec
    }
}

pub(super) fn load(dir: &Path, record: &InstanceRecord, name: &str) -> Result<Snapshot, AppError> {
    check_name(name)?;
    read_json(&dir.join(name).join(RECORD))?.ok_or_else(|| {
        let text = format!(
            "instance {0} has no snapshot `{name}`: `tandem snapshot ls {0}` lists them",
            record.spec.name
        );
        Failure::new(ErrorCode::NotFound, text).into()
    })
}

/// All snapshots, oldest first.
pub(crate) fn all(dir: &Path) -> Result<Vec<Snapshot>, AppError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| AppError::io("list", dir, e))?.flatten() {
        found.extend(read_json::<Snapshot>(&entry.path().join(RECORD)).ok().flatten());
    }
    found.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
    Ok(found)
}

pub(crate) fn check_name(name: &str) -> Result<(), AppError> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if first && rest && name.len() <= 128 && name != HEAD {
        return Ok(());
    }
    let name: String = name.chars().take(128).collect();
    Err(AppError::Usage(format!(
        "`{name}` cannot name a snapshot: use letters, digits, `_`, `.` and `-`, beginning with a letter or digit"
    )))
}
