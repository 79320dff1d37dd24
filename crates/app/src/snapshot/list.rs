//! The snapshots that an instance has, with what each takes.

use serde::Serialize;
use tandem_home::read_json;

use super::{
    HEAD, Head, Snapshot, all,
    machine::{layer_sizes, users_of_layers},
    size::{Sizes, sizes},
};
use crate::{App, AppError};

/// A snapshot in a list.
#[derive(Debug, Clone, PartialEq, Serialize, ts_rs::TS)]
pub struct SnapshotRow {
    /// Its name.
    pub name: String,
    /// RFC 3339.
    #[ts(type = "string")]
    pub created_at: jiff::Timestamp,
    /// The snapshot it came from.
    pub parent: Option<String>,
    /// The instance came last from this one.
    pub current: bool,
    /// Volumes in it.
    pub volumes: Vec<String>,
    /// It holds the memory.
    pub memory: bool,
    /// Bytes of its files, allocated.
    #[ts(type = "number")]
    pub size_bytes: u64,
    /// Bytes that its removal would free.
    #[ts(type = "number")]
    pub unique_bytes: u64,
}

impl App {
    /// The snapshots of an instance, oldest first.
    pub fn snapshots(&self, instance: &str) -> Result<Vec<SnapshotRow>, AppError> {
        let record = self.instances.find(instance)?;
        let dir = self.instances.dir(&record.id).join("snapshots");
        // Nothing is made by looking.
        if !dir.exists() {
            return Ok(Vec::new());
        }
        let head: Head = read_json(&dir.join(HEAD))?.unwrap_or_default();
        let snapshots = all(&dir)?;
        let others = users_of_layers(&self.instances.dir(&record.id), &snapshots)?;
        let row = |snapshot: Snapshot| {
            let path = dir.join(&snapshot.name);
            let mut found = sizes(&path).map_err(|e| AppError::io("measure", path, e))?;
            let machine = snapshot.machine.as_ref();
            let memory = snapshot.checkpoint || machine.is_some_and(|it| it.memory.is_some());
            if let Some(saved) = &snapshot.machine {
                let layers = layer_sizes(&self.instances.dir(&record.id), saved, &others)?;
                found = Sizes { all: found.all + layers.all, unique: found.unique + layers.unique };
            }
            Ok(SnapshotRow {
                memory,
                current: head.snapshot.as_ref() == Some(&snapshot.name),
                name: snapshot.name,
                created_at: snapshot.created_at,
                parent: snapshot.parent,
                volumes: snapshot.volumes,
                size_bytes: found.all,
                unique_bytes: found.unique,
            })
        };
        snapshots.into_iter().map(row).collect()
    }
}
