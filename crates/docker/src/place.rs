use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tandem_backend::{BackendError, InstanceStore};
use tandem_home::{read_json, write_json};
use tandem_model::InstanceId;

/// Where an instance's container is, in `engine.json` of the instance's
/// folder: a later command may have another environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Version of this format.
    version: u32,
    /// The engine's socket.
    pub(crate) socket: PathBuf,
}

impl Place {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { version: 1, socket }
    }

    /// The place of an instance; `None` when it was never started.
    pub(crate) fn read(
        store: &InstanceStore,
        id: &InstanceId,
    ) -> Result<Option<Self>, BackendError> {
        Ok(read_json(&path(store, id))?)
    }

    /// Written before the container is made.
    pub(crate) fn write(&self, store: &InstanceStore, id: &InstanceId) -> Result<(), BackendError> {
        Ok(write_json(&path(store, id), self)?)
    }
}

fn path(store: &InstanceStore, id: &InstanceId) -> PathBuf {
    store.dir(id).join("engine.json")
}
