//! The merged file system of an instance.
//!
//! Overlays are mounted in a mount namespace of the supervisor's own. Nothing
//! appears in the host's, and when the supervisor and the app are gone,
//! however they ended, so are the mounts.

use std::{
    fmt::Write as _,
    fs, io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};
use rustix::fs::{Mode, OFlags};
use tandem_home::make_private_dir;
use tandem_image::OverlayXattrs;
use tandem_model::InstanceId;
use tandem_rootless::Standing;

/// The largest text of mount options that mount(2) takes, one page.
const LONGEST_OPTIONS: usize = 4095;

/// Gives the calling thread a mount namespace of its own. Mounts of the host
/// still come and go in it; its own do not get out.
pub(crate) fn private_mounts() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none: Option<&str> = None;
    Ok(mount(none, "/", none, MsFlags::MS_SLAVE | MsFlags::MS_REC, none)?)
}

/// The folders of an overlay.
#[derive(Debug)]
pub(crate) struct Overlay<'a> {
    /// Read-only layers, bottom first.
    pub(crate) lower: &'a [PathBuf],
    /// Receives changes.
    pub(crate) upper: &'a Path,
    /// Overlayfs' own, on the same file system as `upper`.
    pub(crate) work: &'a Path,
    /// Shown as the source in `/proc/PID/mountinfo`.
    pub(crate) source: &'a str,
    /// Device nodes in it work only when somebody else filters devices.
    pub(crate) no_devices: bool,
    /// Leave out syncing to disk: for changes that are made again after a
    /// crash of the machine.
    pub(crate) volatile: bool,
}

impl Overlay<'_> {
    /// Mounts it on an existing folder
    /// (Documentation/filesystems/overlayfs.rst).
    pub(crate) fn mount(&self, target: &Path) -> io::Result<()> {
        // Through descriptors the options stay short whatever the paths are,
        // and no character in a path can be taken for an option.
        let layers: Vec<OwnedFd> =
            self.lower.iter().rev().map(|layer| open(layer)).collect::<io::Result<_>>()?;
        let (upper, work) = (open(self.upper)?, open(self.work)?);
        let mut options = String::from("lowerdir=");
        for (at, layer) in layers.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            let _ = write!(options, "{colon}/proc/self/fd/{}", layer.as_raw_fd());
        }
        let _ = write!(
            options,
            ",upperdir=/proc/self/fd/{},workdir=/proc/self/fd/{}",
            upper.as_raw_fd(),
            work.as_raw_fd()
        );
        // Layers are packed from plain files and whiteouts only.
        options.push_str(",index=off,metacopy=off");
        options.push_str(match OverlayXattrs::of_process() {
            OverlayXattrs::Trusted => ",redirect_dir=off",
            // Since Linux 5.11; it does not go with any other redirection.
            OverlayXattrs::User => ",redirect_dir=nofollow,userxattr",
        });
        if options.len() > LONGEST_OPTIONS {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} layers are more than overlayfs takes", self.lower.len()),
            ));
        }
        let overlay = |options: &str| {
            let flags = if self.no_devices { MsFlags::MS_NODEV } else { MsFlags::empty() };
            mount(Some(self.source), target, Some("overlay"), flags, Some(options))
        };
        if self.volatile && overlay(&format!("{options},volatile")).is_ok() {
            return Ok(());
        }
        Ok(overlay(&options)?)
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .map_err(|e| io::Error::new(io::Error::from(e).kind(), format!("{}: {e}", path.display())))
}

/// The folders of an instance that its file system is made of.
#[derive(Debug, Clone)]
pub(crate) struct InstanceDirs {
    root: PathBuf,
}

impl InstanceDirs {
    /// The folders below `instances/ID`.
    pub(crate) fn new(instance: PathBuf) -> Self {
        Self { root: instance }
    }

