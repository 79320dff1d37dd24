//! Frames of both sides, from any bytes.

use std::io;

use tokio::io::AsyncRead;

use super::frame::Frames;

/// Reads requests up to the end or the first fault, and gives them back as
/// bytes.
pub async fn requests(source: impl AsyncRead + Unpin) -> (Vec<u8>, io::Result<()>) {
    let (mut frames, mut written) = (Frames::new(source), Vec::new());
    loop {
        match frames.next_request().await {
            Ok(Some(frame)) => written.extend(frame.to_bytes()),
            Ok(None) => return (written, Ok(())),
            Err(e) => return (written, Err(e)),
        }
    }
}

/// Reads events up to the end or the first fault; how many there were.
pub async fn events(source: impl AsyncRead + Unpin) -> (usize, io::Result<()>) {
    let (mut frames, mut count) = (Frames::new(source), 0);
    loop {
        match frames.next_event().await {
            Ok(Some(_)) => count += 1,
            Ok(None) => return (count, Ok(())),
            Err(e) => return (count, Err(e)),
        }
    }
}
