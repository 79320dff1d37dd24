//! Initial RAM disks: one or more `newc` cpio archives in a row (the kernel's
//! initramfs buffer format, early-userspace/buffer-format.rst).

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, Result, ensure};

const HEADER: usize = 110;

/// Regular files by name, of all archives in the buffer.
pub(crate) fn files(buffer: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(begin) = buffer[at..].iter().position(|byte| *byte != 0) {
        at += begin;
        let header = buffer.get(at..at + HEADER).context("a cut-off cpio header")?;
        ensure!(header.starts_with(b"070701"), "not a plain cpio archive");
        let field = |number: usize| -> Result<usize> {
            let text = std::str::from_utf8(&header[6 + 8 * number..14 + 8 * number])?;
            Ok(usize::from_str_radix(text, 16)?)
        };
        let (mode, size, name_size) = (field(1)?, field(6)?, field(11)?);
        let name_at = at + HEADER;
        let data_at = (name_at + name_size).next_multiple_of(4);
        let name = buffer.get(name_at..name_at + name_size.saturating_sub(1));
        let name = std::str::from_utf8(name.context("a cut-off cpio name")?)?;
        let data = buffer.get(data_at..data_at + size).context("a cut-off cpio file")?;
        if mode & 0o170_000 == 0o100_000 {
            found.push((name.to_owned(), data.to_vec()));
        }
        at = (data_at + size).next_multiple_of(4).min(buffer.len());
    }
    Ok(found)
}

/// The folders and files below a folder as one archive.
pub(crate) fn pack(tree: &Path) -> Result<Vec<u8>> {
    let (mut bytes, mut folders) = (Vec::new(), vec![tree.to_owned()]);
    while let Some(folder) = folders.pop() {
        for found in fs::read_dir(&folder)?.flatten() {
            let path = found.path();
            let name = path.strip_prefix(tree)?.to_string_lossy().into_owned();
            let mode = found.metadata()?.permissions().mode();
            if found.file_type()?.is_dir() {
                bytes.extend(entry(&name, mode, &[]));
                folders.push(path);
            } else {
                bytes.extend(entry(&name, mode, &fs::read(&path)?));
            }
        }
    }
    bytes.extend(entry("TRAILER!!!", 0, &[]));
    Ok(bytes)
}

fn entry(name: &str, mode: u32, data: &[u8]) -> Vec<u8> {
    let (size, name_size) = (data.len(), name.len() + 1);
    let mut bytes = format!("070701{:08x}{mode:08x}", 1).into_bytes();
    for field in [0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
        // Writing into memory does not fail.
        let _ = write!(bytes, "{field:08x}");
    }
    bytes.extend(name.bytes().chain([0]));
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/c"), "abcde").unwrap();
        fs::write(dir.path().join("init"), "#!").unwrap();
        let mut found = files(&pack(dir.path()).unwrap()).unwrap();
        found.sort();
        assert_eq!(found, [("a/b/c".into(), b"abcde".to_vec()), ("init".into(), b"#!".to_vec())]);
    }

    #[test]
    fn archives_in_a_row_are_read_to_the_last() {
        let mut disk = [entry("m", 0o40_755, b""), entry("m/a.ko", 0o100_644, b"abc")].concat();
        disk.extend(entry("TRAILER!!!", 0, b""));
        disk.resize(disk.len().next_multiple_of(512), 0);
        disk.extend([entry("boot.json", 0o100_644, b"{}"), entry("TRAILER!!!", 0, b"")].concat());
        let found = files(&disk).unwrap();
        assert_eq!(found[0], ("m/a.ko".into(), b"abc".to_vec()));
        assert_eq!(found[1].0, "boot.json");
        assert!(files(b"\x1f\x8b compressed").is_err());
        assert!(files(&disk[..150]).is_err());
    }
}