    /// Where the merged file system appears, in the supervisor's namespace.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.root.join("rootfs")
    }

    /// What the instance changed; kept from one start to the next.
    pub(crate) fn upper(&self) -> PathBuf {
        self.root.join("upper")
    }

    /// The instance's folder.
    pub(crate) fn instance(&self) -> &Path {
        &self.root
    }

    /// Overlayfs' own.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// The bundle: `config.json`, the files for `/etc`, libcontainer's state.
    /// Made anew for each start.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.root.join("bundle")
    }

    /// Makes the folders and mounts the layers with `upper` on top. Device
    /// nodes do not work in it with `no_devices`; changes do not wait for the
    /// disk when they are `fleeting`.
    pub(crate) fn mount(
        &self,
        id: &InstanceId,
        layers: &[PathBuf],
        no_devices: bool,
        fleeting: bool,
    ) -> io::Result<()> {
        self.settle(true)?;
        for dir in [self.rootfs(), self.work(), self.bundle()] {
            make_private_dir(&dir).map_err(io::Error::other)?;
        }
        let upper = self.upper();
        if !upper.is_dir() {
            fs::create_dir(&upper)?;
            // The root of the merged tree takes its mode from here.
            copy_root_mode(layers, &upper)?;
        }
        // Overlayfs wants a lower layer; an image may have none.
        let empty = self.root.join("empty");
        let lower = if layers.is_empty() {
            make_private_dir(&empty).map_err(io::Error::other)?;
            std::slice::from_ref(&empty)
        } else {
            layers
        };
        let source = overlay_source(id);
        let (upper, work) = (self.upper(), self.work());
        let volatile = fleeting;
        Overlay { lower, upper: &upper, work: &work, source: &source, no_devices, volatile }
            .mount(&self.rootfs())
    }

    /// Takes away the mark of a mount whose changes did not wait for the disk;
    /// with it nothing can be mounted again. Changes that `stay` wait now
    /// (overlayfs.rst, "Volatile mount").
    fn settle(&self, stay: bool) -> io::Result<()> {
        let mark = self.work().join("work/incompat");
        if !mark.exists() {
            return Ok(());
        }
        if stay {
            rustix::fs::syncfs(fs::File::open(self.upper())?)?;
        }
        fs::remove_dir_all(mark)
    }

    /// Takes away what only a running instance needs. The mount goes first:
    /// whoever deletes the folders afterwards must not go through it. Changes
    /// that `stay` are on the disk then.
    pub(crate) fn clean_up(&self, stay: bool) -> io::Result<()> {
        while match umount2(&self.rootfs(), MntFlags::MNT_DETACH) {
            Ok(()) => true,
            // Not mounted, or not there.
            Err(Errno::EINVAL | Errno::ENOENT) => false,
            // An ordinary user's command stays in the machine's mount
            // namespace, where it could not have mounted anything.
            Err(Errno::EPERM) if !Standing::of_process().is_machine_root() => false,
            Err(e) => return Err(e.into()),
        } {}
        self.settle(stay)?;
        match fs::remove_dir_all(self.bundle()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }
}

fn copy_root_mode(layers: &[PathBuf], upper: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let Some(top) = layers.last() else {
        return fs::set_permissions(upper, fs::Permissions::from_mode(0o755));
    };
    let metadata = fs::metadata(top)?;
    chown(upper, Some(metadata.uid()), Some(metadata.gid()))?;
    fs::set_permissions(upper, fs::Permissions::from_mode(metadata.mode() & 0o7777))
}

/// The mount source by which every process of an instance can be recognised
/// in `/proc/PID/mountinfo`, whatever became of its parents.
pub(crate) fn overlay_source(id: &InstanceId) -> String {
    format!("tandem-{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_layers_are_refused_before_the_kernel_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let lower = vec![dir.path().to_owned(); 300];
        let overlay = Overlay {
            lower: &lower,
            upper: dir.path(),
            work: dir.path(),
            source: "test",
            no_devices: true,
            volatile: false,
        };
        let error = overlay.mount(dir.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
