use std::io::{self, BufRead, BufReader, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const XZ: &[u8] = b"\xfd7zXZ\0";
const BZIP2: &[u8] = b"BZh";

/// What unpacking xz may take, KiB: `xz -9` needs 65 MiB.
const XZ_KIB: u32 = 128 << 10;

/// The uncompressed bytes of a layer blob. What it is follows from its first
/// bytes: registries are known to serve a compression that differs from the
/// media type, and the diff id guards the content anyway.
pub(crate) fn decompressed<'a>(blob: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut blob = BufReader::with_capacity(256 << 10, blob);
    let head = blob.fill_buf()?;
    Ok(if head.starts_with(GZIP) {
        Box::new(MultiGzDecoder::new(blob))
    } else if head.starts_with(ZSTD) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(blob)?;
        // 128 MiB of window is what `zstd --ultra` uses at most by default.
        decoder.window_log_max(27)?;
        Box::new(decoder)
    } else {
        Box::new(blob)
    })
}

/// The uncompressed bytes of an archive, in whatever of Docker's four ways it
/// is packed.
pub fn decompressed_archive<'a>(archive: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut archive = BufReader::with_capacity(256 << 10, archive);
    let head = archive.fill_buf()?;
    Ok(if head.starts_with(XZ) {
        Box::new(XzReader::new_mem_limit(archive, true, XZ_KIB))
    } else if head.starts_with(BZIP2) {
        Box::new(MultiBzDecoder::new(archive))
    } else {
        return decompressed(archive);
    })
}

/// Whether a file that begins so has to be decompressed.
pub fn is_compressed(head: &[u8]) -> bool {
    [GZIP, ZSTD, XZ, BZIP2].iter().any(|magic| head.starts_with(magic))
}
