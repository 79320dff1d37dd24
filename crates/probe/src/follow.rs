//! Following what an instance uses, cheaply while its memory stays.
//!
//! Reading proportional set sizes makes the kernel walk all page tables, which
//! costs ten times what everything else in a sample does. While neither the
//! processes nor the number of their resident pages change, what was read last
//! still holds, and only the rest is read anew. Others who begin or cease to
//! share pages change a proportional set size too, so it is read again after
//! ten seconds at the latest.
//!
//! What is read each time are a few files that stay open. Who belongs to the
//! instance is listed again when its number of tasks changes or one of its
//! processes is gone, and each second: a thread that ends while a process
//! begins leaves the number as it was.

use std::path::{Path, PathBuf};

use tandem_model::{HostInstant, MemoryUse, Sample};

use crate::{
    cgroup::{Group, cgroup_processes},
    clock::now,
    kernel_file::KernelFile,
    process::stat,
    sample::sample_tree,
    tree::{cpu_ns_of, family},
};

/// How long a proportional set size may be used again, nanoseconds.
const HOLDS: u64 = 10_000_000_000;

/// How long a list of processes may be, nanoseconds.
const LISTED: u64 = 1_000_000_000;

/// Processes whose files stay open, so that a bomb of processes takes no more
/// descriptors than there are.
const OPEN: usize = 32;

/// An instance that is sampled again and again.
#[derive(Debug)]
pub struct Follower {
    root: u32,
    cgroups: Vec<PathBuf>,
    group: Group,
    members: Members,
    last: Option<(Sample, Signs)>,
    /// Seen at the last glance.
    signs: Option<Signs>,
}

/// What tells that a proportional set size has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Signs {
    /// Grows with each change of the processes.
    generation: u64,
    /// Resident pages of all of them.
    resident: u64,
}

/// The processes of an instance as they were listed.
#[derive(Debug, Default)]
struct Members {
    pids: Vec<u32>,
    /// `/proc/PID/statm` of the first of them.
    open: Vec<KernelFile>,
    generation: u64,
    /// When, and at which number of tasks.
    listed: Option<(HostInstant, Option<u64>)>,
    room: Vec<u8>,
}

impl Follower {
    /// Follows the process `root` with its descendants, and whatever else is
    /// in `cgroups`.
    pub fn new(root: u32, cgroups: &[PathBuf]) -> Self {
        Self {
            root,
            cgroups: cgroups.to_owned(),
            group: Group::open(cgroups),
            members: Members::default(),
            last: None,
            signs: None,
        }
    }

    /// A sample by way of what was read before; `None` when that does not hold
    /// any more, or nothing was read.
    pub fn glance(&mut self) -> Option<Sample> {
        let at = now();
        self.signs = self.look(at);
        let (signs, (last, before)) = (self.signs?, self.last?);
        if signs != before || at.since(last.at) > HOLDS {
            return None;
        }
        let charge = self.group.memory();
        let cpu_ns = self.group.cpu_ns().unwrap_or_else(|| cpu_ns_of(&self.members.pids));
        let memory = if charge == last.memory.cgroup { last.memory } else { self.memory(&last) };
        Some(Sample { at, cpu_ns, memory, ..last })
    }

    /// Keeps a whole sample that was read after the last glance, for those to
    /// come. What changes in between shows at the next one.
    pub fn keep(&mut self, sample: &Sample) {
        self.last = self.signs.take().map(|signs| (*sample, signs));
    }

    /// A glance, or a whole sample of the process tree; `None` when it is
    /// gone.
    pub fn sample(&mut self) -> Option<Sample> {
        if let Some(sample) = self.glance() {
            return Some(sample);
        }
        let sample = sample_tree(self.root, &self.cgroups)?;
        self.keep(&sample);
        Some(sample)
    }

    fn look(&mut self, at: HostInstant) -> Option<Signs> {
        let tasks = self.group.tasks();
        if !self.members.hold(at, tasks) {
            self.list(at, tasks)?;
        }
        let resident = self.members.resident().or_else(|| {
            // One has ended, and the rest is listed without it.
            self.list(at, tasks)?;
            self.members.resident()
        })?;
        Some(Signs { generation: self.members.generation, resident })
    }

    /// Lists the processes anew; `None` when the first of them is gone.
    fn list(&mut self, at: HostInstant, tasks: Option<u64>) -> Option<()> {
        self.members.listed = None;
        stat(self.root)?;
        let mut pids = cgroup_processes(&self.cgroups);
        if pids.is_empty() {
            pids = family(self.root, &[]).into_iter().collect();
        }
        self.members.take(pids);
        self.members.listed = Some((at, tasks));
        Some(())
    }

    /// What the cgroup was charged now, with the proportional set size as it
    /// was.
    fn memory(&mut self, last: &Sample) -> MemoryUse {
        let Some(usage) = self.group.usage() else { return last.memory };
        MemoryUse {
            pss: last.memory.pss,
            cgroup: usage.memory,
            anonymous: usage.anonymous,
            file: usage.file,
            kernel: usage.kernel,
        }
    }
}

impl Members {
    /// Whether the list still holds. Without a count of tasks nothing tells
    /// that it does.
    fn hold(&self, at: HostInstant, tasks: Option<u64>) -> bool {
        self.listed.is_some_and(|(when, then)| {
            tasks.is_some() && tasks == then && at.since(when) <= LISTED
        })
    }

