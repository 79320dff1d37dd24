//! Volumes, folders of the host and memory, mounted over an image's files.
//!
//! Mounts are made by the supervisor, in its own mount namespace, on the
//! merged tree that libcontainer then takes over whole: each source is opened
//! once and mounted through its descriptor, each target is resolved beneath
//! the root. What lies below `/dev` and `/sys` has to wait for libcontainer's
//! own mounts there and is handed to it.

mod fill;

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
};

use nix::mount::MsFlags;
use rustix::fs::{FileType, Mode, OFlags, fstat};
use tandem_backend::{BackendError, VolumeStore};
use tandem_home::{Home, Lock};
use tandem_model::{MountSource, MountSpec};
use tandem_rootless::Standing;

use crate::confine::{Attributes, Kind, Root, Target, restrict_at};

/// What an instance has mounted. Its volumes cannot be filled by another one
/// as long as this lives.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    /// For libcontainer, after its own mounts.
    pub(crate) late: Vec<LateMount>,
    locks: Vec<Lock>,
}

/// A mount that libcontainer makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LateMount {
    pub(crate) kind: &'static str,
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) options: Vec<String>,
}

/// Mounts everything, outer places before those within them.
pub(crate) fn mount_all(
    home: &Home,
    mounts: &[MountSpec],
    root: &Root,
    no_devices: bool,
) -> Result<Storage, BackendError> {
    let mut storage = Storage::default();
    let mut ordered: Vec<&MountSpec> = mounts.iter().collect();
    ordered.sort_by_key(|mount| mount.target.matches('/').count());
    for spec in ordered {
        let late = ["/dev/", "/sys/"].iter().any(|dir| spec.target.starts_with(dir))
            || spec.target == "/sys";
        match &spec.source {
            MountSource::Tmpfs { size_bytes, mode, uid, gid, exec } => {
                let mode = mode.unwrap_or(0o1777);
                let size = size_bytes.map(|bytes| format!(",size={bytes}")).unwrap_or_default();
                // Alone there is nobody whose it could be.
                let alone = Standing::of_process().is_single();
                let owner =
                    |key, id: &Option<u32>| id.filter(|_| !alone).map(|id| format!(",{key}={id}"));
                let (uid, gid) = (owner("uid", uid), owner("gid", gid));
                let (uid, gid) = (uid.unwrap_or_default(), gid.unwrap_or_default());
                let data = format!("mode={mode:o}{size}{uid}{gid}");
                if late {
                    storage.late.push(LateMount::memory(spec, &data, *exec));
                } else {
                    memory(root, spec, &data, *exec)?;
                }
            }
            MountSource::Bind { path } => {
                let source = open(path, spec)?;
                let attributes = Attributes { read_only: spec.read_only, no_devices };
                if late {
                    storage.late.push(LateMount::bind(spec, &source, attributes)?);
                } else {
                    bind(root, spec, &source, attributes)?;
                }
            }
            MountSource::Volume { name, no_copy, anonymous } => {
                let (source, lock) = volume(home, root, spec, name, *no_copy, *anonymous)?;
                storage.locks.push(lock);
                // Its first files are an image's, nodes among them.
                let attributes = Attributes { read_only: spec.read_only, no_devices: true };
                if late {
                    storage.late.push(LateMount::bind(spec, &source, attributes)?);
                } else {
                    bind(root, spec, &source, attributes)?;
                }
            }
        }
    }
    Ok(storage)
}

/// Opens the source of a bind, for good: what is put in its place afterwards
/// does not matter.
fn open(path: &Path, spec: &MountSpec) -> Result<OwnedFd, BackendError> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(|e| {
        let why = match e {
            rustix::io::Errno::NOENT => {
                "it is not there; make it first, or write the name of a volume".to_owned()
            }
            e => format!("{e}; check its path and permissions"),
        };
        bad(path.display(), spec, why)
    })
}

fn bad(
    path: impl std::fmt::Display,
    spec: &MountSpec,
    why: impl std::fmt::Display,
) -> BackendError {
    BackendError::bad_mount(path, &spec.target, why)
}

/// Opens a volume's data, filled on first use, with a share of its lock.
fn volume(
    home: &Home,
    root: &Root,
    spec: &MountSpec,
    name: &str,
    no_copy: bool,
    anonymous: bool,
) -> Result<(OwnedFd, Lock), BackendError> {
    let volumes = VolumeStore::new(home.clone());
    volumes.ensure(name, anonymous, BTreeMap::new())?;
    let (data, lock) = (volumes.data(name), volumes.lock_path(name));
    let refuse_disk = || {
        if volumes.is_disk(name) {
            let why = "it is a virtual machine's disk; use another volume, or --backend vm";
            return Err(bad(format!("volume `{name}`"), spec, why));
        }
        if let Some(why) = volumes.kept_elsewhere(name)? {
            return Err(bad(format!("volume `{name}`"), spec, why));
        }
        Ok(())
    };
    refuse_disk()?;
    // Whoever is alone with it may put other files in its place.
    if !no_copy && let Some(_alone) = Lock::try_exclusive(&lock)? {
        fill::fill(home, root, Path::new(&spec.target), &data)
            .map_err(|e| BackendError::io("fill the volume", &data, e))?;
    }
    let lock = Lock::shared(&lock)?;
    // A machine may have been quicker.
    refuse_disk()?;
    Ok((open(&data, spec)?, lock))
}

