#![no_main]
//! Extended headers of archives.

use libfuzzer_sys::fuzz_target;
use tandem_image::parse_pax;

fuzz_target!(|data: &[u8]| {
    let Ok(records) = parse_pax(data) else { return };
    let sum: usize = records.iter().map(|it| it.key.len() + it.value.len()).sum();
    assert!(sum + 4 * records.len() <= data.len());
});
