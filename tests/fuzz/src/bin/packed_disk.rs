#![no_main]
//! Packed disks of machines from elsewhere. The bytes are what was compressed,
//! or, after a zero, the compressed ones.

use std::os::unix::fs::MetadataExt as _;

use libfuzzer_sys::fuzz_target;
use tandem_vm::fuzz::disk::{pack, unpack};

fuzz_target!(|data: &[u8]| {
    let (way, bytes) = tandem_fuzz::choice(data);
    let packed = match way {
        0 => bytes.to_vec(),
        _ => zstd::encode_all(data, 1).expect("bytes can be packed"),
    };
    let file = tempfile::tempfile().expect("a temporary file");
    if unpack(&packed[..], &file).is_err() {
        return;
    }
    let mut again = Vec::new();
    pack(&file, &mut again).expect("what was unpacked can be packed");
    let back = tempfile::tempfile().expect("a temporary file");
    unpack(&again[..], &back).expect("what was packed here can be unpacked");
    let size = |file: &std::fs::File| file.metadata().expect("it is open").size();
    assert_eq!(size(&file), size(&back));
});
