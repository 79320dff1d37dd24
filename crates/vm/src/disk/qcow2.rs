//! An empty qcow2 overlay (QEMU, `docs/interop/qcow2.rst`, version 3), written
//! directly: starting `qemu-img` takes longer than all the rest of a disk's
//! making.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, OpenOptionsExt as _},
    },
    path::Path,
};

/// Bytes of a cluster: 2¹⁶, QEMU's default.
const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;

/// The longest name of a backing file.
const LONGEST_NAME: usize = 1023;

/// Length of the version 3 header without extensions.
const HEADER: u32 = 104;

/// What an overlay shows until it is written to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Backing<'a> {
    /// Zeros.
    Nothing,
    /// A raw disk at an absolute path.
    Raw(&'a Path),
    /// A qcow2 file in the same folder.
    Beside(&'a str),
}

impl Backing<'_> {
    fn name(&self) -> Option<&[u8]> {
        match self {
            Self::Nothing => Some(&[]),
            Self::Raw(path) if path.is_absolute() => Some(path.as_os_str().as_bytes()),
            Self::Raw(_) => None,
            // A colon or a slash would make something else of it.
            Self::Beside(name) => {
                Some(name.as_bytes()).filter(|name| !name.contains(&b':') && !name.contains(&b'/'))
            }
        }
    }

    fn format(&self) -> &'static [u8] {
        match self {
            Self::Nothing => b"",
            Self::Raw(_) => b"raw",
            Self::Beside(_) => b"qcow2",
        }
    }
}

/// Makes a disk of `size` bytes at `path`, 0600, that shows what is in
/// `backing`.
pub(crate) fn make_overlay(path: &Path, backing: Backing<'_>, size: u64) -> io::Result<()> {
    let bytes = overlay(backing, size)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&bytes)
}

/// Makes an empty disk of `size` bytes in an empty file.
pub(super) fn write_empty(mut file: &File, size: u64) -> io::Result<()> {
    file.write_all(&overlay(Backing::Nothing, size)?)
}

/// Bytes of a qcow2 disk as a guest sees it.
pub(crate) fn virtual_size(path: &Path) -> io::Result<u64> {
    virtual_size_of(File::open(path)?)
}

/// [`virtual_size`] of a disk that is read from its beginning.
pub(super) fn virtual_size_of(mut disk: impl io::Read) -> io::Result<u64> {
    let mut head = [0; 32];
    disk.read_exact(&mut head)?;
    if head[..4] != *b"QFI\xfb" {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a qcow2 disk"));
    }
    let size = head.last_chunk().map(|size| u64::from_be_bytes(*size));
    Ok(size.unwrap_or_default())
}

/// The first sector of a qcow2 disk that has nothing beneath it and nothing
/// compressed: one that was just made.
pub(super) fn first_sector(disk: &File) -> io::Result<[u8; 512]> {
    let long = |at: u64| {
        let mut bytes = [0; 8];
        disk.read_exact_at(&mut bytes, at)?;
        io::Result::Ok(u64::from_be_bytes(bytes))
    };
    let mut sector = [0; 512];
    let mut at = long(40)?;
    // From the table of tables to a table, and to the data.
    for _ in 0..2 {
        at = long(at)? & PLACE;
        if at == 0 {
            return Ok(sector);
        }
    }
    disk.read_exact_at(&mut sector, at)?;
    Ok(sector)
}

/// The bits of an entry that say where something lies.
const PLACE: u64 = 0x00ff_ffff_ffff_fe00;

/// Cluster 0 is the header, 1 the table of reference counts, 2 its one block,
/// from 3 on the table of mapping tables, empty.
pub(super) fn overlay(backing: Backing<'_>, size: u64) -> io::Result<Vec<u8>> {
    let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidInput, reason.to_owned());
    let name = backing
        .name()
        .filter(|name| name.len() <= LONGEST_NAME)
        .ok_or_else(|| invalid("the path of the disk beneath is not absolute or too long"))?;
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
    let (extension, name_at) = match backing {
        Backing::Nothing => (vec![0; 8], 0),
        _ => {
            let extension = format_extension(backing.format());
            let name_at = u64::from(HEADER) + extension.len() as u64;
            (extension, name_at)
        }
    };

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

/// Says the backing file's format, so that nobody guesses from its bytes; then
/// the end of the extensions.
fn format_extension(format: &[u8]) -> Vec<u8> {
    let mut extension = Vec::from(0xe279_2aca_u32.to_be_bytes());
    extension.extend(u32::try_from(format.len()).unwrap_or_default().to_be_bytes());
    extension.extend(format);
    extension.resize(extension.len().next_multiple_of(8), 0);
    extension.extend([0; 8]);
    extension
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_the_format_wants() {
        let bytes = overlay(Backing::Raw(Path::new("/base.ext4")), 10 << 30).unwrap();
        assert_eq!(bytes.len() as u64, 4 * CLUSTER);
        assert_eq!(&bytes[..8], b"QFI\xfb\0\0\0\x03");
        let name_at =
            usize::try_from(u64::from_be_bytes(bytes[8..16].try_into().unwrap())).unwrap();
        assert_eq!(&bytes[name_at..name_at + 10], b"/base.ext4");
        assert_eq!(bytes[36..40], 20_u32.to_be_bytes(), "one table for each 512 MiB");
        let alone = overlay(Backing::Nothing, 1 << 30).unwrap();
        assert!(alone[8..20].iter().all(|byte| *byte == 0) && alone[104..112] == [0; 8]);
        assert!(overlay(Backing::Raw(Path::new("json:{}")), 1 << 30).is_err());
        assert!(overlay(Backing::Beside("json:{}"), 1 << 30).is_err());
        assert!(overlay(Backing::Beside("../disk.qcow2"), 1 << 30).is_err());
        assert!(overlay(Backing::Nothing, 1 << 60).is_err(), "more than one block counts");
        assert_eq!(virtual_size_of(&alone[..]).unwrap(), 1 << 30);
        assert!(virtual_size_of(&[b"QFI\0", &alone[4..]].concat()[..]).is_err());
        let long = format!("/{}", "x".repeat(2000));
        assert!(overlay(Backing::Raw(Path::new(&long)), 1 << 30).is_err());
    }
}
