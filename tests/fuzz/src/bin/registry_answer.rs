#![no_main]
//! Headers with which registries answer.

use libfuzzer_sys::fuzz_target;
use tandem_image::fuzz::answers::{bearer, challenges, content_range, retry_after};

fuzz_target!(|data: &[u8]| {
    let header = tandem_fuzz::text(data);
    assert!(challenges(&header) <= header.len());
    let _ = retry_after(&header);
    if let Some((first, last, total)) = content_range(&header) {
        assert!(first <= last && total.is_none_or(|total| last < total));
    }
    if let Some((realm, service, scopes)) = bearer(&header) {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut written = format!("Bearer realm=\"{}\"", quoted(&realm));
        if let Some(service) = &service {
            written += &format!(",service=\"{}\"", quoted(service));
        }
        if !scopes.is_empty() {
            written += &format!(",scope=\"{}\"", quoted(&scopes.join(" ")));
        }
        assert_eq!(bearer(&written), Some((realm, service, scopes)));
    }
});
