#![no_main]
//! Answers of apps over HTTP, cut anywhere.

use libfuzzer_sys::fuzz_target;
use tandem_probe::fuzz::decode;

const LONGEST: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    let (cut, bytes) = tandem_fuzz::choice(data);
    let kind = |e| std::mem::discriminant(&e);
    let whole = decode(bytes, usize::MAX, LONGEST).map_err(kind);
    assert_eq!(decode(bytes, cut, LONGEST).map_err(kind), whole);
    if let Ok((status, body)) = whole {
        assert!((200..600).contains(&status) && body.len() <= LONGEST.min(bytes.len()));
    }
});
