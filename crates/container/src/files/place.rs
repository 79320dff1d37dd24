//! Making an instance's root the root of this process.

use std::{fs, io, path::Path};

use nix::{mount::MsFlags, unistd::chroot};
use rustix::{
    fs::{Mode, OFlags},
    process::fchdir,
};
use tandem_backend::{BackendError, InstanceStore};
use tandem_home::Lock;
use tandem_model::{BackendKind, InstanceRecord, MountSource};

use crate::{
    confine::{Kind, Root, Target},
    launch::{image_of, layers_of, open_images},
    rootfs::{InstanceDirs, private_mounts},
};

/// Enters the root of an instance; the process can never leave it again. The
/// lock keeps one that does not run from being started meanwhile.
pub(super) fn enter(
    store: &InstanceStore,
    record: &InstanceRecord,
) -> Result<Option<Lock>, BackendError> {
    if record.spec.backend == BackendKind::Vm {
        return Err(out_of_reach(record));
    }
    let lock = store.lock_ended(&record.id)?;
    if lock.is_some() {
        if !record.spec.backend.keeps_files_here() {
            return Err(out_of_reach(record));
        }
        enter_stopped(store, record)?;
    } else {
        enter_running(record)?;
    }
    Ok(lock)
}

/// Why the files of an instance are not reached from here.
pub(crate) fn out_of_reach(record: &InstanceRecord) -> BackendError {
    if record.spec.backend != BackendKind::Vm {
        return BackendError::Unsupported("reaching the files of an instance");
    }
    BackendError::Unavailable {
        what: format!("what has changed in {}", record.spec.name),
        why: "its files lie on a machine's disk, which only its own kernel reads".to_owned(),
        fix: "fetch what you want with `tandem cp` while it runs, or use --backend container"
            .to_owned(),
    }
}

fn failed(e: impl Into<io::Error>) -> BackendError {
    BackendError::engine("entering the instance's files", e.into())
}

fn enter_running(record: &InstanceRecord) -> Result<(), BackendError> {
    let gone = || {
        let name = record.spec.name.clone();
        let next = "wait until it runs and try again".to_owned();
        BackendError::WrongState { name, state: "just starting or ending", next }
    };
    let process = record.runtime.process.ok_or_else(gone)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(format!("/proc/{}/root", process.pid), flags, Mode::empty());
    // Looked at after opening, so that it cannot be a later process's root.
    if !tandem_probe::alive(process) {
        return Err(gone());
    }
    fchdir(root.map_err(failed)?).map_err(failed)?;
    chroot(".").map_err(failed)
}

fn enter_stopped(store: &InstanceStore, record: &InstanceRecord) -> Result<(), BackendError> {
    let images = open_images(store.home())?;
    let layers = layers_of(&images, &image_of(&images, &record.spec)?, &|_| {})?;
    let dirs = InstanceDirs::new(store.dir(&record.id));
    private_mounts().map_err(failed)?;
    dirs.mount(&record.id, &layers, true, false).map_err(failed)?;
    // Made for a start only.
    let _ = fs::remove_dir(dirs.bundle());
    let rootfs = dirs.rootfs();
    for wanted in &record.spec.options.mounts {
        let source = match &wanted.source {
            MountSource::Volume { name, .. } => store.home().volumes().join(name).join("data"),
            MountSource::Bind { path } => path.clone(),
            // Empty until the app runs.
            MountSource::Tmpfs { .. } => continue,
        };
        if source.exists() {
            bind(&rootfs, &source, Path::new(&wanted.target), wanted.read_only)?;
        }
    }
    std::env::set_current_dir(&rootfs).map_err(failed)?;
    chroot(".").map_err(failed)
}

/// Mounts over a path inside; a link in the image cannot lead it elsewhere.
fn bind(rootfs: &Path, source: &Path, target: &Path, read_only: bool) -> Result<(), BackendError> {
    let kind = if source.is_dir() { Kind::Directory } else { Kind::File };
    let source =
        source.to_str().ok_or_else(|| failed(io::Error::from(io::ErrorKind::InvalidInput)))?;
    let root = Root::open(rootfs).map_err(failed)?;
    let place = || Target::open(&root, target, kind).map_err(failed);
    place()?.mount(source, None, MsFlags::MS_BIND | MsFlags::MS_REC, None).map_err(failed)?;
    if read_only {
        // The descriptor shows what lay here before; the mount is found anew.
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        place()?.mount("none", None, flags, None).map_err(failed)?;
    }
    Ok(())
}
