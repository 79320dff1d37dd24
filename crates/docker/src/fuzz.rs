//! What the fuzz targets (`tests/fuzz`) reach of this crate; nobody else may.

use tandem_backend::Stream;

use crate::frames::Frames;

/// Takes a stream with both outputs apart, in pieces of `cut` bytes.
pub fn outputs(bytes: &[u8], cut: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut out, mut err, mut frames) = (Vec::new(), Vec::new(), Frames::default());
    for piece in bytes.chunks(cut.max(1)) {
        frames.push(piece, |stream, text| match stream {
            Stream::Stdout => out.extend_from_slice(text),
            Stream::Stderr => err.extend_from_slice(text),
        });
    }
    (out, err)
}
