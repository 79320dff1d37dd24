//! QEMU's lines, from any bytes.

use super::message::{Lines, Message};

/// Reads lines that come in pieces of `cut` bytes: each message, or the fault
/// that ends the dialogue, for people.
pub fn messages(bytes: &[u8], cut: usize) -> Vec<String> {
    let (mut lines, mut found) = (Lines::default(), Vec::new());
    for piece in bytes.chunks(cut.max(1)) {
        lines.push(piece);
        while let Some(message) = lines.next_message() {
            let fault = message.is_err();
            found.push(match message {
                Ok(Message::Greeting { qmp }) => qmp.version(),
                other => format!("{other:?}"),
            });
            if fault {
                return found;
            }
        }
    }
    found
}
