use std::{fs, path::PathBuf};

/// Bytes that an instance moved between memory and its disks since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoUse {
    /// Read from disks.
    pub read: u64,
    /// Written to disks.
    pub written: u64,
}

/// What an instance read and wrote: from its cgroup when that counts, for it
/// forgets nobody, otherwise from the processes that live
/// (proc_pid_io(5)). `None` when neither can be read.
pub fn io_of(cgroups: &[PathBuf], pids: &[u32]) -> Option<IoUse> {
    let read = |name: &str| cgroups.iter().find_map(|dir| fs::read_to_string(dir.join(name)).ok());
    read("io.stat")
        .as_deref()
        .and_then(version_2)
        .or_else(|| version_1(&read("blkio.throttle.io_service_bytes_recursive")?))
        .or_else(|| version_1(&read("blkio.throttle.io_service_bytes")?))
        .or_else(|| of_processes(pids))
}

fn of_processes(pids: &[u32]) -> Option<IoUse> {
    let texts = pids.iter().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/io")).ok());
    texts.filter_map(|text| process(&text)).reduce(|a, b| IoUse {
        read: a.read.saturating_add(b.read),
        written: a.written.saturating_add(b.written),
    })
}

fn process(text: &str) -> Option<IoUse> {
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse::<u64>().ok()
    };
    Some(IoUse { read: field("read_bytes:")?, written: field("write_bytes:")? })
}

/// `MAJOR:MINOR rbytes=N wbytes=N …` for each disk (cgroup-v2.rst, "io.stat").
/// The file is empty until something was moved.
fn version_2(text: &str) -> Option<IoUse> {
    let sum = |key: &str| {
        let words = text.lines().flat_map(|line| line.split_ascii_whitespace().skip(1));
        let values = words.filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok());
        values.fold(0, u64::saturating_add)
    };
    text.lines()
        .all(|line| line.contains(':'))
        .then(|| IoUse { read: sum("rbytes="), written: sum("wbytes=") })
}

/// `MAJOR:MINOR Read N` for each disk and kind (blkio-controller.rst); the
/// last line is a total.
fn version_1(text: &str) -> Option<IoUse> {
    let sum = |kind: &str| {
        let rows = text.lines().filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let disk = words.next()?.contains(':');
            (disk && words.next() == Some(kind)).then(|| words.next()?.parse::<u64>().ok())?
        });
        rows.fold(0, u64::saturating_add)
    };
    text.contains("Total").then(|| IoUse { read: sum("Read"), written: sum("Write") })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_source_is_read() {
        let v2 = "8:0 rbytes=10 wbytes=20 rios=1 wios=1\n8:16 rbytes=1 wbytes=2 rios=0 wios=0\n";
        assert_eq!(version_2(v2), Some(IoUse { read: 11, written: 22 }));
        assert_eq!(version_2(""), Some(IoUse::default()));
        let v1 = "8:0 Read 10\n8:0 Write 20\n8:0 Sync 5\n8:16 Read 1\n8:0 Total 30\nTotal 31\n";
        assert_eq!(version_1(v1), Some(IoUse { read: 11, written: 20 }));
        assert_eq!(version_1(""), None);
        let own = "rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 4\n";
        assert_eq!(process(own), Some(IoUse { read: 3, written: 4 }));
        assert!(io_of(&[], &[std::process::id()]).is_some());
        assert_eq!(io_of(&[], &[]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_fatal(text in "([0-9:]{0,6} (Read|rbytes=)?[ 0-9]{0,22}\n)*|\\PC*") {
            let _ = (version_1(&text), version_2(&text), process(&text));
        }
    }
}
