#![no_main]
//! The stream in which Docker and Podman send an app's output.

use libfuzzer_sys::fuzz_target;
use tandem_docker::fuzz::outputs;

fuzz_target!(|data: &[u8]| {
    let (cut, bytes) = tandem_fuzz::choice(data);
    let (out, err) = outputs(bytes, cut);
    assert!(out.len() + err.len() <= bytes.len());
    assert_eq!(outputs(bytes, usize::MAX), (out, err));
});
