//! Initial RAM disks: cpio archives, "newc" form (Linux,
//! `Documentation/driver-api/early-userspace/buffer-format.rst`).

/// An archive in the making.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    /// Adds a folder; its parents must be there already.
    pub(crate) fn directory(&mut self, path: &str) {
        self.entry(path, 0o040_755, &[]);
    }

    /// Adds a file.
    pub(crate) fn file(&mut self, path: &str, executable: bool, content: &[u8]) {
        self.entry(path, if executable { 0o100_755 } else { 0o100_600 }, content);
    }

    /// The archive without an end mark, for a finished one to follow.
    pub(crate) fn unfinished(self) -> Vec<u8> {
        self.bytes
    }

    /// The archive with its end mark.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.inode = 0;
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        use std::io::Write as _;
        let path = path.trim_start_matches('/');
        self.inode += 1;
        // Magic, inode, mode, uid, gid, links, mtime, size, 2 × device,
        // 2 × device of a node, length of the name with its zero, checksum.
        let _ = write!(
            self.bytes,
            "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
            self.inode,
            0,
            0,
            1,
            0,
            content.len(),
            0,
            0,
            0,
            0,
            path.len() + 1,
            0
        );
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_110_bytes_and_everything_is_aligned() {
        let mut archive = Archive::default();
        archive.directory("/modules");
        archive.file("/modules/a.ko", false, b"12345");
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        let starts: Vec<usize> = text.match_indices("070701").map(|(at, _)| at).collect();
        // 110 + "modules\0" = 118 → 120; 110 + "modules/a.ko\0" = 123 → 124, + 5 → 132.
        assert_eq!(starts, [0, 120, 252]);
        assert_eq!(&text[120 + 54..120 + 62], "00000005", "the size");
        assert_eq!(&text[120 + 110..120 + 123], "modules/a.ko\0");
        assert_eq!(&bytes[120 + 124..120 + 129], b"12345");
        assert!(text.contains("TRAILER!!!\0") && bytes.len().is_multiple_of(4));
        assert_eq!(&text[120 + 14..120 + 22], "00008180", "a file for its owner alone");
        let mut program = Archive::default();
        program.file("/init", true, b"1");
        assert_eq!(&program.unfinished()[14..22], b"000081ed", "and one to be run");
    }
}
