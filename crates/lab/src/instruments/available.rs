use std::{collections::BTreeSet, fs, time::Duration};

use tandem_backend::Backend;
use tandem_model::InstanceRecord;
use tandem_probe::{cgroup_processes, memory_of, tree};

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
    /// Memory of all processes but some, pages of files apart.
    pub(crate) others: u64,
}

/// How often it is read, and how long apart.
const READINGS: u32 = 4;
const APART: Duration = Duration::from_millis(50);

impl MachineMemory {
    /// Reads it; the processes of these instances, their supervisors and what
    /// their engine keeps for them are nobody else's.
    ///
    /// It is read a few times, and the fullest counts. Pages of a process that
    /// is ending belong to nobody any more and are free only a moment later:
    /// where a compiler ends, 250 MB were nowhere for a tenth of a second.
    pub(crate) async fn read(backend: &dyn Backend, ours: &[InstanceRecord]) -> Option<Self> {
        let mut readings = Vec::new();
        for nth in 0..READINGS {
            if nth > 0 {
                tokio::time::sleep(APART).await;
            }
            readings.extend(Self::once(backend, ours));
        }
        Self::fullest(readings)
    }

    /// Of some readings, each with what is our own, that in which the least is on
    /// its way.
    fn fullest(readings: impl IntoIterator<Item = (Self, u64)>) -> Option<Self> {
        let whole = |(it, own): &(Self, u64)| it.available + it.others + own;
        readings.into_iter().max_by_key(whole).map(|(it, _)| it)
    }

    fn once(backend: &dyn Backend, ours: &[InstanceRecord]) -> Option<(Self, u64)> {
        let kept = ours.iter().flat_map(|record| backend.keepers(record));
        let ours: BTreeSet<u32> = ours.iter().flat_map(processes_of).chain(kept).collect();
        // Close together, for others go on meanwhile.
        let own = memory_of_these(&ours);
        let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
        let put_by = fs::read_to_string("/proc/zoneinfo").map_or(0, |text| put_by(&text));
        let found = Self {
            available: kibibytes(&meminfo, "MemAvailable:")? + put_by * PAGE,
            others: memory_of_all(&meminfo)?.saturating_sub(own),
        };
        Some((found, own))
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

/// Private memory, shared memory and page tables of everybody (`AnonPages`,
/// `Shmem`, `PageTables`, proc_meminfo(5)). The kernel's own sums, and not one of
/// all processes: they are of the same moment as what is available, and a process
/// that is just ending, which no list has any more, holds its pages still. Shared
/// memory is more than some think: `runc` runs from a copy of itself there.
fn memory_of_all(meminfo: &str) -> Option<u64> {
    let field = |name| kibibytes(meminfo, name);
    Some(field("AnonPages:")? + field("PageTables:")? + field("Shmem:")?)
}

/// The same of these processes (`RssAnon`, `VmPTE`, proc_pid_status(5), and what
/// a ledger has of shared memory).
fn memory_of_these(pids: &BTreeSet<u32>) -> u64 {
    let of = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        // The kernel's own threads have none.
        Some(kibibytes(&status, "RssAnon:")? + kibibytes(&status, "VmPTE:").unwrap_or(0))
    };
    let shared = memory_of(&pids.iter().copied().collect::<Vec<_>>()).shmem;
    shared + pids.iter().filter_map(of).sum::<u64>()
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
    fn memory_on_its_way_from_one_to_another_is_waited_for() {
        let of = |available, others, own| (MachineMemory { available, others }, own);
        // A compiler of 250 ends: nobody's, then free. Ours grows meanwhile.
        let readings = [of(1000, 400, 40), of(1000, 150, 41), of(1100, 150, 42), of(1246, 150, 42)];
        assert_eq!(MachineMemory::fullest(readings), Some(readings[0].0));
        assert_eq!(MachineMemory::fullest(readings[1..].to_vec()), Some(readings[3].0));
        assert_eq!(MachineMemory::fullest([]), None);
    }

    #[test]
    fn ones_own_memory_is_counted_among_everybodys() {
        let own = BTreeSet::from([std::process::id()]);
        let before = memory_of_these(&own);
        let grown = vec![7_u8; 256 << 20];
        let after = memory_of_these(&own);
        let all = memory_of_all(&fs::read_to_string("/proc/meminfo").unwrap()).unwrap();
        std::hint::black_box(&grown);
        assert!(after >= before + (250 << 20), "{before} {after}");
        assert!(all >= after, "{after} of {all}");
        let text = "AnonPages:  3 kB\nPageTables:  1 kB\nShmem:  4 kB\n";
        assert_eq!(memory_of_all(text), Some(8192));
        assert_eq!(memory_of_all("AnonPages:  3 kB\n"), None);
    }
}
