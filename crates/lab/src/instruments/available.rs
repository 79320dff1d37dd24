use std::{collections::BTreeSet, fs};

use tandem_backend::Backend;
use tandem_model::InstanceRecord;
use tandem_probe::{cgroup_processes, tree};

/// Bytes that can be used without taking them from anybody (`MemAvailable`,
/// proc_meminfo(5)).
pub fn available_memory() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// A field of these files, in bytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The machine's memory in one moment, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MachineMemory {
    /// What can be used: [`available_memory`], and free pages that processors
    /// have put by, which that leaves out. Where much is taken and given back
    /// they are tens of megabytes, now more and now less.
    pub(crate) available: u64,
    /// Private memory of all processes but some, with their page tables.
    pub(crate) others: u64,
}

impl MachineMemory {
    /// Reads it; the processes of these instances, their supervisors and what
    /// their engine keeps for them are nobody else's.
    pub(crate) fn read(backend: &dyn Backend, ours: &[InstanceRecord]) -> Option<Self> {
        let kept = ours.iter().flat_map(|record| backend.keepers(record));
        let ours: BTreeSet<u32> = ours.iter().flat_map(processes_of).chain(kept).collect();
        // Close together, for others go on meanwhile.
        let own = private_memory_of(&ours);
        let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
        let put_by = fs::read_to_string("/proc/zoneinfo").map_or(0, |text| put_by(&text));
        Some(Self {
            available: kibibytes(&meminfo, "MemAvailable:")? + put_by * PAGE,
            others: private_memory(&meminfo)?.saturating_sub(own),
        })
    }
}

fn processes_of(record: &InstanceRecord) -> Vec<u32> {
    let runtime = &record.runtime;
    let mut found = cgroup_processes(&runtime.cgroups);
    for process in [runtime.process, runtime.supervisor].into_iter().flatten() {
        found.extend(tree(process.pid));
    }
    found
}

/// Bytes of a page on the one architecture that there is.
const PAGE: u64 = 4096;

/// Pages in the processors' own lists (`/proc/zoneinfo`, `count:` of each
/// pageset).
fn put_by(zones: &str) -> u64 {
    let counts = zones.lines().filter_map(|line| line.trim_start().strip_prefix("count:"));
    counts.filter_map(|number| number.trim().parse::<u64>().ok()).sum()
}

/// Private memory and page tables of everybody (`AnonPages`, `PageTables`,
/// proc_meminfo(5)). The kernel's own sums, and not one of all processes: they
/// are of the same moment as what is available, and a process that is just
/// ending, which no list has any more, holds its pages still. On a busy machine
/// that is megabytes.
fn private_memory(meminfo: &str) -> Option<u64> {
    Some(kibibytes(meminfo, "AnonPages:")? + kibibytes(meminfo, "PageTables:")?)
}

/// The same (`RssAnon`, `VmPTE`, proc_pid_status(5)) of these processes.
fn private_memory_of(pids: &BTreeSet<u32>) -> u64 {
    let of = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        // The kernel's own threads have none.
        Some(kibibytes(&status, "RssAnon:")? + kibibytes(&status, "VmPTE:").unwrap_or(0))
    };
    pids.iter().filter_map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_estimate_is_read() {
        let text = "MemTotal: 9 kB\nMemAvailable:    2 kB\n";
        assert_eq!(kibibytes(text, "MemAvailable:"), Some(2048));
        assert_eq!(kibibytes("MemTotal: 9 kB\n", "MemAvailable:"), None);
        let zones = "Node 0, zone DMA\n  pagesets\n    cpu: 0\n              count:    7\n              high: 9\n    cpu: 1\n              count: 4\n";
        assert_eq!(put_by(zones), 11);
    }

    #[test]
    fn ones_own_memory_is_counted_among_everybodys() {
        let own = BTreeSet::from([std::process::id()]);
        let before = private_memory_of(&own);
        let grown = vec![7_u8; 256 << 20];
        let after = private_memory_of(&own);
        let all = private_memory(&fs::read_to_string("/proc/meminfo").unwrap()).unwrap();
        std::hint::black_box(&grown);
        assert!(after >= before + (250 << 20), "{before} {after}");
        assert!(all >= after, "{after} of {all}");
        let text = "AnonPages:  3 kB\nPageTables:  1 kB\n";
        assert_eq!(private_memory(text), Some(4096));
        assert_eq!(private_memory("AnonPages:  3 kB\n"), None);
    }
}
