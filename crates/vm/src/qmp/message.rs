//! What QEMU says on its monitor (QEMU, `docs/interop/qmp-spec.rst`).

use serde::Deserialize;
use serde_json::Value;

/// The longest line that is read, in bytes.
pub(super) const LONGEST: usize = 1 << 20;

/// One line from QEMU.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Message {
    /// The first line.
    Greeting {
        #[serde(rename = "QMP")]
        qmp: Greeting,
    },
    /// Something happened by itself.
    Event { event: String },
    /// The answer to a command that was done.
    Return { id: u64, r#return: Value },
    /// The answer to a command that was not.
    Error { id: Option<u64>, error: Refusal },
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Greeting {
    version: Version,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Version {
    qemu: Triple,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Triple {
    major: u32,
    minor: u32,
    micro: u32,
}

impl Greeting {
    /// Version, e.g. `10.0.2`.
    pub(super) fn version(&self) -> String {
        let Triple { major, minor, micro } = self.version.qemu;
        format!("{major}.{minor}.{micro}")
    }
}

/// Why a command was not done.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Refusal {
    pub(super) desc: String,
}

/// Cuts bytes into lines and reads each; blank ones are passed over.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    /// Adds bytes. Call [`Self::next_message`] until it has no more before
    /// adding others.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next message; an error is a sentence, and the end of the dialogue.
    pub(super) fn next_message(&mut self) -> Option<Result<Message, String>> {
        loop {
            let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') else {
                let too_long = self.pending.len() > LONGEST;
                return too_long.then(|| Err("a line is too long".to_owned()));
            };
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            if line.trim_ascii().is_empty() {
                continue;
            }
            return Some(serde_json::from_slice(&line).map_err(|e| e.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<Result<Message, String>> {
        let mut lines = Lines::default();
        lines.push(text.as_bytes());
        std::iter::from_fn(|| lines.next_message()).collect()
    }

    #[test]
    fn every_kind_of_line_is_read() {
        let greeting = r#"{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": "x"}, "capabilities": ["oob"]}}"#;
        let Ok(Message::Greeting { qmp }) = &read(&format!("{greeting}\r\n"))[0] else { panic!() };
        assert_eq!(qmp.version(), "10.0.2");
        assert_eq!(
            read("{\"return\": {}, \"id\": 7}\r\n\r\n{\"timestamp\": {}, \"event\": \"STOP\"}\r\n"),
            [
                Ok(Message::Return { id: 7, r#return: serde_json::json!({}) }),
                Ok(Message::Event { event: "STOP".into() })
            ]
        );
        let refused = r#"{"id": 1, "error": {"class": "GenericError", "desc": "no"}}"#;
        assert_eq!(
            read(&format!("{refused}\n")),
            [Ok(Message::Error { id: Some(1), error: Refusal { desc: "no".into() } })]
        );
        assert!(read("{\"half\":").is_empty());
        assert!(read("[]\n")[0].is_err());
    }

    proptest! {
        #[test]
        fn garbage_is_an_error_or_nothing(pieces in proptest::collection::vec(".{0,80}\n?", 0..9)) {
            let mut lines = Lines::default();
            for piece in &pieces {
                lines.push(piece.as_bytes());
                while let Some(Ok(_)) = lines.next_message() {}
            }
            prop_assert!(lines.pending.len() <= pieces.iter().map(String::len).sum());
        }
    }
}
