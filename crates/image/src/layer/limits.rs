/// What a foreign archive may ask of this machine. The default lets every
/// honest image through and ends an archive bomb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries in one layer.
    pub entries: u64,
    /// Bytes of the uncompressed archive, and of its files with their holes.
    pub bytes: u64,
    /// Folders above one file.
    pub depth: u64,
    /// Bytes of one extended header (names, attributes).
    pub header_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 2_000_000, bytes: 64 << 30, depth: 256, header_bytes: 1 << 20 }
    }
}
