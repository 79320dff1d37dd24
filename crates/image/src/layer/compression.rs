use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The uncompressed bytes of a layer blob. What it is follows from its first
/// bytes: registries are known to serve a compression that differs from the
/// media type, and the diff id guards the content anyway.
pub fn decompressed<'a>(blob: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
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
