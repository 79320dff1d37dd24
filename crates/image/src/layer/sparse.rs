//! Sparse files as GNU tar writes them (GNU tar manual, "Storing Sparse
//! Files"): the old format in the header itself, and 0.0, 0.1 and 1.0 in
//! extended headers.

use super::{LayerError, pax::PaxRecord};

/// A run of stored bytes within a file; what lies between is a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// Where the stored bytes of a sparse file go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SparseMap {
    /// Size of the file.
    pub(crate) size: u64,
    /// In order, not overlapping, within `size`.
    pub(crate) extents: Vec<Extent>,
}

impl SparseMap {
    /// Checks order and bounds, and that exactly `stored` bytes are mapped.
    pub(super) fn checked(self, stored: u64) -> Result<Self, LayerError> {
        let mut end = 0u64;
        let mut sum = 0u64;
        for extent in &self.extents {
            let next = extent.offset.checked_add(extent.length);
            match next {
                Some(next) if extent.offset >= end && next <= self.size => end = next,
                _ => return Err(LayerError::malformed("a sparse file has overlapping parts")),
            }
            sum += extent.length;
        }
        if sum == stored {
            Ok(self)
        } else {
            Err(LayerError::malformed("the parts of a sparse file do not add up"))
        }
    }
}

/// The map from records of the formats 0.0 and 0.1; `None` when the records
/// describe no sparse file of these formats.
pub(super) fn map_of_records(records: &[PaxRecord]) -> Option<Result<SparseMap, LayerError>> {
    let last = |key: &str| records.iter().rev().find(|record| record.key == key);
    let size = number(&last("GNU.sparse.size")?.value);
    let numbers: Option<Vec<u64>> = match last("GNU.sparse.map") {
        Some(map) => map
            .value
            .split(|byte| *byte == b',')
            .filter(|text| !text.is_empty())
            .map(number)
            .collect(),
        None => records
            .iter()
            .filter(|record| {
                matches!(record.key.as_str(), "GNU.sparse.offset" | "GNU.sparse.numbytes")
            })
            .map(|record| number(&record.value))
            .collect(),
    };
    Some(match (size, numbers.and_then(pairs)) {
        (Some(size), Some(extents)) => Ok(SparseMap { size, extents }),
        _ => Err(LayerError::malformed("a sparse file has an unreadable map")),
    })
}

/// The size of the file when the records say that the map of format 1.0 lies
/// before its data.
pub(super) fn leading_map_size(records: &[PaxRecord]) -> Option<Result<u64, LayerError>> {
    let last = |key: &str| records.iter().rev().find(|record| record.key == key);
    let major = last("GNU.sparse.major")?;
    if major.value != b"1" {
        return None;
    }
    let size = last("GNU.sparse.realsize").and_then(|record| number(&record.value));
    Some(size.ok_or_else(|| LayerError::malformed("a sparse file does not say its size")))
}

/// Reads the leading map of format 1.0, decimal numbers a line each, from as
/// many bytes as there are; `None` when more bytes are needed.
pub(super) fn parse_leading_map(bytes: &[u8]) -> Result<Option<Vec<Extent>>, LayerError> {
    let broken = || LayerError::malformed("a sparse file has an unreadable map");
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let mut next = || match lines.next().map(|line| line.strip_suffix(b"\n").ok_or(line.len())) {
        Some(Ok(line)) => number(line).map(Some).ok_or_else(broken),
        Some(Err(length)) if length > 20 => Err(broken()),
        Some(Err(_)) | None => Ok(None),
    };
    let Some(count) = next()? else { return Ok(None) };
    let mut numbers = Vec::new();
    for _ in 0..count.checked_mul(2).ok_or_else(broken)? {
        match next()? {
            Some(number) => numbers.push(number),
            None => return Ok(None),
        }
    }
    pairs(numbers).map(Some).ok_or_else(broken)
}

fn pairs(numbers: Vec<u64>) -> Option<Vec<Extent>> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|&[offset, length]| Extent { offset, length }).collect())
}

pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(offset: u64, length: u64) -> Extent {
        Extent { offset, length }
    }

    #[test]
    fn a_leading_map_may_arrive_in_pieces() {
        let text = b"2\n0\n512\n4096\n100\n";
        for length in 0..text.len() {
            assert_eq!(parse_leading_map(&text[..length]).unwrap(), None, "{length}");
        }
        let map = parse_leading_map(text).unwrap().unwrap();
        assert_eq!(map, [extent(0, 512), extent(4096, 100)]);
        assert!(parse_leading_map(b"x\n").is_err());
        assert!(parse_leading_map(b"18446744073709551615\n").is_err());
    }

    #[test]
    fn parts_must_be_in_order_and_add_up() {
        let map = |extents: &[Extent]| SparseMap { size: 10, extents: extents.to_vec() };
        assert!(map(&[extent(0, 2), extent(5, 5)]).checked(7).is_ok());
        assert!(map(&[extent(5, 5), extent(0, 2)]).checked(7).is_err());
        assert!(map(&[extent(0, 2)]).checked(3).is_err());
        assert!(map(&[extent(8, 5)]).checked(5).is_err());
        assert!(map(&[extent(u64::MAX, 5)]).checked(5).is_err());
    }
}
