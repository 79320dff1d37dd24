#![no_main]
//! Compressed archives: gzip, zstd, xz and bzip2, told apart by their first
//! bytes, and read to a limit.

use std::io::Read as _;

use libfuzzer_sys::fuzz_target;
use tandem_image::{decompressed_archive, is_compressed};

fuzz_target!(|data: &[u8]| {
    let Ok(reader) = decompressed_archive(data) else { return };
    let mut bytes = Vec::new();
    let read = reader.take(1 << 20).read_to_end(&mut bytes);
    if read.is_ok() && !is_compressed(data) {
        assert_eq!(bytes, data);
    }
});
