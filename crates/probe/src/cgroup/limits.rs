use std::{fs, path::PathBuf};

/// The limits that the kernel enforces on a cgroup; `None` where there is
/// none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CgroupLimits {
    /// Memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Processors, in thousandths.
    pub milli_cpus: Option<u32>,
    /// Tasks.
    pub pids: Option<u32>,
}

/// Reads the limits of an instance back from its cgroup folders, as they are
/// listed for [`crate::cgroup_usage`].
pub fn cgroup_limits(folders: &[PathBuf]) -> CgroupLimits {
    let read =
        |name: &str| folders.iter().find_map(|folder| fs::read_to_string(folder.join(name)).ok());
    let number = |name: &str| read(name).and_then(|text| text.trim().parse::<i64>().ok());
    let quota = read("cpu.max")
        .as_deref()
        .and_then(cpu_max)
        .or_else(|| quotient(number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?));
    CgroupLimits {
        memory_bytes: number("memory.max")
            .or_else(|| number("memory.limit_in_bytes"))
            .and_then(real),
        milli_cpus: quota,
        pids: number("pids.max").and_then(|pids| u32::try_from(pids).ok()),
    }
}

/// Version 1 writes "no limit" as the largest multiple of the page size that
/// fits a signed number.
fn real(bytes: i64) -> Option<u64> {
    u64::try_from(bytes).ok().filter(|bytes| *bytes < 1 << 62)
}

/// `QUOTA PERIOD` in microseconds, the quota `max` when there is none
/// (cgroup-v2.rst, "cpu.max").
fn cpu_max(text: &str) -> Option<u32> {
    let (quota, period) = text.trim().split_once(' ')?;
    quotient(quota.parse().ok()?, period.parse().ok()?)
}

fn quotient(quota: i64, period: i64) -> Option<u32> {
    let (quota, period) = (u64::try_from(quota).ok()?, u64::try_from(period).ok()?);
    u32::try_from(quota.checked_mul(1000)?.checked_div(period)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(files: &[(&str, &str)]) -> CgroupLimits {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        cgroup_limits(&[dir.path().to_owned()])
    }

    #[test]
    fn limits_are_read_back_in_both_versions() {
        let expected =
            CgroupLimits { memory_bytes: Some(1 << 28), milli_cpus: Some(1500), pids: Some(64) };
        let v2 =
            [("memory.max", "268435456\n"), ("cpu.max", "150000 100000\n"), ("pids.max", "64\n")];
        assert_eq!(limits(&v2), expected);
        let v1 = [
            ("memory.limit_in_bytes", "268435456\n"),
            ("cpu.cfs_quota_us", "150000\n"),
            ("cpu.cfs_period_us", "100000\n"),
            ("pids.max", "64\n"),
        ];
        assert_eq!(limits(&v1), expected);
    }

    #[test]
    fn no_limit_is_none() {
        let v2 = [("memory.max", "max\n"), ("cpu.max", "max 100000\n"), ("pids.max", "max\n")];
        assert_eq!(limits(&v2), CgroupLimits::default());
        let v1 = [
            ("memory.limit_in_bytes", "9223372036854771712\n"),
            ("cpu.cfs_quota_us", "-1\n"),
            ("cpu.cfs_period_us", "100000\n"),
        ];
        assert_eq!(limits(&v1), CgroupLimits::default());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_fatal(text in "(max|-?[0-9]{0,22}) ?[0-9]{0,22}\n?|\\PC*") {
            let _ = cpu_max(&text);
        }
    }
}
