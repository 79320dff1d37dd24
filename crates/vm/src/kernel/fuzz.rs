//! Kernels and modules, from any bytes.

use std::io;

use super::{elf, lz4, modules, package, payload};

/// Unpacks the kernel in a bzImage of no more than `largest` bytes; what is
/// wrong with it is a sentence.
pub fn vmlinux(image: &[u8], largest: usize) -> Result<Vec<u8>, String> {
    payload::vmlinux_within(image, largest).map_err(|e| e.to_string())
}

/// Unpacks a legacy LZ4 frame.
pub fn lz4(frame: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    lz4::unpack(frame, limit)
}

/// Reads a program: a section of this name, and whether it needs a loader.
pub fn elf<'f>(file: &'f [u8], section: &[u8]) -> (Option<&'f [u8]>, Option<bool>) {
    (elf::section(file, section), elf::needs_interpreter(file))
}

/// What a module depends on, and the module without its signature.
pub fn module(file: Vec<u8>) -> (Vec<String>, Vec<u8>) {
    (modules::dependencies(&file), modules::without_signature(file))
}

/// The kernel's package in what apt tells.
pub fn package(text: &str) -> Option<String> {
    package::package_in(text)
}
