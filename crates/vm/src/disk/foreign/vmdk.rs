//! The header of a VMDK disk in one file (VMware, "Virtual Disk Format 5.0";
//! what QEMU makes of it is in its `block/vmdk.c`).

use super::{MOST, big};

const SECTOR: u64 = 512;

/// Bytes from the beginning within which QEMU looks for names of other files.
const DESCRIPTOR: std::ops::Range<usize> = 512..512 * 21;

/// The grain directory stands at the file's end, and a second header too.
const AT_END: u64 = u64::MAX;

/// Bytes at the end of the file that may be the second header and a mark.
pub(super) const TAIL: usize = 1024;

/// Bytes of the disk as a guest sees it, when it is one file that names no
/// other. `head` is the beginning of the file and `tail` its last bytes. An
/// error is the end of a sentence about the file.
pub(super) fn size(head: &[u8], tail: &[u8], length: u64) -> Result<u64, String> {
    if head.starts_with(b"# Disk") {
        let text = "only names the files with the disk's data; export the machine as an OVA, or convert it first with `qemu-img convert -O qcow2`";
        return Err(text.to_owned());
    }
    let absurd = || "has an absurd layout: it is damaged, or made to do harm".to_owned();
    let sectors = header(head, length).ok_or_else(absurd)?;
    if long(head, 56) == Some(AT_END) {
        let second = tail.get(..512).filter(|it| it.starts_with(b"KDMV")).ok_or_else(absurd)?;
        // All but the place of the directory, which the second one has.
        let same = second.get(4..56) == head.get(4..56) && header(second, length) == Some(sectors);
        if !same || !within(long(second, 56), length) {
            return Err(absurd());
        }
    } else if !within(long(head, 56), length) {
        return Err(absurd());
    }
    let end = DESCRIPTOR.end.min(head.len());
    descriptor(head.get(DESCRIPTOR.start..end).unwrap_or_default())?;
    sectors.checked_mul(SECTOR).filter(|bytes| *bytes <= MOST).ok_or_else(absurd)
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    big(bytes, at).map(u64::from_le_bytes)
}

fn within(sector: Option<u64>, length: u64) -> bool {
    sector.is_some_and(|it| it > 0 && it.checked_mul(SECTOR).is_some_and(|byte| byte < length))
}

/// Sectors of the disk; `None` when the header is none that QEMU would take for
/// a disk in this file.
fn header(head: &[u8], length: u64) -> Option<u64> {
    let word = |at| big(head, at).map(u32::from_le_bytes);
    let (version, sectors, grain) = (word(4)?, long(head, 12)?, long(head, 20)?);
    let (place, size) = (long(head, 28)?, long(head, 36)?);
    let compression = big(head, 77).map(u16::from_le_bytes)?;
    // Without sectors QEMU reads the descriptor, and opens what it names.
    let fits = head.starts_with(b"KDMV")
        && (1..=3).contains(&version)
        && (1..=MOST / SECTOR).contains(&sectors)
        && grain.is_power_of_two()
        && (8..=4096).contains(&grain)
        && word(44)? == 512
        && place == 1
        && (1..=20).contains(&size)
        && compression <= 1
        && size * SECTOR < length;
    fits.then_some(sectors)
}

