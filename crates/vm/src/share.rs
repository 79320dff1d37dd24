//! Folders of the host in a machine: QEMU serves each (9P2000.L, virtio-9p).
//!
//! The guest may do with it what QEMU's user may, beneath the folder only: QEMU
//! follows no link. Owners, modes and devices that the guest gives to files are
//! kept beside them in extended attributes (`security_model=mapped-xattr`), so
//! that on the host nothing becomes anybody's program with privileges.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use tandem_backend::BackendError;
use tandem_model::{InstanceOptions, MountSource, MountSpec};

use crate::kernel::Flavour;

/// Each is a device of its own on the machine's bus.
const MOST: usize = 8;

/// A folder that a machine shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) path: PathBuf,
    pub(crate) read_only: bool,
}

/// The tag of a device.
pub(crate) fn share_tag(at: usize) -> String {
    format!("share{at}")
}

/// The folders among the mounts, in their order.
pub(crate) fn shares(options: &InstanceOptions) -> impl Iterator<Item = (&MountSpec, Share)> {
    options.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Bind { path } => {
            Some((mount, Share { path: path.clone(), read_only: mount.read_only }))
        }
        _ => None,
    })
}

/// The kernel of a `micro` machine that shows them.
pub(crate) fn flavour(options: &InstanceOptions) -> Flavour {
    if shares(options).next().is_some() { Flavour::Generic } else { Flavour::Cloud }
}

/// Refuses what cannot be, before anything is made.
pub(crate) fn check(options: &InstanceOptions) -> Result<(), BackendError> {
    for (at, (mount, share)) in shares(options).enumerate() {
        let refused =
            |why: &str| Err(BackendError::bad_mount(share.path.display(), &mount.target, why));
        if at == MOST {
            return refused("a virtual machine shows 8 folders of the host at most");
        }
        if !share.path.is_dir() {
            return refused("a virtual machine shows folders only; name the one that it is in");
        }
        if !share.read_only && !keeps_attributes(&share.path) {
            return refused(
                "its file system keeps no extended attributes, in which owners and modes go; use another one, or add :ro",
            );
        }
    }
    Ok(())
}

/// Whether owners can be written beside files there.
fn keeps_attributes(dir: &Path) -> bool {
    let mut value = [0_u8; 16];
    !matches!(
        rustix::fs::getxattr(dir, "user.virtfs.uid", &mut value),
        Err(Errno::OPNOTSUPP | Errno::NOSYS)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_shown_and_files_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let options = |text: String| InstanceOptions {
            mounts: vec![tandem_model::parse_volume(&text).unwrap()],
            ..Default::default()
        };
        let folder = options(format!("{}:/data:ro", dir.path().display()));
        check(&folder).unwrap();
        assert_eq!(flavour(&folder), Flavour::Generic);
        assert_eq!(flavour(&InstanceOptions::default()), Flavour::Cloud);
        let file = options(format!("{}:/data", file.display()));
        let said = check(&file).unwrap_err().to_string();
        assert!(said.contains("folders only"), "{said}");
        // Where owners cannot be written down nobody writes.
        let said = check(&options("/proc:/data".to_owned())).unwrap_err().to_string();
        assert!(said.contains("extended attributes") && said.contains(":ro"), "{said}");
        check(&options("/proc:/data:ro".to_owned())).unwrap();
        let many = InstanceOptions { mounts: vec![folder.mounts[0].clone(); 9], ..folder.clone() };
        assert!(check(&many).unwrap_err().to_string().contains("8 folders"));
        let (mount, share) = shares(&folder).next().unwrap();
        assert_eq!((mount.target.as_str(), share.read_only), ("/data", true));
    }
}
