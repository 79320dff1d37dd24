use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt as _, path::Path};

use serde::Serialize;
use tandem_container::upper_of;
use tandem_model::{BackendKind, InstanceRecord};
use tandem_vm::layers_of;

use crate::{App, AppError};

/// What an instance takes on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct InstanceSize {
    /// The files that it made or changed, allocated bytes; of a virtual
    /// machine the layers of its disk. Volumes are no part of it.
    pub own_bytes: u64,
    /// The same and the image's unpacked layers, which others may share.
    pub virtual_bytes: u64,
}

impl App {
    /// The sizes of instances, by id. Other engines keep their files to
    /// themselves, so their instances have none.
    pub fn instance_sizes(
        &self,
        ids: &[String],
    ) -> Result<BTreeMap<String, InstanceSize>, AppError> {
        let images = self.images(true)?;
        let mut sizes = BTreeMap::new();
        for id in ids {
            // One may be removed meanwhile.
            let Ok(record) = self.instances.find(id) else { continue };
            let Some(own_bytes) = self.written(&record) else { continue };
            let image = images.iter().find(|image| image.digest == record.spec.digest);
            let virtual_bytes = own_bytes + image.map_or(0, |image| image.size_bytes);
            sizes.insert(id.clone(), InstanceSize { own_bytes, virtual_bytes });
        }
        Ok(sizes)
    }

    fn written(&self, record: &InstanceRecord) -> Option<u64> {
        if record.spec.backend == BackendKind::Vm {
            let dir = self.instances.dir(&record.id);
            let layers = layers_of(&dir).ok()?;
            return Some(layers.names().iter().map(|name| blocks(&dir.join(name))).sum());
        }
        let upper = upper_of(&self.home, record).ok()?;
        // Without the folder itself, which every instance has.
        let all = tandem_probe::allocated_bytes(&upper).unwrap_or_default();
        Some(all.saturating_sub(blocks(&upper)))
    }
}

/// Allocated bytes of one file or folder; none when it is not there.
fn blocks(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |metadata| metadata.blocks() * 512)
}
