use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::group::Group;

/// What a cgroup was charged. A part that the kernel or the controllers at
/// hand do not count is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CgroupUsage {
    /// Processor time since the cgroup was made, nanoseconds.
    pub cpu_ns: Option<u64>,
    /// All memory charged, bytes: anonymous, page cache and kernel.
    pub memory: Option<u64>,
    /// Anonymous memory, bytes.
    pub anonymous: Option<u64>,
    /// Page cache, shared memory among it, bytes.
    pub file: Option<u64>,
    /// Memory of the kernel itself: stacks, page tables, slab; bytes.
    pub kernel: Option<u64>,
    /// Page cache that nobody used lately, which the kernel gives up first,
    /// bytes.
    pub inactive_file: Option<u64>,
    /// Tasks, that is threads, now.
    pub pids: Option<u32>,
}

/// Reads the use of an instance from its cgroup folders: one for version 2,
/// one for each controller for version 1; on hybrid machines both kinds may
/// stand in the list, and the controller's own file goes first. `None` when
/// nothing can be read, e.g. because the cgroup is gone.
pub fn cgroup_usage(folders: &[PathBuf]) -> Option<CgroupUsage> {
    Group::open(folders).usage()
}

/// The processes in an instance's cgroup and in the cgroups below it. Empty
/// when it is gone.
pub fn cgroup_processes(folders: &[PathBuf]) -> Vec<u32> {
    // Every controller holds the same processes.
    let mut found = Vec::new();
    let mut pending: Vec<PathBuf> = folders.first().cloned().into_iter().collect();
    while let Some(folder) = pending.pop() {
        let Ok(text) = fs::read_to_string(folder.join("cgroup.procs")) else { continue };
        found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
        pending.extend(folders_in(&folder));
    }
    found.sort_unstable();
    found.dedup();
    // A process of a namespace that we cannot see is listed as 0.
    found.retain(|pid| *pid != 0);
    found
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    // A folder has two links and one more for each in it.
    if fs::metadata(folder).is_ok_and(|it| it.nlink() == 2) {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let is_dir = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.flatten().filter(is_dir).map(|entry| entry.path()).collect()
}

/// Kernels before 5.18 list the parts of `kernel` only.
pub(super) fn kernel_parts(stat: &impl Fn(&str) -> Option<u64>) -> Option<u64> {
    ["kernel_stack", "pagetables", "percpu", "slab", "sock"]
        .into_iter()
        .filter_map(stat)
        .reduce(u64::saturating_add)
}

/// A file that holds one number.
pub(super) fn single(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// A file of `key value` lines (cgroup-v2.rst, "flat keyed").
pub(super) fn keyed(text: &str, key: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(name, _)| *name == key).and_then(|(_, value)| single(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folder(root: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = root.join(name);
        fs::create_dir(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn version_2_is_one_folder() {
        let dir = tempfile::tempdir().unwrap();
        let stat = "anon 4096\nfile 8192\nkernel 1024\nkernel_stack 512\ninactive_file 2048\n";
        let files = [
            ("cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n"),
            ("memory.current", "16384\n"),
            ("memory.stat", stat),
            ("pids.current", "3\n"),
        ];
        let usage = cgroup_usage(&[folder(dir.path(), "v2", &files)]);
        let expected = CgroupUsage {
            cpu_ns: Some(1_500_000),
            memory: Some(16384),
            anonymous: Some(4096),
            file: Some(8192),
            kernel: Some(1024),
            inactive_file: Some(2048),
            pids: Some(3),
        };
        assert_eq!(usage, Some(expected));
    }

    #[test]
    fn version_1_has_a_folder_for_each_controller() {
        let dir = tempfile::tempdir().unwrap();
        let stat = "cache 1\nrss 2\ntotal_cache 8192\ntotal_rss 4096\n";
        let folders = [
            // On a hybrid machine version 2 counts time, of nobody.
            folder(dir.path(), "unified", &[("cpu.stat", "usage_usec 0\n")]),
            folder(dir.path(), "cpu", &[("cpu.stat", "nr_periods 0\n")]),
            folder(dir.path(), "cpuacct", &[("cpuacct.usage", "777\n")]),
            folder(
                dir.path(),
                "memory",
                &[
                    ("memory.usage_in_bytes", "16384\n"),
                    ("memory.kmem.usage_in_bytes", "1024\n"),
                    ("memory.stat", stat),
                ],
            ),
        ];
        let usage = cgroup_usage(&folders).unwrap();
        assert_eq!((usage.cpu_ns, usage.memory), (Some(777), Some(16384)));
        assert_eq!((usage.anonymous, usage.file), (Some(4096), Some(8192)));
        assert_eq!((usage.kernel, usage.pids), (Some(1024), None));
    }

    #[test]
    fn old_kernels_list_the_parts_of_kernel_memory() {
        let dir = tempfile::tempdir().unwrap();
        let files = [("memory.stat", "anon 1\nkernel_stack 10\nslab 20\n")];
        let usage = cgroup_usage(&[folder(dir.path(), "v2", &files)]).unwrap();
        assert_eq!(usage.kernel, Some(30));
        assert_eq!(cgroup_usage(&[dir.path().join("gone")]), None);
        assert_eq!(cgroup_usage(&[]), None);
    }

    #[test]
    fn processes_of_cgroups_below_belong_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let top = folder(dir.path(), "top", &[("cgroup.procs", "0\n5\n")]);
        folder(&top, "below", &[("cgroup.procs", "9\n5\n")]);
        assert_eq!(cgroup_processes(&[top]), [5, 9]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_fatal(text in "([a-z_]{0,8} ?[0-9-]{0,22}\n?)*|\\PC*", key in "[a-z]{0,4}") {
            let _ = single(&text);
            let _ = keyed(&text, &key);
        }
    }
}
