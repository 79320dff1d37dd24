#![no_main]
//! The machine's list of package archives, in both forms.

use libfuzzer_sys::fuzz_target;
use tandem_image::bootstrap::{parse_deb822_sources, parse_one_line_sources};

fuzz_target!(|data: &[u8]| {
    let text = tandem_fuzz::text(data);
    let _ = (parse_one_line_sources(&text), parse_deb822_sources(&text));
});