fn bind(
    root: &Root,
    spec: &MountSpec,
    source: &OwnedFd,
    attributes: Attributes,
) -> Result<(), BackendError> {
    let shown = || source_path(source).unwrap_or_else(|_| "the source".to_owned());
    let wrong = |e: io::Error| {
        let why = match e.raw_os_error() {
            Some(libc::ENOTDIR | libc::EISDIR) => {
                "one is a file and the other a folder; mount a file on a file".to_owned()
            }
            _ => format!("{e}; choose another place inside"),
        };
        bad(shown(), spec, why)
    };
    let kind = match fstat(source).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Ok(FileType::Directory) => Kind::Directory,
        Ok(_) => Kind::File,
        Err(e) => return Err(wrong(e.into())),
    };
    let place = Path::new(&spec.target);
    let target = Target::open(root, place, kind).map_err(wrong)?;
    let from = format!("/proc/self/fd/{}", source.as_raw_fd());
    target.mount(&from, None, MsFlags::MS_BIND | MsFlags::MS_REC, None).map_err(wrong)?;
    restrict_at(root, place, attributes).map_err(wrong)
}

fn memory(root: &Root, spec: &MountSpec, data: &str, exec: bool) -> Result<(), BackendError> {
    let wrong = |e: io::Error| bad("memory", spec, format!("{e}; choose another place inside"));
    let target = Target::open(root, Path::new(&spec.target), Kind::Directory).map_err(wrong)?;
    let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    if !exec {
        flags |= MsFlags::MS_NOEXEC;
    }
    if spec.read_only {
        flags |= MsFlags::MS_RDONLY;
    }
    target.mount("tmpfs", Some("tmpfs"), flags, Some(data)).map_err(wrong)
}

fn source_path(source: &OwnedFd) -> io::Result<String> {
    let path = fs::read_link(format!("/proc/self/fd/{}", source.as_raw_fd()))?;
    Ok(path.to_string_lossy().into_owned())
}

impl LateMount {
    fn memory(spec: &MountSpec, data: &str, exec: bool) -> Self {
        let mut options = vec!["nosuid".to_owned(), "nodev".to_owned()];
        options.extend((!exec).then(|| "noexec".to_owned()));
        options.extend(spec.read_only.then(|| "ro".to_owned()));
        options.extend(data.split(',').map(str::to_owned));
        Self { kind: "tmpfs", source: "tmpfs".to_owned(), target: spec.target.clone(), options }
    }

    fn bind(
        spec: &MountSpec,
        source: &OwnedFd,
        attributes: Attributes,
    ) -> Result<Self, BackendError> {
        let source = source_path(source).map_err(|e| bad("the source", spec, e))?;
        let mut options = vec!["rbind".to_owned(), "rprivate".to_owned()];
        options.extend(attributes.read_only.then(|| "ro".to_owned()));
        // To an ordinary user's namespace no node is a device.
        let nodes = Standing::of_process().is_machine_root();
        options.extend((attributes.no_devices && nodes).then(|| "nodev".to_owned()));
        Ok(Self { kind: "bind", source, target: spec.target.clone(), options })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(source: MountSource) -> MountSpec {
        MountSpec { source, target: "/dev/place".into(), read_only: true }
    }

    #[test]
    fn what_is_mounted_late_is_as_closed_as_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(&dir.path().join("home"))).unwrap();
        let image = dir.path().join("image");
        fs::create_dir(&image).unwrap();
        let root = Root::open(&image).unwrap();
        let memory = MountSource::Tmpfs {
            size_bytes: Some(4096),
            mode: None,
            uid: None,
            gid: None,
            exec: false,
        };
        let volume = MountSource::Volume { name: "v".into(), no_copy: true, anonymous: false };
        let mounts = [MountSource::Bind { path: image.clone() }, volume, memory].map(spec);
        let late = |no_devices| mount_all(&home, &mounts, &root, no_devices).unwrap().late;
        let has = |mount: &LateMount, word: &str| mount.options.iter().any(|it| it == word);
        let nodev = |late: &[LateMount]| -> Vec<bool> {
            late.iter().map(|mount| has(mount, "nodev")).collect()
        };
        let machine = Standing::of_process().is_machine_root();
        // An image may have put nodes into a volume; a folder is the person's.
        assert_eq!(nodev(&late(false)), [false, machine, true]);
        assert_eq!(nodev(&late(true)), [machine, machine, true]);
        for mount in late(true) {
            assert!(has(&mount, "ro"), "{mount:?}");
            assert!(mount.kind == "bind" || (has(&mount, "nosuid") && has(&mount, "noexec")));
        }
        assert!(fs::read_dir(&image).unwrap().next().is_none(), "libcontainer makes the places");
    }
}
