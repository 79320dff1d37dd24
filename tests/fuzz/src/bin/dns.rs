#![no_main]
//! What a container sends to its resolver, and what name servers answer.

use libfuzzer_sys::fuzz_target;
use tandem_container::fuzz::dns::{answers, judged, refused};

/// Bytes of a header (RFC 1035, 4.1.1).
const HEADER: usize = 12;

fuzz_target!(|data: &[u8]| {
    let (cut, message) = tandem_fuzz::choice(data);
    let whole = message.len() >= HEADER;
    match judged(message) {
        Ok(answer) => {
            assert!(answers(&answer, message), "an answer to something else");
            // What came back as a question would be asked again for ever.
            assert_eq!(judged(&answer), Err(false));
            // No question makes an answer that is much larger.
            assert!(answer.len() <= message.len() + 300);
        }
        Err(forward) => assert!(!forward || whole && message[2] & 0x80 == 0),
    }
    for no_name in [true, false] {
        let answer = refused(message, no_name);
        assert!(answer.len() <= message.len().max(HEADER) + 300);
        assert!(!whole || answers(&answer, message));
        assert_eq!(answer[3] & 0xf, if no_name { 3 } else { 2 });
    }
    let (question, answer) = message.split_at(cut.min(message.len()));
    if answers(answer, question) {
        assert_eq!(answer[..2], question[..2]);
    }
    let _ = tandem_container::fuzz::servers(&tandem_fuzz::text(message));
});
