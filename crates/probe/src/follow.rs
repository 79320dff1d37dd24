//! Following what an instance uses, cheaply while its memory stays.
//!
//! Reading proportional set sizes makes the kernel walk all page tables, which
//! costs ten times what everything else in a sample does. While neither the
//! processes nor the number of their resident pages change, what was read last
//! still holds, and only the rest is read anew. Others who begin or cease to
//! share pages change a proportional set size too, so it is read again after
//! ten seconds at the latest.

use std::{fs, path::PathBuf};

use tandem_model::{MemoryUse, Sample};

use crate::{
    cgroup::{cgroup_processes, cgroup_usage, charged},
    clock::now,
    process::stat,
    sample::sample_tree,
    tree::{cpu_ns_of, tree},
};

/// How long a proportional set size may be used again, nanoseconds.
const HOLDS: u64 = 10_000_000_000;

/// An instance that is sampled again and again.
#[derive(Debug)]
pub struct Follower {
    root: u32,
    cgroups: Vec<PathBuf>,
    last: Option<(Sample, Signs)>,
    /// Seen at the last glance.
    signs: Option<Signs>,
}

/// What tells that a proportional set size has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signs {
    members: Vec<u32>,
    /// Resident pages of all of them.
    resident: u64,
}

impl Follower {
    /// Follows the process `root` with its descendants, and whatever else is
    /// in `cgroups`.
    pub fn new(root: u32, cgroups: &[PathBuf]) -> Self {
        Self { root, cgroups: cgroups.to_owned(), last: None, signs: None }
    }

    /// A sample by way of what was read before; `None` when that does not hold
    /// any more, or nothing was read.
    pub fn glance(&mut self) -> Option<Sample> {
        let at = now();
        self.signs = self.look();
        let (signs, (last, before)) = (self.signs.as_ref()?, self.last.as_ref()?);
        if signs != before || at.since(last.at) > HOLDS {
            return None;
        }
        let (charge, cpu_ns) = charged(&self.cgroups);
        let cpu_ns = cpu_ns.unwrap_or_else(|| cpu_ns_of(&signs.members));
        let memory = if charge == last.memory.cgroup { last.memory } else { self.memory(last) };
        Some(Sample { at, cpu_ns, memory, ..*last })
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

    fn look(&self) -> Option<Signs> {
        stat(self.root)?;
        let mut members = cgroup_processes(&self.cgroups);
        if members.is_empty() {
            members = tree(self.root);
        }
        let resident = members.iter().map(|pid| resident_pages(*pid)).sum::<Option<u64>>()?;
        Some(Signs { members, resident })
    }

    /// What the cgroup was charged now, with the proportional set size as it
    /// was.
    fn memory(&self, last: &Sample) -> MemoryUse {
        let Some(usage) = cgroup_usage(&self.cgroups) else { return last.memory };
        MemoryUse {
            pss: last.memory.pss,
            cgroup: usage.memory,
            anonymous: usage.anonymous,
            file: usage.file,
            kernel: usage.kernel,
        }
    }
}

/// The second number of `/proc/PID/statm` (proc_pid_statm(5)).
fn resident_pages(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
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
}
