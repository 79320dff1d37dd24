#![no_main]
//! Results from anybody: what is taken reads back as the same.

use libfuzzer_sys::fuzz_target;
use tandem_lab::read_document;

fuzz_target!(|data: &[u8]| {
    let Ok(document) = read_document(data) else { return };
    let written = serde_json::to_vec(&document).expect("a result can be written");
    assert_eq!(read_document(&written), Ok(document));
});
