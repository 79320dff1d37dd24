#![no_main]
//! Disks and appliances that somebody else made: whatever is taken is small
//! enough, and lies in its file.

use libfuzzer_sys::fuzz_target;
use tandem_vm::fuzz::disk::{descriptor, foreign_size, members};

fuzz_target!(|data: &[u8]| {
    let tail = &data[data.len().saturating_sub(1024)..];
    if let Ok(size) = foreign_size(data, tail, data.len() as u64) {
        assert!((1..=4 << 40).contains(&size));
        // No backing file and no encryption.
        assert!(!data.starts_with(b"QFI\xfb") || data[8..20] == [0; 12] && data[32..36] == [0; 4]);
        // QEMU would read names of other files.
        assert!(!data.starts_with(b"KDMV") || data[12..20] != [0; 8]);
    }
    for (begin, length) in members(data).unwrap_or_default() {
        assert!(begin.checked_add(length).is_some_and(|end| end <= data.len() as u64));
    }
    if let Ok(text) = str::from_utf8(data) {
        let _ = descriptor(text);
    }
});
