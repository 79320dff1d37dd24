#![no_main]
//! Indexes, manifests and configurations of images: one document a line.

use libfuzzer_sys::fuzz_target;
use oci_spec::image::ImageConfiguration;
use tandem_image::fuzz::{answers, index, manifest, store_index};

fuzz_target!(|data: &[u8]| {
    let (first, second) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, data),
    };
    let digest = tandem_model::Digest::from_sha256(&[0; 32]);
    let _ = (manifest(first, second, &digest), store_index(first), answers::media_type(first));
    if let Some(chosen) = index(first) {
        assert!(data.windows(chosen.hex().len()).any(|part| part == chosen.hex().as_bytes()));
    }
    if let Ok(config) = serde_json::from_slice::<ImageConfiguration>(second) {
        tandem_fuzz::survives_json(&config);
    }
});
