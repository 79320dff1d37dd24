//! What an instance uses of the disk.

use tandem_backend::BackendError;
use tandem_home::Home;
use tandem_model::{InstanceRecord, Ledger};
use tandem_probe::allocated_bytes;

use crate::{
    launch::{image_of, open_images},
    rootfs::InstanceDirs,
};

/// Where the disk space is: the image's layers, and what this instance adds.
pub(crate) fn disk_ledger(home: &Home, record: &InstanceRecord) -> Result<Ledger, BackendError> {
    let images = open_images(home)?;
    let image = image_of(&images, &record.spec)?;
    let used = images.disk_use(&image).map_err(|e| BackendError::Reported(e.into()))?;
    let instance = home.instances().join(record.id.as_str());
    let upper = InstanceDirs::new(instance.clone()).upper();
    let size = |path: &std::path::Path| match allocated_bytes(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(0),
        result => result.map_err(|e| BackendError::io("measure", path, e)),
    };
    // The merged tree is mounted in another namespace: here its folder is
    // empty, and nothing is counted twice.
    let (changed, all) = (size(&upper)?, size(&instance)?);
    let mut ledger = Ledger::default();
    ledger.push("image layers, shared by all instances", used.unpacked);
    ledger.push("files changed by the instance", changed);
    ledger.push("logs and records of the instance", all.saturating_sub(changed));
    Ok(ledger)
}
