//! What must be left of a machine.

use std::{fs, path::Path};

use nix::sys::statvfs::statvfs;

use crate::Problem;

/// Bytes that a file system must keep free beside what a job writes.
const DISK_LEFT: u64 = 256 << 20;

/// Memory that programs can have without swapping, as this kernel tells;
/// `None` where there is no /proc.
pub(crate) fn available_memory() -> Option<u64> {
    available_in(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn available_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Refuses to write `bytes` where the file system would then be nearly full.
pub(crate) fn disk_has_room(folder: &Path, bytes: u64) -> Result<(), Problem> {
    let found = statvfs(folder)
        .map_err(|e| Problem::Failed(format!("cannot look at {}: {e}", folder.display())))?;
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    if free < bytes.saturating_add(DISK_LEFT) {
        return Err(Problem::Refused(format!(
            "{} has {} MiB free, too little to write {} MiB and leave {} MiB: make room",
            folder.display(),
            free >> 20,
            bytes >> 20,
            DISK_LEFT >> 20
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read_and_a_full_disk_is_not_filled() {
        assert_eq!(available_in("MemTotal: 9 kB\nMemAvailable:    12 kB\n"), Some(12 << 10));
        assert_eq!(available_in("MemTotal: 9 kB\n"), None);
        assert!(disk_has_room(Path::new("/"), 0).is_ok());
        assert!(matches!(disk_has_room(Path::new("/"), u64::MAX), Err(Problem::Refused(_))));
    }
}
