//! What a supervisor does to bring a machine up.

mod boot;
mod identity;
mod launch;
mod ports;
mod resume;
mod wishes;

use std::path::{Path, PathBuf};

use tandem_backend::{BackendError, InstanceStore, Payload};
use tandem_model::{InstanceRecord, InstanceSpec};

use crate::{machine::Shape, quota::Quota};
use launch::VmPayload;
pub(crate) use launch::{end_process, remove_initrd};
pub(crate) use wishes::{environment, refusal};

/// The files of an instance besides those of every backend.
#[derive(Debug, Clone)]
pub(crate) struct InstanceFiles {
    /// The instance's folder.
    pub(crate) dir: PathBuf,
    /// The first layer of what the instance changed; kept from one start to
    /// the next.
    pub(crate) disk: PathBuf,
    /// Made anew for each start.
    pub(crate) initrd: PathBuf,
    /// What the kernel wrote on the serial console, since the last start.
    pub(crate) console: PathBuf,
}

impl InstanceFiles {
    pub(crate) fn in_dir(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            disk: dir.join("disk.qcow2"),
            initrd: dir.join("initrd"),
            console: dir.join("logs/console.log"),
        }
    }
}

/// The size of an instance's machine.
pub(crate) fn shape_of(spec: &InstanceSpec) -> Result<Shape, BackendError> {
    Shape::of(&spec.resources, &spec.options.room).map_err(|reason| BackendError::Unavailable {
        what: "a virtual machine of this size".to_owned(),
        why: reason,
        fix: "choose other limits with --memory and --cpus".to_owned(),
    })
}

/// The part of a supervisor that runs the virtual machine of `record`.
///
/// # Errors
/// When no machine has the size that the limits ask for.
pub fn vm_payload(
    store: &InstanceStore,
    record: &InstanceRecord,
) -> Result<Box<dyn Payload>, BackendError> {
    let shape = shape_of(&record.spec)?;
    ports::check(&record.spec.ports)?;
    let quota = Quota::of(&record.spec.resources, &record.id)?;
    let files = InstanceFiles::in_dir(&store.dir(&record.id));
    Ok(Box::new(VmPayload::new(store.home().clone(), shape, files, quota)))
}
