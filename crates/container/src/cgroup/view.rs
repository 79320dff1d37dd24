use std::{io, path::PathBuf};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};
use tandem_probe::CgroupLayout;

use super::layout::ROOT;

/// A view of `/sys/fs/cgroup` in which libcontainer finds nothing to write to:
/// the version 2 hierarchy alone, in whose groups an ordinary user may do
/// nothing. There libcontainer leaves its child where it is; of version 1 it
/// would insist on groups. In the caller's mount namespace, until dropped.
#[derive(Debug)]
pub(crate) struct View {
    mounted: bool,
}

impl View {
    /// Mounts it where version 2 is not what is seen anyway.
    pub(crate) fn open() -> io::Result<Self> {
        let unified = CgroupLayout::read().v2;
        if unified.as_deref() == Some(ROOT.as_ref()) {
            return Ok(Self { mounted: false });
        }
        let none: Option<&str> = None;
        match unified {
            Some(unified) => mount(Some::<&PathBuf>(&unified), ROOT, none, MsFlags::MS_BIND, none)?,
            None => {
                // Only in a namespace of control groups of the own.
                unshare(CloneFlags::CLONE_NEWCGROUP)?;
                mount(Some("cgroup2"), ROOT, Some("cgroup2"), MsFlags::empty(), none)?;
            }
        }
        Ok(Self { mounted: true })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if self.mounted {
            let _ = umount2(ROOT, MntFlags::MNT_DETACH);
        }
    }
}
