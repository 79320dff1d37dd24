//! The header of a qcow2 disk (QEMU, `docs/interop/qcow2.rst`).

use super::{MOST, big};

/// Bytes of a version 2 header.
const SHORT: usize = 72;

/// Bytes of a version 3 header at least.
const LONG: usize = 104;

/// The largest table of mapping tables, bytes; QEMU's own limit.
const MOST_TABLE: u64 = 32 << 20;

/// The largest table of reference counts, bytes; QEMU's own limit.
const MOST_COUNTS: u64 = 8 << 20;

/// Incompatible features that only say how a plain disk is laid out: not
/// closed, another compression, subclusters.
const PLAIN: u64 = 1 | 1 << 3 | 1 << 4;

/// Some structure was found damaged.
const CORRUPT: u64 = 1 << 1;

/// The data are in another file.
const EXTERNAL: u64 = 1 << 2;

/// Subclusters: entries of mapping tables are twice as long.
const EXTENDED: u64 = 1 << 4;

/// Extensions that name something outside (`docs/interop/qcow2.rst`, "Header
/// extensions").
const DATA_FILE: u32 = 0x4441_5441;
const ENCRYPTION: u32 = 0x0537_be77;

/// Bytes of the disk as a guest sees it, when its header is that of a plain
/// disk in a file of `length` bytes. An error is the end of a sentence about
/// the file.
pub(super) fn size(head: &[u8], length: u64) -> Result<u64, String> {
    let word = |at| big(head, at).map(u32::from_be_bytes);
    let long = |at| big(head, at).map(u64::from_be_bytes);
    let cut = || "is cut off".to_owned();
    let said = |text: &str| Err(text.to_owned());
    let version = word(4).ok_or_else(cut)?;
    let long_header = match version {
        2 => false,
        3 => true,
        other => return Err(format!("is a qcow2 disk of version {other}, which is not known")),
    };
    let (features, header) =
        if long_header { (long(72).ok_or_else(cut)?, word(100).ok_or_else(cut)?) } else { (0, 72) };
    let header = usize::try_from(header).unwrap_or(usize::MAX);
    if head.len() < SHORT || long_header && !(LONG..=head.len()).contains(&header) {
        return said("is cut off, or its header has an absurd length");
    }
    if long(8) != Some(0) || word(16) != Some(0) {
        return said(
            "lies on another disk (it has a backing file); put both together first with `qemu-img convert -O qcow2`",
        );
    }
    if word(32) != Some(0) {
        return said("is encrypted; decrypt it first with `qemu-img convert`");
    }
    if features & EXTERNAL != 0 {
        return said(
            "keeps its data in another file; put both together first with `qemu-img convert -O qcow2`",
        );
    }
    if features & CORRUPT != 0 {
        return said("is marked as damaged; mend it first with `qemu-img check -r all`");
    }
    if features & !PLAIN != 0 {
        return said("has features that are not known here");
    }
    if word(60) != Some(0) {
        return said(
            "has snapshots of its own; make a plain one first with `qemu-img convert -O qcow2`",
        );
    }
    layout(head, length, features)
        .ok_or("has an absurd layout: it is damaged, or made to do harm")?;
    extensions(head, header)?;
    let bytes = long(24).ok_or_else(cut)?;
    if bytes == 0 || bytes > MOST {
        return Err(format!("claims {bytes} bytes, and a disk here has 1 to {MOST}"));
    }
    Ok(bytes)
}

/// Everything that the header leads to lies in the file and is as large as the
/// disk needs.
fn layout(head: &[u8], length: u64, features: u64) -> Option<()> {
    let word = |at| big(head, at).map(u32::from_be_bytes);
    let long = |at| big(head, at).map(u64::from_be_bytes);
    let bits = word(20)?;
    let order = if word(4)? == 3 { word(96)? } else { 4 };
    let least = if features & EXTENDED == 0 { 9 } else { 14 };
    if !(least..=21).contains(&bits) || order > 6 {
        return None;
    }
    let cluster = 1_u64 << bits;
    let entry = if features & EXTENDED == 0 { 8 } else { 16 };
    let inside = |begin: u64, bytes: u64, most: u64| {
        let end = begin.checked_add(bytes)?;
        let fits =
            begin.is_multiple_of(cluster) && begin >= cluster && bytes <= most && end <= length;
        fits.then_some(())
    };
    let tables = u64::from(word(36)?);
    let needed = long(24)?.div_ceil(cluster * (cluster / entry));
    if tables < needed {
        return None;
    }
    inside(long(40)?, tables * 8, MOST_TABLE)?;
    inside(long(48)?, u64::from(word(56)?).checked_mul(cluster)?, MOST_COUNTS)
}

