//! An empty qcow2 overlay (QEMU, `docs/interop/qcow2.rst`, version 3), written
//! directly: starting `qemu-img` takes longer than all the rest of a disk's
//! making.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::Path,
};

/// Bytes of a cluster: 2¹⁶, QEMU's default.
const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;

/// The longest name of a backing file.
const LONGEST_NAME: usize = 1023;

/// Length of the version 3 header without extensions.
const HEADER: u32 = 104;

/// Makes a disk of `size` bytes at `path`, 0600, that shows what is in
/// `base`, a raw disk with an absolute path.
pub(crate) fn make_overlay(path: &Path, base: &Path, size: u64) -> io::Result<()> {
    let bytes = overlay(base, size)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&bytes)
}

/// Cluster 0 is the header, 1 the table of reference counts, 2 its one block,
/// from 3 on the table of mapping tables, empty.
fn overlay(base: &Path, size: u64) -> io::Result<Vec<u8>> {
    let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidInput, reason.to_owned());
    let name = base.as_os_str().as_bytes();
    if !base.is_absolute() || name.len() > LONGEST_NAME {
        return Err(invalid("the path of the base disk is not absolute or too long"));
    }
    // One mapping table covers CLUSTER / 8 clusters.
    let tables = size.div_ceil(CLUSTER * (CLUSTER / 8)).max(1);
    let table_clusters = (tables * 8).div_ceil(CLUSTER);
    let clusters = 3 + table_clusters;
    // With reference counts of 16 bits one block counts CLUSTER / 2 clusters.
    if clusters > CLUSTER / 2 {
        return Err(invalid("the disk is too large"));
    }
    let number = |value: u64| {
        u32::try_from(value).map_err(|_| invalid("the disk is too large")).map(u32::to_be_bytes)
    };
    let extension = format_extension();
    let name_at = u64::from(HEADER) + extension.len() as u64;

    let mut header = Vec::new();
    header.extend(b"QFI\xfb");
    header.extend(3_u32.to_be_bytes());
    header.extend(name_at.to_be_bytes());
    header.extend(number(name.len() as u64)?);
    header.extend(CLUSTER_BITS.to_be_bytes());
    header.extend(size.to_be_bytes());
    header.extend(0_u32.to_be_bytes()); // no encryption
    header.extend(number(tables)?);
    header.extend((3 * CLUSTER).to_be_bytes()); // mapping
    header.extend(CLUSTER.to_be_bytes()); // reference counts
    header.extend(1_u32.to_be_bytes()); // clusters of their table
    header.extend([0; 12]); // no snapshots
    header.extend([0; 24]); // no feature bits
    header.extend(4_u32.to_be_bytes()); // 2⁴ bits for a reference count
    header.extend(HEADER.to_be_bytes());
    header.extend(extension);
    header.extend(name);

    let length = usize::try_from(clusters * CLUSTER).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    bytes[..header.len()].copy_from_slice(&header);
    let at = |cluster: u64| usize::try_from(cluster * CLUSTER).unwrap_or(usize::MAX);
    bytes[at(1)..at(1) + 8].copy_from_slice(&(2 * CLUSTER).to_be_bytes());
    for (_, count) in (0..clusters).zip(bytes[at(2)..].chunks_exact_mut(2)) {
        count.copy_from_slice(&1_u16.to_be_bytes());
    }
    Ok(bytes)
}

/// Says that the backing file is raw, so that nobody guesses from its bytes;
/// then the end of the extensions.
fn format_extension() -> Vec<u8> {
    let mut extension = Vec::from(0xe279_2aca_u32.to_be_bytes());
    extension.extend(3_u32.to_be_bytes());
    extension.extend(b"raw\0\0\0\0\0");
    extension.extend([0; 8]);
    extension
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_the_format_wants() {
        let bytes = overlay(Path::new("/base.ext4"), 10 << 30).unwrap();
        assert_eq!(bytes.len() as u64, 4 * CLUSTER);
        assert_eq!(&bytes[..8], b"QFI\xfb\0\0\0\x03");
        let name_at =
            usize::try_from(u64::from_be_bytes(bytes[8..16].try_into().unwrap())).unwrap();
        assert_eq!(&bytes[name_at..name_at + 10], b"/base.ext4");
        assert_eq!(bytes[36..40], 20_u32.to_be_bytes(), "one table for each 512 MiB");
        assert!(overlay(Path::new("json:{}"), 1 << 30).is_err());
        assert!(overlay(Path::new(&format!("/{}", "x".repeat(2000))), 1 << 30).is_err());
    }
}
