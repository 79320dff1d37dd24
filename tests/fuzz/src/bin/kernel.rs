#![no_main]
//! Kernels, modules and what apt tells of them.

use libfuzzer_sys::fuzz_target;
use tandem_vm::fuzz::kernel::{elf, lz4, module, package, vmlinux};

const LARGEST: usize = 4 << 20;

fuzz_target!(|data: &[u8]| {
    let (way, bytes) = tandem_fuzz::choice(data);
    match way % 5 {
        // That one is unpacked by a program of the machine.
        0 if bytes.windows(4).any(|part| part == b"\xfd7zX") => {}
        0 => assert!(vmlinux(bytes, LARGEST).map_or(0, |kernel| kernel.len()) <= LARGEST),
        1 => assert!(lz4(bytes, LARGEST).map_or(0, |kernel| kernel.len()) <= LARGEST),
        2 => {
            let (section, _) = elf(bytes, b".modinfo");
            assert!(section.map_or(0, <[u8]>::len) <= bytes.len());
        }
        3 => {
            let (_, bare) = module(bytes.to_vec());
            assert!(bytes.starts_with(&bare));
        }
        _ => {
            let name = package(&tandem_fuzz::text(bytes)).unwrap_or_default();
            assert!(!name.starts_with('-') && !name.contains(['/', ' ', ';']));
        }
    }
});
