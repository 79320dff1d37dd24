use std::fs;

/// Memory of some processes by kind, in bytes: each page counted by its
/// share, so that sums over processes are true (proportional set size,
/// `Documentation/filesystems/proc.rst`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryBreakdown {
    /// All of it.
    pub pss: u64,
    /// Heap, stacks, private copies; a virtual machine's memory.
    pub anonymous: u64,
    /// Pages of mapped files.
    pub file: u64,
    /// Shared memory.
    pub shmem: u64,
}

/// Sums the memory of processes. A process that is gone or may not be read
/// adds nothing; `memory_of(&[])` is all zero.
pub fn memory_of(pids: &[u32]) -> MemoryBreakdown {
    breakdown(pids).unwrap_or_default()
}

/// The proportional set size of processes, in bytes; `None` when not one of
/// them could be read.
pub fn pss_of(pids: &[u32]) -> Option<u64> {
    breakdown(pids).map(|sum| sum.pss)
}

pub(crate) fn breakdown(pids: &[u32]) -> Option<MemoryBreakdown> {
    pids.iter()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok())
        .filter_map(|text| parse(&text))
        .reduce(|a, b| MemoryBreakdown {
            pss: a.pss.saturating_add(b.pss),
            anonymous: a.anonymous.saturating_add(b.anonymous),
            file: a.file.saturating_add(b.file),
            shmem: a.shmem.saturating_add(b.shmem),
        })
}

/// Reads `/proc/PID/smaps_rollup`. Kernels before 5.9 split nothing: then only
/// `pss` is set.
fn parse(text: &str) -> Option<MemoryBreakdown> {
    let field = |name: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
        let number: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
        number.checked_mul(1024)
    };
    Some(MemoryBreakdown {
        pss: field("Pss:")?,
        anonymous: field("Pss_Anon:").unwrap_or_default(),
        file: field("Pss_File:").unwrap_or_default(),
        shmem: field("Pss_Shmem:").unwrap_or_default(),
    })
}

/// The private memory that a process has of its mapping with exactly this many
/// bytes, in bytes; `None` when it has no such mapping or may not be read. A
/// virtual machine's memory is one.
pub fn anonymous_of_mapping(pid: u32, size: u64) -> Option<u64> {
    mapping(&fs::read_to_string(format!("/proc/{pid}/smaps")).ok()?, size)
}

/// Finds it in `/proc/PID/smaps`: a line that begins with the range of
/// addresses, and lines of fields.
fn mapping(text: &str, size: u64) -> Option<u64> {
    let length = |line: &str| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let address = |digits| u64::from_str_radix(digits, 16).ok();
        address(end)?.checked_sub(address(start)?)
    };
    let mut lines = text.lines();
    lines.find(|line| length(line) == Some(size))?;
    let mut fields = lines.take_while(|line| length(line).is_none());
    let number = fields.find_map(|line| line.strip_prefix("Anonymous:"))?;
    let kibibytes: u64 = number.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_rollup_is_read() {
        let text = "55c7-7ffc ---p 00000000 00:00 0    [rollup]\nRss:     1640 kB\n\
                    Pss:      241 kB\nPss_Dirty: 9 kB\nPss_Anon:  116 kB\nPss_File:  120 kB\n\
                    Pss_Shmem:   5 kB\n";
        let kib = |number: u64| number * 1024;
        let expected =
            MemoryBreakdown { pss: kib(241), anonymous: kib(116), file: kib(120), shmem: kib(5) };
        assert_eq!(parse(text), Some(expected));
        assert_eq!(parse("Rss: 4 kB\n"), None);
    }

    #[test]
    fn the_kinds_add_up_to_the_whole() {
        let page = 4096;
        let grown = vec![7_u8; 8 << 20];
        let mine = memory_of(&[std::process::id()]);
        std::hint::black_box(&grown);
        assert!(mine.anonymous >= 8 << 20, "{mine:?}");
        let parts = mine.anonymous + mine.file + mine.shmem;
        assert!(parts.abs_diff(mine.pss) <= 4 * page, "{mine:?}");
        assert_eq!(pss_of(&[]), None);
    }

    #[test]
    fn a_mapping_is_found_by_its_size() {
        let text = "7f00-7f10 r-xp 00000000 00:00 0 /bin/x\nSize: 4 kB\nAnonymous: 1 kB\n\
                    7f20-8f20 rw-p 00000000 00:00 0 \nSize: 4 kB\nRss: 9 kB\nAnonymous:  3 kB\n\
                    9f00-9f30 rw-p 0 00:00 0\nAnonymous: 7 kB\n";
        assert_eq!(mapping(text, 0x1000), Some(3 << 10));
        assert_eq!(mapping(text, 0x30), Some(7 << 10));
        assert_eq!(mapping(text, 0x31), None);
        // One without the field is not given its neighbour's.
        assert_eq!(mapping("1-3 r\nRss: 1 kB\n4-9 r\nAnonymous: 1 kB\n", 2), None);
        assert!(anonymous_of_mapping(std::process::id(), 1).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_fatal(text in "(Pss(_Anon)?: *[0-9]{0,22} ?(kB)?\n)*|\\PC*") {
            let _ = (parse(&text), mapping(&text, 4096));
        }
    }
}
