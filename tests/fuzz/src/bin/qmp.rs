#![no_main]
//! What QEMU says on its monitor, cut anywhere.

use libfuzzer_sys::fuzz_target;
use tandem_vm::fuzz::qmp;

fuzz_target!(|data: &[u8]| {
    let (cut, bytes) = tandem_fuzz::choice(data);
    assert_eq!(qmp(bytes, cut), qmp(bytes, usize::MAX));
});
