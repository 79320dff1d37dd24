#![no_main]
//! What a guest says: frames on its channel, and marks on the debug port.

use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};
use tandem_guest::wire::{Boot, FileAnswer, Frame, Frames, FromGuest, Marks, Process, ToGuest};

fuzz_target!(|data: &[u8]| {
    let (cut, bytes) = tandem_fuzz::choice(data);
    let whole = frames::<FromGuest>(bytes, usize::MAX);
    assert_eq!(whole, frames::<FromGuest>(bytes, cut));
    frames::<ToGuest>(bytes, cut);
    let mut marks = Marks::default();
    let found = bytes.iter().filter(|byte| marks.push(**byte).is_some()).count();
    assert!(found <= 5);
    for line in bytes.split(|byte| *byte == b'\n') {
        let _ = serde_json::from_slice::<Boot>(line).as_ref().map(tandem_fuzz::survives_json);
        let _ = serde_json::from_slice::<Process>(line).as_ref().map(tandem_fuzz::survives_json);
        let _ = serde_json::from_slice::<FileAnswer>(line).as_ref().map(tandem_fuzz::survives_json);
    }
});

/// The frames in pieces of `cut` bytes, each as it is written again; the last
/// may be a fault.
fn frames<M: Serialize + DeserializeOwned>(
    bytes: &[u8],
    cut: usize,
) -> Vec<Result<Vec<u8>, String>> {
    let (mut frames, mut found) = (Frames::default(), Vec::new());
    for piece in bytes.chunks(cut.max(1)) {
        frames.push(piece);
        while let Some(frame) = frames.next_frame::<M>() {
            let Ok(frame) = frame else {
                found.push(Err(frame.err().map(|e| e.to_string()).unwrap_or_default()));
                return found;
            };
            // A message may be written longer than it came, and then not at all.
            let Some(written) = frame.to_bytes() else { continue };
            let mut again = Frames::default();
            again.push(&written);
            let back: Frame<M> = again.next_frame().expect("it is whole").expect("it is sound");
            assert_eq!(back.to_bytes().as_ref(), Some(&written));
            found.push(Ok(written));
        }
    }
    found
}
