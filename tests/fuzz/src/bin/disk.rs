#![no_main]
//! Disks: the beginning of a foreign one, and our own for every backing file
//! and size.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::Path};

use libfuzzer_sys::fuzz_target;
use tandem_vm::{
    Chain,
    fuzz::disk::{check_head, overlay, virtual_size},
};

fuzz_target!(|data: &[u8]| {
    let size = virtual_size(data).unwrap_or(1 << 30);
    let _ = check_head(data, size);
    if let Ok(chain) = serde_json::from_slice::<Chain>(data) {
        assert!(!chain.names().is_empty() && !chain.names().iter().any(|it| it.contains('/')));
        tandem_fuzz::survives_json(&chain);
    }
    let Some((size, name)) = data.split_first_chunk() else { return };
    // Tables for more would be megabytes.
    let size = u64::from_be_bytes(*size) % (1 << 46);
    let Ok(made) = overlay(Path::new(OsStr::from_bytes(name)), size) else { return };
    assert_eq!(check_head(&made, size), Ok(()));
    assert_eq!(virtual_size(&made[..]).ok(), Some(size));
});
