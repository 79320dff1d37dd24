//! The fields of one header block (POSIX.1-2017, `pax`, "ustar Interchange
//! Format"; GNU tar manual, "Basic Tar Format").

use tar::{EntryType, Header};

use super::{
    LayerError,
    overlay::is_portable,
    pax::PaxRecord,
    sparse::{Extent, SparseMap},
};

/// What a member of an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file with content.
    File,
    /// Another name of a file of the archive.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A folder.
    Directory,
    /// A named pipe.
    Fifo,
}

/// What a member is, from its type and, before ustar, its name.
pub(super) fn kind(entry_type: EntryType, path: &[u8]) -> Option<Kind> {
    Some(match entry_type {
        // Before ustar, a name that ends with a slash was a folder.
        EntryType::Regular if path.ends_with(b"/") => Kind::Directory,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
        EntryType::Link => Kind::HardLink,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Char => Kind::CharacterDevice,
        EntryType::Block => Kind::BlockDevice,
        EntryType::Directory => Kind::Directory,
        EntryType::Fifo => Kind::Fifo,
        _ => return None,
    })
}

/// Attributes that an image may carry. Others belong to the machine
/// (`security.selinux`) or would steer the overlay (`trusted.overlay.…`).
pub(super) fn xattrs(records: &[PaxRecord]) -> Vec<(String, Vec<u8>)> {
    records
        .iter()
        .filter_map(|record| {
            let name = record.key.strip_prefix("SCHILY.xattr.")?;
            is_portable(name).then(|| (name.to_owned(), record.value.clone()))
        })
        .collect()
}

/// Major and minor number.
pub(super) fn device(header: &Header) -> (u32, u32) {
    let number = |raw: &[u8]| numeric(raw).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    if let Some(ustar) = header.as_ustar() {
        (number(&ustar.dev_major), number(&ustar.dev_minor))
    } else if let Some(gnu) = header.as_gnu() {
        (number(&gnu.dev_major), number(&gnu.dev_minor))
    } else {
        (0, 0)
    }
}

/// Adds the parts that a header lists to the map of a sparse file.
pub(super) fn push_extents(
    map: &mut SparseMap,
    blocks: &[tar::GnuSparseHeader],
    header: &Header,
) -> Result<(), LayerError> {
    for block in blocks {
        if block.is_empty() {
            continue;
        }
        map.extents.push(Extent {
            offset: unsigned(field(numeric(&block.offset), "offset", header)?)?,
            length: unsigned(field(numeric(&block.numbytes), "numbytes", header)?)?,
        });
    }
    Ok(())
}

/// Bytes that follow the header.
pub(super) fn header_size(header: &Header) -> Option<u64> {
    numeric(&header.as_old().size).and_then(|size| u64::try_from(size).ok())
}

/// A size, which cannot be negative.
pub(super) fn unsigned(number: i64) -> Result<u64, LayerError> {
    u64::try_from(number).map_err(|_| LayerError::malformed("a size is negative"))
}

/// The value of a field, or an error that names the field and the file.
pub(super) fn field<T>(value: Option<T>, name: &str, header: &Header) -> Result<T, LayerError> {
    value.ok_or_else(|| {
        let path = lossy(&header.path_bytes());
        LayerError::malformed(format!("the field {name} of {path} is not a number"))
    })
}

/// A numeric field: octal digits with blanks around them, or GNU's base-256
/// form when the first bit is set. A field of blanks is zero.
pub(super) fn numeric(field: &[u8]) -> Option<i64> {
    if field.first().is_some_and(|byte| byte & 0x80 != 0) {
        let negative = field[0] & 0x40 != 0;
        let mut value: i128 = if negative { -1 } else { 0 };
        for (at, byte) in field.iter().enumerate() {
            let byte = if at == 0 && !negative { byte & 0x3f } else { *byte };
            value = value.checked_mul(256)?.checked_add(i128::from(byte))?;
        }
        return i64::try_from(value).ok();
    }
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let text = std::str::from_utf8(&field[..end]).ok()?.trim_matches(' ');
    if text.is_empty() { Some(0) } else { i64::from_str_radix(text, 8).ok() }
}

/// A name up to its zero byte.
pub(super) fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(nul) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(nul);
    }
    bytes
}

/// Letters of a name in a message: an archive may have names of a megabyte.
const SHOWN: usize = 200;

/// A name for people.
pub(super) fn lossy(bytes: &[u8]) -> String {
    let name = String::from_utf8_lossy(bytes);
    match name.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        assert_eq!(numeric(b"0000755\0"), Some(0o755));
        assert_eq!(numeric(b"   17 \0"), Some(0o17));
        assert_eq!(numeric(b"\0\0\0\0"), Some(0));
        assert_eq!(numeric(b"99999999"), None);
        assert_eq!(numeric(&[0x80, 0, 0, 1, 0]), Some(256));
        assert_eq!(numeric(&[0xff; 12]), Some(-1));
        assert_eq!(numeric(&[0xbf; 12]), None);
    }
}
