use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use tandem_probe::CgroupLayout;
use tandem_rootless::Standing;

use super::delegated;

/// Where this machine keeps its control groups (cgroups(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One hierarchy for everything, version 2.
    Unified(PathBuf),
    /// A hierarchy for each controller, version 1.
    Split {
        /// Mount points by controller.
        controllers: BTreeMap<String, PathBuf>,
        /// Whether version 2 is mounted beside them, without controllers.
        hybrid: bool,
        /// Whether these are folders that were given to an ordinary user
        /// instead of the mount points.
        lent: bool,
    },
    /// None that this user may use.
    Nothing,
}

/// Where libcontainer looks for control groups.
pub(super) const ROOT: &str = "/sys/fs/cgroup";

/// Version 1 controllers that libcontainer puts a container into.
const SPLIT: [&str; 12] = [
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
];

impl Layout {
    /// What is mounted here, as libcontainer sees it; for an ordinary user
    /// what was delegated.
    pub(crate) fn detect() -> io::Result<Self> {
        let mounts = CgroupLayout::read();
        if !Standing::of_process().is_machine_root() {
            return Ok(delegated::detect(&mounts));
        }
        Self::from_mounts(mounts).ok_or_else(|| {
            let reason = "no control groups are mounted below /sys/fs/cgroup";
            io::Error::new(io::ErrorKind::NotFound, reason)
        })
    }

    pub(super) fn from_mounts(mounts: CgroupLayout) -> Option<Self> {
        let unified = mounts.v2;
        if unified.as_deref() == Some(Path::new(ROOT)) {
            return unified.map(Self::Unified);
        }
        let mut controllers = mounts.v1;
        controllers.retain(|name, mount| SPLIT.contains(&name.as_str()) && mount.starts_with(ROOT));
        let hybrid = unified.is_some();
        (!controllers.is_empty()).then_some(Self::Split { controllers, hybrid, lent: false })
    }

    /// The folders of one group, one for each hierarchy.
    pub(crate) fn folders(&self, group: &str) -> Vec<PathBuf> {
        match self {
            Self::Unified(root) => vec![root.join(group)],
            Self::Split { controllers, .. } => {
                let mut mounts: Vec<_> = controllers.values().collect();
                mounts.sort();
                mounts.dedup();
                mounts.into_iter().map(|mount| mount.join(group)).collect()
            }
            Self::Nothing => Vec::new(),
        }
    }

    /// The folder in which a controller acts on a group; `None` when this
    /// machine has not that controller.
    pub(crate) fn folder(&self, controller: &str, group: &str) -> Option<PathBuf> {
        match self {
            Self::Unified(root) => {
                let available = fs::read_to_string(root.join("cgroup.controllers")).ok()?;
                available
                    .split_whitespace()
                    .any(|name| name == controller)
                    .then(|| root.join(group))
            }
            Self::Split { controllers, .. } => Some(controllers.get(controller)?.join(group)),
            Self::Nothing => None,
        }
    }

    /// Whether groups are ours to make: libcontainer takes the mount points of
    /// version 1 for its own.
    pub(crate) fn is_ours_to_make(&self) -> bool {
        matches!(self, Self::Split { lent: true, .. } | Self::Nothing)
    }

    /// Where libcontainer makes a group, below the mount points.
    pub(crate) fn path_of(&self, group: &str) -> PathBuf {
        let above = match self {
            Self::Unified(root) => root.strip_prefix(ROOT).unwrap_or(Path::new("")),
            _ => Path::new(""),
        };
        Path::new("/").join(above).join(group)
    }

    /// Which setup it is, in words.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Unified(root) => {
                let names = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
                format!("version 2 with {}", names.trim().replace(' ', ", "))
            }
            Self::Split { controllers, hybrid, lent } => {
                let names = controllers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                let kind = if *hybrid { "hybrid: version 1" } else { "version 1" };
                let lent = if *lent { ", delegated to you" } else { "" };
                format!("{kind} with {names}{lent}")
            }
            Self::Nothing => delegated::describe(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(v2: Option<&str>, v1: &[(&str, &str)]) -> CgroupLayout {
        CgroupLayout {
            v2: v2.map(Into::into),
            v1: v1.iter().map(|(name, mount)| ((*name).into(), (*mount).into())).collect(),
            own: BTreeMap::new(),
        }
    }

    #[test]
    fn a_hybrid_setup_is_version_1_with_shared_mounts_once() {
        let v1 = [
            ("cpu", "/sys/fs/cgroup/cpu,cpuacct"),
            ("cpuacct", "/sys/fs/cgroup/cpu,cpuacct"),
            ("memory", "/sys/fs/cgroup/memory"),
            ("pids", "/mnt/elsewhere"),
            ("unheard", "/sys/fs/cgroup/unheard"),
        ];
        let mounts = mounts(Some("/sys/fs/cgroup/unified"), &v1);
        let layout = Layout::from_mounts(mounts).unwrap();
        assert_eq!(layout.describe(), "hybrid: version 1 with cpu, cpuacct, memory");
        assert_eq!(
            layout.folders("tandem-1"),
            [
                Path::new("/sys/fs/cgroup/cpu,cpuacct/tandem-1"),
                Path::new("/sys/fs/cgroup/memory/tandem-1")
            ]
        );
        assert_eq!(layout.folder("pids", "tandem-1"), None);
    }

    #[test]
    fn version_2_alone_is_unified() {
        let layout = Layout::from_mounts(mounts(Some(ROOT), &[]));
        assert_eq!(layout, Some(Layout::Unified(ROOT.into())));
        assert_eq!(Layout::from_mounts(mounts(None, &[])), None);
    }
}
