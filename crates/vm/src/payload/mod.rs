//! What a supervisor does to bring a machine up.

mod boot;
mod identity;
mod launch;
mod ports;
mod resume;
mod wishes;

use std::path::{Path, PathBuf};

use tandem_backend::{BackendError, InstanceStore, Payload};
use tandem_model::{Accelerator, InstanceRecord, InstanceSpec, Profile};

use crate::{
    accelerator::Chosen,
    disk::is_foreign,
    kernel::Kernel,
    machine::{Board, LEAST_FOR_SYSTEM, LEAST_MEMORY, Shape, WantedBoard},
    quota::Quota,
    share::shares,
    volume::VolumeDisks,
};
use launch::VmPayload;
pub(crate) use launch::{end_process, remove_boot};
pub(crate) use wishes::{environment, knows_terminal, refusal};

/// What comes up in a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The image's files alone.
    Micro,
    /// An operating system of ours, with the image's app as a service.
    Full,
    /// A disk from elsewhere: nobody there knows of us.
    Foreign,
}

/// The files of an instance besides those of every backend.
#[derive(Debug, Clone)]
pub(crate) struct InstanceFiles {
    /// The instance's folder.
    pub(crate) dir: PathBuf,
    /// The first layer of what the instance changed; kept from one start to
    /// the next.
    pub(crate) disk: PathBuf,
    /// What the guest begins with, made anew for each start: an initial RAM
    /// disk, or the boot file alone.
    pub(crate) boot: PathBuf,
    /// What the kernel wrote on the serial console, since the last start.
    pub(crate) console: PathBuf,
}

impl InstanceFiles {
    pub(crate) fn in_dir(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            disk: dir.join("disk.qcow2"),
            boot: dir.join("boot"),
            console: dir.join("logs/console.log"),
        }
    }
}

/// The board of an instance's machine, and why it is not the small one.
pub(crate) fn board_of(
    chosen: &Chosen,
    kernel: &Kernel,
    spec: &InstanceSpec,
    shape: Shape,
    kind: Kind,
) -> (Board, Option<&'static str>) {
    Board::of(&WantedBoard {
        accelerator: chosen.accelerator,
        came_up: chosen.on_microvm || chosen.accelerator == Accelerator::Tcg,
        enters_kernel: kind == Kind::Micro,
        has_driver: kernel.drives_microvm(),
        grows: shape.room > 0 || shape.most_cpus.max(shape.cpus) > 1,
        has_shares: shares(&spec.options).next().is_some(),
        volumes: VolumeDisks::wanted(&spec.options).count(),
    })
}

/// The size of an instance's machine.
pub(crate) fn shape_of(spec: &InstanceSpec) -> Result<Shape, BackendError> {
    let least = if spec.profile == Some(Profile::Full) { LEAST_FOR_SYSTEM } else { LEAST_MEMORY };
    Shape::of(&spec.resources, &spec.options.room, least).map_err(|reason| {
        BackendError::Unavailable {
            what: "a virtual machine of this size".to_owned(),
            why: reason,
            fix: "choose other limits with --memory and --cpus".to_owned(),
        }
    })
}

/// Whether there is a machine of the size that an instance's limits ask for.
///
/// # Errors
/// The reason where there is none.
pub fn check_size(spec: &InstanceSpec) -> Result<(), BackendError> {
    shape_of(spec).map(drop)
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
    let kind = match record.spec.profile {
        _ if is_foreign(&files.dir)? => Kind::Foreign,
        Some(Profile::Full) => Kind::Full,
        _ => Kind::Micro,
    };
    Ok(Box::new(VmPayload::new(store.home().clone(), shape, files, kind, quota)))
}