    /// Takes a new list over. Files of processes that live stay open.
    fn take(&mut self, pids: Vec<u32>) {
        let whole = self.open.len() == pids.len().min(OPEN);
        if pids == self.pids && whole && self.resident().is_some() {
            return;
        }
        let statm = |pid: &u32| KernelFile::open(Path::new(&format!("/proc/{pid}/statm")));
        self.open = pids.iter().take(OPEN).map_while(statm).collect();
        self.pids = pids;
        self.generation += 1;
    }

    /// Resident pages of all; `None` when one is gone.
    fn resident(&mut self) -> Option<u64> {
        let mut sum = 0_u64;
        for file in &self.open {
            sum = sum.saturating_add(second(file.read(&mut self.room)?)?);
        }
        for pid in self.pids.get(self.open.len()..)? {
            let file = KernelFile::open(Path::new(&format!("/proc/{pid}/statm")))?;
            sum = sum.saturating_add(second(file.read(&mut self.room)?)?);
        }
        Some(sum)
    }
}

/// The second number of `/proc/PID/statm` (proc_pid_statm(5)).
fn second(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_anew_when_it_changes_and_only_then() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200));
        let mut asleep = Follower::new(child.id(), &[]);
        assert_eq!(asleep.glance(), None);
        let first = asleep.sample().unwrap();
        let second = asleep.glance().unwrap();
        assert!(second.at > first.at && second.memory == first.memory);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((asleep.glance(), asleep.sample()), (None, None));

        let mut own = Follower::new(std::process::id(), &[]);
        let before = own.sample().unwrap();
        let grown = vec![7_u8; 64 << 20];
        let after = own.sample().unwrap();
        std::hint::black_box(&grown);
        assert!(after.memory.pss >= before.memory.pss + (40 << 20), "{before:?} {after:?}");
    }

    /// A process asleep, to be ended.
    struct Asleep(std::process::Child);

    impl Asleep {
        fn new() -> Self {
            Self(std::process::Command::new("sleep").arg("60").spawn().unwrap())
        }
    }

    impl Drop for Asleep {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// A cgroup of version 2 with these processes.
    fn write(folder: &Path, sleepers: &[Asleep], memory: u64) {
        let pids: Vec<_> = sleepers.iter().map(|it| it.0.id().to_string()).collect();
        let pids = pids.join("\n");
        for (name, text) in [
            ("cgroup.procs", pids),
            ("pids.current", sleepers.len().to_string()),
            ("memory.current", memory.to_string()),
            ("memory.stat", format!("anon {memory}\nfile 0\n")),
            ("cpu.stat", "usage_usec 5\n".to_owned()),
        ] {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }

    #[test]
    fn a_glance_has_the_groups_numbers_of_this_moment() {
        let dir = tempfile::tempdir().unwrap();
        let mut sleepers = vec![Asleep::new()];
        std::thread::sleep(std::time::Duration::from_millis(200));
        write(dir.path(), &sleepers, 4096);
        let mut own = Follower::new(sleepers[0].0.id(), &[dir.path().to_owned()]);
        let first = own.sample().unwrap();
        assert_eq!((first.memory.cgroup, first.cpu_ns, first.processes), (Some(4096), 5000, 1));
        write(dir.path(), &sleepers, 8192);
        let second = own.glance().unwrap();
        assert_eq!((second.memory.cgroup, second.memory.anonymous), (Some(8192), Some(8192)));
        assert_eq!(second.memory.pss, first.memory.pss);
        // One more begins, and ends.
        sleepers.push(Asleep::new());
        write(dir.path(), &sleepers, 8192);
        assert_eq!(own.glance(), None);
        assert_eq!(own.sample().unwrap().processes, 2);
        drop(sleepers.pop());
        assert_eq!(own.glance(), None, "the list is old, and one of it is gone");
        write(dir.path(), &sleepers, 8192);
        assert_eq!(own.sample().unwrap().processes, 1);
    }

    #[test]
    fn a_thread_that_ends_while_a_process_begins_is_seen_within_a_second() {
        let dir = tempfile::tempdir().unwrap();
        let mut sleepers = vec![Asleep::new()];
        write(dir.path(), &sleepers, 4096);
        let mut own = Follower::new(sleepers[0].0.id(), &[dir.path().to_owned()]);
        own.sample().unwrap();
        sleepers.push(Asleep::new());
        write(dir.path(), &sleepers, 4096);
        std::fs::write(dir.path().join("pids.current"), "1").unwrap();
        own.members.listed =
            own.members.listed.map(|(at, tasks)| (HostInstant(at.0 - LISTED), tasks));
        assert_eq!(own.sample().unwrap().processes, 2);
    }

    #[test]
    fn many_processes_take_few_descriptors() {
        let dir = tempfile::tempdir().unwrap();
        let sleepers: Vec<_> = (0..OPEN + 3).map(|_| Asleep::new()).collect();
        write(dir.path(), &sleepers, 4096);
        let mut own = Follower::new(sleepers[0].0.id(), &[dir.path().to_owned()]);
        assert_eq!(own.sample().unwrap().processes as usize, OPEN + 3);
        assert_eq!(own.members.open.len(), OPEN);
        let resident = own.members.resident().unwrap();
        assert!(resident >= OPEN as u64 + 3, "{resident} pages");
    }
}
