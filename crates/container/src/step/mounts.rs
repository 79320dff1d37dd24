//! What is mounted for one step alone (`RUN --mount`).

use std::{
    fs, io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{PermissionsExt as _, chown},
    },
    path::{Path, PathBuf},
};

use nix::mount::{MsFlags, mount};
use rustix::fs::{Mode, OFlags, StatVfsMountFlags};
use tandem_backend::{StepMount, StepSource};
use tandem_rootless::Standing;

use super::stubs::Stubs;
use crate::{
    confine::{Kind, Root, Target},
    rootfs::Overlay,
};

/// Name of a secret's file on its file system of memory.
const SECRET: &str = "secret";

/// Mounts all of them on the merged tree, in the order given. Places that had
/// to be made are among the stubs.
pub(super) fn mount_all(
    mounts: &[StepMount],
    root: &Root,
    merged: &Path,
    stubs: &mut Stubs,
) -> io::Result<()> {
    for wanted in mounts {
        one(wanted, root, merged, stubs)
            .map_err(|e| io::Error::new(e.kind(), format!("mounting on {}: {e}", wanted.target)))?;
    }
    Ok(())
}

fn one(wanted: &StepMount, root: &Root, merged: &Path, stubs: &mut Stubs) -> io::Result<()> {
    let place = Path::new(&wanted.target);
    let mut on = |kind| {
        stubs.make(merged, place, || {
            let mut target = Target::open(root, place, kind)?;
            let made = std::mem::take(&mut target.made);
            Ok((target, made))
        })
    };
    match &wanted.source {
        StepSource::Path(path) => {
            let kind = kind_of(fs::metadata(path)?.is_dir());
            bind(&on(kind)?, &path.to_string_lossy())?;
        }
        StepSource::Layers { lower, upper, work, path } => {
            let overlay = Overlay {
                lower,
                upper,
                work,
                source: "tandem-step",
                no_devices: true,
                volatile: true,
            };
            // As with the step's own tree, the work folder is the mount point.
            overlay.mount(work)?;
            let layers = Root::open(work)?;
            let found = layers.at(Path::new(path), OFlags::PATH, Mode::empty())?;
            let stat = rustix::fs::fstat(&found)?;
            let folder = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir();
            bind(&on(kind_of(folder))?, &format!("/proc/self/fd/{}", found.as_raw_fd()))?;
        }
        StepSource::Tmpfs { size } => {
            let mode = "mode=755".to_owned();
            let options = size.map_or(mode.clone(), |size| format!("{mode},size={size}"));
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            on(Kind::Directory)?.mount("tmpfs", Some("tmpfs"), flags, Some(&options))?;
        }
        StepSource::Secret { content, at, mode, uid, gid } => {
            let file = secret(at, content, *mode, (*uid, *gid))?;
            bind(&on(Kind::File)?, &file.to_string_lossy())?;
        }
    }
    harden(root, place, wanted.read_only)
}

fn kind_of(folder: bool) -> Kind {
    if folder { Kind::Directory } else { Kind::File }
}

fn bind(target: &Target, source: &str) -> io::Result<()> {
    target.mount(source, None, MsFlags::MS_BIND, None)
}

/// Writes a secret where no disk can keep it.
fn secret(at: &Path, content: &[u8], mode: u32, owner: (u32, u32)) -> io::Result<PathBuf> {
    let hard = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), at, Some("tmpfs"), hard, Some("mode=700"))?;
    let file = at.join(SECRET);
    fs::write(&file, content)?;
    if !Standing::of_process().is_single() {
        chown(&file, Some(owner.0), Some(owner.1))?;
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
    Ok(file)
}

/// Takes device nodes, and where asked for writing, from what is mounted now
/// at the place; flags that the file system has already must stay.
fn harden(root: &Root, place: &Path, read_only: bool) -> io::Result<()> {
    let mounted = root.at(place, OFlags::PATH, Mode::empty())?;
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_NODEV;
    if read_only {
        flags |= MsFlags::MS_RDONLY;
    }
    let has = rustix::fs::fstatvfs(&mounted)?.f_flag;
    for (known, flag) in [
        (StatVfsMountFlags::NOSUID, MsFlags::MS_NOSUID),
        (StatVfsMountFlags::NOEXEC, MsFlags::MS_NOEXEC),
        (StatVfsMountFlags::RDONLY, MsFlags::MS_RDONLY),
        (StatVfsMountFlags::NOATIME, MsFlags::MS_NOATIME),
        (StatVfsMountFlags::RELATIME, MsFlags::MS_RELATIME),
    ] {
        if has.contains(known) {
            flags |= flag;
        }
    }
    let none: Option<&str> = None;
    let place = format!("/proc/self/fd/{}", mounted.as_raw_fd());
    Ok(mount(none, place.as_str(), none, flags, none)?)
}
