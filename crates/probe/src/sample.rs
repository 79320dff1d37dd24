use std::path::PathBuf;

use tandem_model::{MemoryUse, Sample};

use crate::{
    cgroup::cgroup_usage,
    clock::now,
    memory::breakdown,
    tree::{cpu_ns_of, family},
};

/// What an instance uses now: the process `root` with its descendants, and
/// whatever else is in `cgroups` or, without any, in a pid namespace of its own.
/// Processor time comes from the cgroup when it
/// has a count, for that forgets nobody; otherwise from the process tree.
/// `None` when the instance is gone or cannot be read.
pub fn sample_tree(root: u32, cgroups: &[PathBuf]) -> Option<Sample> {
    let usage = cgroup_usage(cgroups);
    let members: Vec<u32> = family(root, cgroups).into_iter().collect();
    let pss = breakdown(&members)?.pss;
    let cpu_ns = usage.and_then(|usage| usage.cpu_ns).unwrap_or_else(|| cpu_ns_of(&members));
    Some(Sample {
        at: now(),
        cpu_ns,
        memory: MemoryUse {
            pss,
            cgroup: usage.and_then(|usage| usage.memory),
            anonymous: usage.and_then(|usage| usage.anonymous),
            file: usage.and_then(|usage| usage.file),
            kernel: usage.and_then(|usage| usage.kernel),
        },
        processes: u32::try_from(members.len()).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_a_cgroup_is_sampled_by_its_tree() {
        let sample = sample_tree(std::process::id(), &[]).unwrap();
        assert!(sample.memory.pss > 0 && sample.processes >= 1);
        assert_eq!(sample.memory.cgroup, None);
        // Beyond the largest process id there can be.
        assert_eq!(sample_tree(1 << 23, &[]), None);
    }
}
