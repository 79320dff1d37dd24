//! A part of a processor: QEMU in a control group with a quota.
//!
//! A machine has whole processors. `--cpus 1.5` gives it two, and a control
//! group lets QEMU use one and a half of the host's.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tandem_backend::BackendError;
use tandem_model::{InstanceId, Resources};
use tandem_probe::CgroupLayout;

/// The kernel's usual period (Linux, `Documentation/admin-guide/cgroup-v2.rst`,
/// `cpu.max`), microseconds.
const PERIOD: u32 = 100_000;

/// A control group for one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quota {
    parent: PathBuf,
    folder: PathBuf,
    is_v2: bool,
    /// Microseconds of processor time in each period.
    per_period: u32,
}

impl Quota {
    /// The group that these limits need; `None` when whole processors do.
    pub(crate) fn of(resources: &Resources, id: &InstanceId) -> Result<Option<Self>, BackendError> {
        let Some(milli_cpus) = resources.milli_cpus.filter(|milli| milli % 1000 != 0) else {
            return Ok(None);
        };
        Self::in_layout(&CgroupLayout::read(), milli_cpus, id)
            .map(Some)
            .ok_or_else(|| unavailable("this machine has no control group for processor time"))
    }

    fn in_layout(layout: &CgroupLayout, milli_cpus: u32, id: &InstanceId) -> Option<Self> {
        let v1 = layout.v1.get("cpu");
        let parent = v1.or(layout.v2.as_ref())?.clone();
        Some(Self {
            folder: parent.join(format!("tandem-vm-{id}")),
            parent,
            is_v2: v1.is_none(),
            per_period: milli_cpus.saturating_mul(PERIOD / 1000),
        })
    }

    /// The group's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the group and puts a process into it with all its threads.
    pub(crate) fn apply(&self, pid: u32) -> Result<(), BackendError> {
        self.try_apply(pid)
            .map_err(|e| unavailable(&format!("its control group cannot be made ({e})")))
    }

    fn try_apply(&self, pid: u32) -> io::Result<()> {
        let write = |name: &str, text: String| fs::write(self.folder.join(name), text);
        if self.is_v2 {
            // On already, or refused: then the next write says so.
            let _ = fs::write(self.parent.join("cgroup.subtree_control"), "+cpu");
        }
        match fs::create_dir(&self.folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        if self.is_v2 {
            write("cpu.max", format!("{} {PERIOD}", self.per_period))?;
        } else {
            write("cpu.cfs_period_us", PERIOD.to_string())?;
            write("cpu.cfs_quota_us", self.per_period.to_string())?;
        }
        write("cgroup.procs", pid.to_string())
    }
}

fn unavailable(why: &str) -> BackendError {
    BackendError::Unavailable {
        what: "a part of a processor".to_owned(),
        why: why.to_owned(),
        fix: "give the virtual machine a whole number with --cpus, or run as root".to_owned(),
    }
}

/// Removes a group whose processes are gone; `false` when it was not there.
pub(crate) async fn remove(folder: &Path) -> io::Result<bool> {
    // The kernel needs a moment after the last process's end.
    for _ in 0..200 {
        match fs::remove_dir(folder) {
            Ok(()) => return Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {}
            Err(e) => return Err(e),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> InstanceId {
        InstanceId::from_bytes([1; 6])
    }

    #[test]
    fn only_parts_of_a_processor_need_a_group() {
        for whole in [None, Some(1000), Some(4000)] {
            let resources = Resources { milli_cpus: whole, ..Resources::default() };
            assert_eq!(Quota::of(&resources, &id()).unwrap(), None);
        }
    }

    #[tokio::test]
    async fn the_group_is_written_as_each_version_wants() {
        let dir = tempfile::tempdir().unwrap();
        let point = dir.path().to_owned();
        let v1 =
            CgroupLayout { v1: [("cpu".to_owned(), point.clone())].into(), ..Default::default() };
        let v2 = CgroupLayout { v2: Some(point), ..Default::default() };
        for (layout, file, text) in
            [(v1, "cpu.cfs_quota_us", "150000"), (v2, "cpu.max", "150000 100000")]
        {
            let quota = Quota::in_layout(&layout, 1500, &id()).unwrap();
            quota.apply(7).unwrap();
            assert_eq!(fs::read_to_string(quota.folder().join(file)).unwrap(), text);
            assert_eq!(fs::read_to_string(quota.folder().join("cgroup.procs")).unwrap(), "7");
            fs::remove_dir_all(quota.folder()).unwrap();
            assert!(!remove(quota.folder()).await.unwrap());
        }
        assert_eq!(Quota::in_layout(&CgroupLayout::default(), 1500, &id()), None);
    }
}
