//! Disks from elsewhere, from any bytes.

use std::{fs::File, io, path::Path};

use super::{carry, qcow2, qcow2::Backing, sparse};

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
    sparse::pack(file, target)
}