/// Looks through the text in the file, which is for other programs.
fn descriptor(bytes: &[u8]) -> Result<(), String> {
    let all = String::from_utf8_lossy(bytes);
    if all.contains("parentFileNameHint") {
        return Err(
            "lies on another disk (it has a parent); export the machine as a whole".to_owned()
        );
    }
    let text = all.split('\0').next().unwrap_or_default();
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().trim_matches('"'))
    };
    if value("parentCID").is_some_and(|it| !it.eq_ignore_ascii_case("ffffffff")) {
        return Err(
            "lies on another disk (it has a parent); export the machine as a whole".to_owned()
        );
    }
    match value("createType") {
        Some("streamOptimized" | "monolithicSparse") => {}
        other => {
            let kind: String = other
                .unwrap_or("no kind")
                .chars()
                .filter(char::is_ascii_graphic)
                .take(40)
                .collect();
            return Err(format!(
                "is a VMDK of {kind}, and only streamOptimized and monolithicSparse ones are one file"
            ));
        }
    }
    let extents = text
        .lines()
        .filter(|line| ["RW ", "RDONLY ", "NOACCESS "].iter().any(|it| line.starts_with(it)));
    match extents.collect::<Vec<_>>()[..] {
        [one] if one.starts_with("RW ") && one.contains(" SPARSE ") => Ok(()),
        _ => Err("names other files with the disk's data".to_owned()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn disk() -> Vec<u8> {
        let mut head = vec![0; 512 * 24];
        head[..4].copy_from_slice(b"KDMV");
        head[4..8].copy_from_slice(&3_u32.to_le_bytes());
        for (at, value) in [(12, 2048_u64), (20, 128), (28, 1), (36, 20), (48, 0), (56, 21)] {
            head[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        head[44..48].copy_from_slice(&512_u32.to_le_bytes());
        head[77] = 1;
        let text = "# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\nRW 2048 SPARSE \"disk.vmdk\"\n";
        head[512..512 + text.len()].copy_from_slice(text.as_bytes());
        head
    }

    fn replaced(from: &str, to: &str) -> Result<u64, String> {
        let mut disk = disk();
        let at = disk.windows(from.len()).position(|it| it == from.as_bytes()).unwrap();
        disk.splice(at..at + from.len(), to.bytes());
        size(&disk, &disk[disk.len() - TAIL..], disk.len() as u64)
    }

    #[test]
    fn only_one_file_that_names_no_other_has_a_size() {
        let good = disk();
        let of = |disk: &[u8]| size(disk, &disk[disk.len() - TAIL..], disk.len() as u64);
        assert_eq!(of(&good), Ok(1 << 20));
        assert!(replaced("ffffffff", "12345678").unwrap_err().contains("parent"));
        assert!(
            replaced("version=1", "parentFileNameHint=\"/etc/shadow\"")
                .unwrap_err()
                .contains("parent")
        );
        assert!(
            replaced("streamOptimized", "monolithicFlat").unwrap_err().contains("monolithicFlat")
        );
        assert!(replaced("RW 2048 SPARSE", "RW 2048 FLAT").unwrap_err().contains("other files"));
        assert!(size(b"# Disk DescriptorFile\n", b"", 22).unwrap_err().contains("only names"));
        let with = |at: usize, bytes: &[u8]| {
            let mut bad = good.clone();
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            of(&bad)
        };
        assert!(with(12, &[0; 8]).unwrap_err().contains("absurd"), "QEMU would read names");
        assert!(with(18, &[9]).is_err(), "a thousand terabytes");
        assert!(with(28, &[2]).is_err(), "a descriptor where we do not look");
        assert!(with(56, &[0xff; 8]).is_err(), "a second header that is not there");
        assert!(with(60, &[9]).is_err(), "a directory behind the end");
        assert!(with(56, &[0; 8]).is_err(), "a directory where the header is");
        assert!(replaced("RW 2048", "RDONLY 2048").unwrap_err().contains("other files"));

        let mut second = good.clone();
        second[56..64].copy_from_slice(&[0xff; 8]);
        let end = second.len() - TAIL;
        second.copy_within(..512, end);
        second[end + 56..end + 64].copy_from_slice(&21_u64.to_le_bytes());
        assert_eq!(of(&second), Ok(1 << 20));
        let with = |at: usize, byte: u8| {
            let mut bad = second.clone();
            bad[end + at] = byte;
            of(&bad)
        };
        assert!(with(0, b'X').is_err(), "a second header that is none");
        assert!(with(60, 9).is_err(), "its directory behind the end");
        second[end + 13] = 1;
        assert!(of(&second).is_err(), "two headers that differ");
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_small_enough(
            changes in proptest::collection::vec((0_usize..700, any::<u8>()), 0..6),
        ) {
            let mut disk = disk();
            for (at, byte) in changes {
                disk[at] = byte;
            }
            if let Ok(bytes) = size(&disk, &disk[disk.len() - TAIL..], disk.len() as u64) {
                prop_assert!((1..=MOST).contains(&bytes));
            }
        }
    }
}
