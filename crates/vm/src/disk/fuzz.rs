//! Disks from elsewhere, from any bytes.

use std::{fs::File, io, path::Path};

use super::{carry, foreign, qcow2, qcow2::Backing, sparse};

/// Whether QEMU may open a disk that begins so.
pub fn check_head(head: &[u8], size: u64) -> Result<(), &'static str> {
    carry::check_head(head, size)
}

/// The size that a disk's beginning tells.
pub fn virtual_size(head: &[u8]) -> io::Result<u64> {
    qcow2::virtual_size_of(head)
}

/// An empty disk on a raw one.
pub fn overlay(backing: &Path, size: u64) -> io::Result<Vec<u8>> {
    qcow2::overlay(Backing::Raw(backing), size)
}

/// Unpacks a file with holes.
pub fn unpack(source: impl io::Read, file: &File) -> io::Result<()> {
    sparse::unpack(source, file)
}

/// Packs a file with holes.
pub fn pack(file: &File, target: impl io::Write) -> io::Result<()> {
    sparse::pack(file, target, &|| false)
}

/// The size of a disk from elsewhere, by its beginning and its last bytes.
pub fn foreign_size(head: &[u8], tail: &[u8], length: u64) -> Result<u64, String> {
    foreign::size_in_head(head, tail, length)
}

/// Reads the descriptor of an appliance.
pub fn descriptor(text: &str) -> Result<(), String> {
    foreign::read_ovf(text).map(drop)
}

/// Where the members of an appliance lie: begin and length of each.
pub fn members(archive: &[u8]) -> Result<Vec<(u64, u64)>, String> {
    let read = |at: u64| {
        let at = usize::try_from(at).map_err(io::Error::other)?;
        let block = archive.get(at..).and_then(<[u8]>::first_chunk);
        block.copied().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    };
    let found = foreign::list(archive.len() as u64, read)?;
    Ok(found.into_iter().map(|member| (member.begin, member.length)).collect())
}