/// Walks the extensions behind the header.
fn extensions(head: &[u8], mut at: usize) -> Result<(), String> {
    let word = |at| big(head, at).map(u32::from_be_bytes);
    loop {
        let (kind, bytes) = match (word(at), word(at.saturating_add(4))) {
            (Some(0), _) => return Ok(()),
            (Some(kind), Some(bytes)) => (kind, bytes),
            _ => return Err("has a header without an end".to_owned()),
        };
        match kind {
            DATA_FILE => return Err("names another file for its data".to_owned()),
            ENCRYPTION => return Err("is encrypted".to_owned()),
            _ => {}
        }
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        at = at
            .saturating_add(8)
            .saturating_add(bytes.checked_next_multiple_of(8).unwrap_or(usize::MAX));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::disk::qcow2::{Backing, overlay};

    /// A disk of ours without its backing file.
    fn plain(bytes: u64) -> Vec<u8> {
        let mut disk = overlay(Backing::Raw(Path::new("/b")), bytes).unwrap();
        disk[8..20].fill(0);
        disk
    }

    #[test]
    fn only_a_plain_disk_has_a_size() {
        let disk = plain(5 << 30);
        let length = disk.len() as u64;
        assert_eq!(size(&disk, length), Ok(5 << 30));
        let whole = overlay(Backing::Raw(Path::new("/etc/shadow")), 1 << 30).unwrap();
        assert!(size(&whole, length).unwrap_err().contains("another disk"));
        let with = |at: usize, bytes: &[u8]| {
            let mut bad = disk.clone();
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            size(&bad, length).unwrap_err()
        };
        assert!(with(7, &[9]).contains("version 9"));
        assert!(with(35, &[1]).contains("encrypted"));
        assert!(with(79, &[4]).contains("another file"));
        assert!(with(79, &[2]).contains("damaged"));
        assert!(with(79, &[32]).contains("not known"));
        assert!(with(63, &[1]).contains("snapshots"));
        assert!(with(104, b"DATA").contains("for its data"));
        assert!(with(23, &[40]).contains("absurd"), "a cluster of 2⁴⁰ bytes");
        assert!(with(24, &[0xff]).contains("absurd"), "more than its tables can map");
        assert!(with(40, &[0xff]).contains("absurd"), "a table behind the end");
        assert!(with(56, &[0xff]).contains("absurd"), "reference counts without end");
        assert!(with(100, &[0xff]).contains("absurd"));
        assert!(with(24, &[0; 8]).contains("1 to"));
        assert!(size(&disk[..50], length).is_err());
        assert!(with(99, &[7]).contains("absurd"), "reference counts of 128 bits");
        // What a disk of 2⁴³ bytes needs is all there.
        let large = plain(8 << 40);
        assert!(size(&large, large.len() as u64).unwrap_err().contains("1 to"));
    }

    #[test]
    fn older_and_newer_layouts_are_measured_by_their_own_rules() {
        let disk = plain(1 << 30);
        let length = disk.len() as u64;
        // Version 2 ends before the size of reference counts, which is fixed.
        let mut old = disk.clone();
        old[7] = 2;
        old[72..104].fill(0);
        old[99] = 7;
        assert_eq!(size(&old, length), Ok(1 << 30));
        assert!(size(&old[..SHORT - 1], length).unwrap_err().contains("cut off"));
        // With subclusters a table maps half as much, from clusters of 2¹⁴ on.
        let mut parts = disk;
        parts[79] = 1 << 4;
        assert!(size(&parts, length).unwrap_err().contains("absurd"), "two tables for 2³⁰ bytes");
        parts[39] = 4;
        assert_eq!(size(&parts, length), Ok(1 << 30));
        // Without them clusters may be smaller.
        parts[23] = 12;
        parts[36..40].copy_from_slice(&1024_u32.to_be_bytes());
        assert!(size(&parts, length).unwrap_err().contains("absurd"));
        parts[79] = 0;
        assert_eq!(size(&parts, length), Ok(1 << 30));
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_small_enough(
            changes in proptest::collection::vec((0_usize..200, any::<u8>()), 0..6),
        ) {
            let mut disk = plain(1 << 30);
            let length = disk.len() as u64;
            for (at, byte) in changes {
                disk[at] = byte;
            }
            if let Ok(bytes) = size(&disk, length) {
                prop_assert!((1..=MOST).contains(&bytes));
                prop_assert_eq!(&disk[8..20], &[0; 12][..]);
            }
        }

        #[test]
        fn garbage_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let disk = [b"QFI\xfb".to_vec(), bytes].concat();
            prop_assert!(size(&disk, 1 << 20).is_err() || disk.len() > 104);
        }
    }
}
