#![no_main]
//! Names of images: what was read and written is read as the same.

use libfuzzer_sys::fuzz_target;
use tandem_model::{Digest, ImageRef};

fuzz_target!(|data: &[u8]| {
    let text = tandem_fuzz::text(data);
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string().parse().as_ref(), Ok(&digest));
    }
    let Ok(name) = text.parse::<ImageRef>() else { return };
    assert_eq!(name.to_string().parse().as_ref(), Ok(&name));
    assert!(!name.repository().split('/').any(|part| matches!(part, "" | "." | "..")));
    tandem_fuzz::survives_json(&name);
});
