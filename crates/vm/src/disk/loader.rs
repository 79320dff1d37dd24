//! A disk that boots by itself: GRUB before one partition.
//!
//! ```text
//! sector 0      boot.img with the partition table (BIOS loads it)
//! sector 1 …    core.img, which knows the file system and finds its menu
//! 1 MiB …       the partition, ext4
//! ```

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
};

/// Where the partition begins, in bytes: the place that partition tools use.
pub(super) const PARTITION: u64 = 1 << 20;

const SECTOR: usize = 512;

/// The program's part of the first sector; then comes the partition table.
const PROGRAM: usize = 440;

const TABLE: usize = 446;

/// Type of a partition with a Linux file system.
const LINUX: u8 = 0x83;

/// Writes the loader and the partition table in front of the file system of
/// `size` bytes. `files` is the folder with GRUB's images.
pub(super) fn write(disk: &Path, files: &Path, size: u64) -> io::Result<()> {
    let boot = fs::read(files.join("boot.img"))?;
    let core = fs::read(files.join("core.img"))?;
    let head = head(&boot, &core, size).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "the system's boot loader is none")
    })?;
    OpenOptions::new().write(true).open(disk)?.write_all_at(&head, 0)
}

/// The sectors before the partition; `None` when they are not what they must
/// be.
fn head(boot: &[u8], core: &[u8], size: u64) -> Option<Vec<u8>> {
    let room = usize::try_from(PARTITION).ok()? - SECTOR;
    if boot.len() != SECTOR || core.is_empty() || core.len() > room {
        return None;
    }
    let mut head = vec![0; SECTOR];
    head[..PROGRAM].copy_from_slice(&boot[..PROGRAM]);
    let sectors = |bytes: u64| u32::try_from(bytes / SECTOR as u64).ok();
    let mut entry = [0; 16];
    // Bootable; addresses by cylinder are for disks that are smaller.
    entry[..8].copy_from_slice(&[0x80, 0xfe, 0xff, 0xff, LINUX, 0xfe, 0xff, 0xff]);
    entry[8..12].copy_from_slice(&sectors(PARTITION)?.to_le_bytes());
    entry[12..].copy_from_slice(&sectors(size)?.to_le_bytes());
    head[TABLE..TABLE + 16].copy_from_slice(&entry);
    head[SECTOR - 2..].copy_from_slice(&[0x55, 0xaa]);
    head.extend_from_slice(core);
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_one_partition_and_nothing_runs_into_it() {
        let (boot, core) = (vec![1; SECTOR], vec![2; 70_000]);
        let head = head(&boot, &core, 8 << 30).unwrap();
        assert_eq!((head[439], head[440], head[512]), (1, 0, 2));
        assert_eq!(&head[510..512], &[0x55, 0xaa]);
        assert_eq!(head[450], LINUX);
        assert_eq!(head[454..458], 2048_u32.to_le_bytes());
        assert_eq!(head[458..462], (16_u32 << 20).to_le_bytes());
        assert!(super::head(&boot, &vec![2; 1 << 20], 1).is_none(), "it would not fit");
        assert!(super::head(&boot[1..], &core, 1).is_none());
        assert!(super::head(&boot, &[], 1).is_none(), "nothing would find the system");
        assert!(super::head(&boot, &core, 4 << 40).is_none(), "too large for such a table");
    }
}
