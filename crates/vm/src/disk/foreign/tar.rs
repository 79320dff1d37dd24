//! The members of an appliance's archive (POSIX.1-1988 `ustar`, as OVF asks).

use std::{fs::File, io, os::unix::fs::FileExt as _};

const BLOCK: u64 = 512;

/// An appliance is a descriptor, a manifest and some disks.
const MOST: usize = 64;

/// A plain file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Where its bytes begin in the archive.
    pub(crate) begin: u64,
    pub(crate) length: u64,
}

/// The members of an archive. An error is the end of a sentence about the file.
pub(crate) fn members(archive: &File) -> Result<Vec<Member>, String> {
    let length = archive.metadata().map_err(|e| format!("cannot be read: {e}"))?.len();
    list(length, |begin| {
        let mut header = [0; 512];
        archive.read_exact_at(&mut header, begin)?;
        Ok(header)
    })
}

/// The members of an archive of `length` bytes whose blocks `read` gives.
pub(crate) fn list(
    length: u64,
    read: impl Fn(u64) -> io::Result<[u8; 512]>,
) -> Result<Vec<Member>, String> {
    let mut found: Vec<Member> = Vec::new();
    let mut at = 0;
    while at + BLOCK <= length {
        let header = read(at).map_err(|e| format!("cannot be read: {e}"))?;
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        if found.len() == MOST {
            return Err(format!("has more than {MOST} members"));
        }
        let member = member(&header, at + BLOCK)?;
        if found.iter().any(|other| other.name == member.name) {
            return Err(format!("has two members `{}`", member.name));
        }
        let end = member.begin.checked_add(member.length).filter(|end| *end <= length);
        let end = end.ok_or_else(|| format!("is cut off within `{}`", member.name))?;
        found.push(member);
        at = end.next_multiple_of(BLOCK);
    }
    if found.is_empty() { Err("has no members".to_owned()) } else { Ok(found) }
}

fn member(header: &[u8; 512], begin: u64) -> Result<Member, String> {
    if &header[257..262] != b"ustar" || number(&header[148..156]) != Some(sum(header)) {
        return Err("is damaged: one of its headers is none".to_owned());
    }
    let name = header[..100].split(|byte| *byte == 0).next().unwrap_or_default();
    let name = str::from_utf8(name).unwrap_or_default();
    let plain = |c: char| c.is_alphanumeric() || " -_.+()".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) || header[345] != 0 {
        return Err("has a member whose name is not that of a plain file".to_owned());
    }
    if !matches!(header[156], b'0' | 0) {
        return Err(format!("has a member `{name}` that is no plain file"));
    }
    let length = number(&header[124..136]).ok_or_else(|| format!("has no size for `{name}`"))?;
    Ok(Member { name: name.to_owned(), begin, length })
}

/// Octal digits, or for large numbers the bytes themselves (GNU's way).
fn number(field: &[u8]) -> Option<u64> {
    if let [0x80, rest @ ..] = field {
        let (high, low) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
        let low = low.first_chunk().filter(|_| high.iter().all(|byte| *byte == 0))?;
        return Some(u64::from_be_bytes(*low));
    }
    let text = str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    u64::from_str_radix(text, 8).ok()
}

/// The sum of all bytes, its own field taken for spaces.
fn sum(header: &[u8; 512]) -> u64 {
    let own = 148..156;
    let byte = |(at, byte): (usize, &u8)| u64::from(if own.contains(&at) { b' ' } else { *byte });
    header.iter().enumerate().map(byte).sum()
}

/// The header of a member.
pub(crate) fn header(name: &str, length: u64) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    if length < 1 << 33 {
        put(124, format!("{length:011o}\0").as_bytes());
    } else {
        put(124, &[0x80, 0, 0, 0]);
        put(128, &length.to_be_bytes());
    }
    put(136, b"00000000000\0");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum = sum(&header);
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(archive: &[u8]) -> Result<Vec<Member>, String> {
        list(archive.len() as u64, |at| {
            let at = usize::try_from(at).unwrap();
            Ok(archive[at..at + 512].try_into().unwrap())
        })
    }

    #[test]
    fn an_archive_of_ours_is_read_and_odd_ones_are_not() {
        let two =
            [&header("a.ovf", 3)[..], &[1; 512], &header("b-disk1.vmdk", 0), &[0; 1024]].concat();
        let names: Vec<_> =
            of(&two).unwrap().into_iter().map(|it| (it.name, it.begin, it.length)).collect();
        assert_eq!(names, [("a.ovf".to_owned(), 512, 3), ("b-disk1.vmdk".to_owned(), 1536, 0)]);
        assert!(of(&header("a", 600)).unwrap_err().contains("cut off within `a`"));
        assert!(
            of(&[header("a", 0), header("a", 0)].concat()).unwrap_err().contains("two members")
        );
        for bad in ["../a", "/a", ".hidden", "a/b", "a\n", ""] {
            assert!(of(&header(bad, 0)).unwrap_err().contains("plain file"), "{bad}");
        }
        let mut link = header("a", 0);
        link[156] = b'2';
        assert!(of(&link).unwrap_err().contains("damaged"), "the sum is another");
        let digits = format!("{:06o}\0 ", sum(&link));
        link[148..156].copy_from_slice(digits.as_bytes());
        assert!(of(&link).unwrap_err().contains("no plain file"));
        let changed = |at: usize, bytes: &[u8]| {
            let mut odd = header("a", 0);
            odd[at..at + bytes.len()].copy_from_slice(bytes);
            let digits = format!("{:06o}\0 ", sum(&odd));
            odd[148..156].copy_from_slice(digits.as_bytes());
            of(&odd).unwrap_err()
        };
        assert!(changed(257, b"other").contains("damaged"), "another kind of archive");
        assert!(changed(345, b"etc").contains("plain file"), "a folder before its name");
        assert!(changed(124, b"12345678xyz").contains("no size"));
        assert!(changed(124, &[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]).contains("no size"));
        assert!(of(&[0; 1024]).unwrap_err().contains("no members"));
        let many: Vec<u8> = (0..80).flat_map(|at| header(&format!("m{at}"), 0)).collect();
        assert!(of(&many).unwrap_err().contains("more than 64"));
        let large = member(&header("big.vmdk", 20 << 30), 512).unwrap();
        assert_eq!(large.length, 20 << 30);
        // Digits as long as they fit: not everybody reads GNU's way.
        assert_eq!(header("a", (1 << 33) - 1)[124..136], *b"77777777777\0");
        assert_eq!(header("a", 1 << 33)[124], 0x80);
        assert!(of(&header("big.vmdk", 20 << 30)).unwrap_err().contains("cut off"));
    }

    proptest! {
        #[test]
        fn members_lie_in_the_archive(
            changes in proptest::collection::vec((0_usize..2048, any::<u8>()), 0..8),
        ) {
            let mut archive = [&header("a", 700)[..], &[1; 1024], &header("b", 5), &[2; 512]].concat();
            for (at, byte) in changes {
                archive[at] = byte;
            }
            for member in of(&archive).unwrap_or_default() {
                prop_assert!(member.begin + member.length <= archive.len() as u64);
            }
        }
    }
}
