use std::{fs, path::PathBuf};

use super::usage::keyed;

/// How often and how long a cgroup was held back because it had used up its
/// processor time (cgroup-v2.rst, "cpu.stat"; sched-bwc.rst), since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Throttling {
    /// Periods in which something of it wanted to run.
    pub periods: u64,
    /// Periods in which it was held back.
    pub throttled: u64,
    /// How long it was, summed over processors, nanoseconds.
    pub time_ns: u64,
}

impl Throttling {
    /// What has come to it since an earlier reading.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            periods: self.periods.saturating_sub(earlier.periods),
            throttled: self.throttled.saturating_sub(earlier.throttled),
            time_ns: self.time_ns.saturating_sub(earlier.time_ns),
        }
    }
}

/// Reads it from an instance's cgroup folders, as they are listed for
/// [`crate::cgroup_usage`]. `None` where nothing limits processor time.
pub fn cgroup_throttling(folders: &[PathBuf]) -> Option<Throttling> {
    // On a hybrid machine version 2 has the file too, without these lines.
    folders.iter().find_map(|folder| {
        let text = fs::read_to_string(folder.join("cpu.stat")).ok()?;
        throttling(&text)
    })
}

fn throttling(stat: &str) -> Option<Throttling> {
    // Nanoseconds in version 1, microseconds in version 2.
    let time_ns = keyed(stat, "throttled_time")
        .or_else(|| keyed(stat, "throttled_usec").map(|it| it.saturating_mul(1000)))?;
    Some(Throttling {
        periods: keyed(stat, "nr_periods")?,
        throttled: keyed(stat, "nr_throttled")?,
        time_ns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_tell_it_in_units_of_their_own() {
        let expected = Throttling { periods: 12, throttled: 9, time_ns: 450_000 };
        let v1 = "nr_periods 12\nnr_throttled 9\nthrottled_time 450000\n";
        assert_eq!(throttling(v1), Some(expected));
        let v2 = "usage_usec 7\nnr_periods 12\nnr_throttled 9\nthrottled_usec 450\n";
        assert_eq!(throttling(v2), Some(expected));
        let before = Throttling { periods: 2, throttled: 1, time_ns: 50_000 };
        let found = expected.since(before);
        assert_eq!((found.periods, found.throttled, found.time_ns), (10, 8, 400_000));
    }

    #[test]
    fn on_a_hybrid_machine_the_controller_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let folder = |name: &str, text: &str| {
            let folder = dir.path().join(name);
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("cpu.stat"), text).unwrap();
            folder
        };
        let folders = [
            folder("unified", "usage_usec 0\nuser_usec 0\n"),
            folder("cpu", "nr_periods 3\nnr_throttled 2\nthrottled_time 5\n"),
        ];
        assert_eq!(cgroup_throttling(&folders).unwrap().throttled, 2);
        assert_eq!(cgroup_throttling(&folders[..1]), None);
        assert_eq!(cgroup_throttling(&[]), None);
    }
}
