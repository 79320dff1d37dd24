#![no_main]
//! Frames of somebody attached to an app, and of the app's supervisor.

use libfuzzer_sys::fuzz_target;
use tandem_backend::fuzz::attach::{events, requests};

fuzz_target!(|data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (written, end) = requests(data).await;
        assert_eq!(written, data[..written.len()], "frames are written as they came");
        let (count, _) = events(data).await;
        assert!(count <= data.len() && (end.is_err() || written.len() <= data.len()));
    });
});
