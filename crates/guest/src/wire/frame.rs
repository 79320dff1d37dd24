use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The longest payload of a frame, in bytes.
pub const LONGEST: usize = 32 * 1024;

/// Kind and length before each payload.
const HEADER: usize = 5;

/// Which of the app's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a running guest says besides the app's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum FromGuest {
    /// The app ended, its output was sent and its files are safe on the disk:
    /// the machine may be switched off.
    Exited {
        /// The exit code; 128 + signal when a signal ended it.
        code: i32,
        /// The guest's kernel killed it for want of memory.
        out_of_memory: bool,
    },
}

/// What the host asks of a running guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum ToGuest {
    /// Send a signal to the app.
    Signal {
        /// Its number.
        number: i32,
    },
}

/// One unit on the channel: a byte for the kind, the length as four bytes with
/// the least significant first, the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<M> {
    /// Output of the app, any bytes.
    Output(Stream, Vec<u8>),
    /// A message.
    Message(M),
}

impl<M: Serialize> Frame<M> {
    /// The frame as bytes.
    ///
    /// # Panics
    /// When the payload is longer than [`LONGEST`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, payload) = match self {
            Self::Output(Stream::Stdout, bytes) => (1, bytes.clone()),
            Self::Output(Stream::Stderr, bytes) => (2, bytes.clone()),
            Self::Message(message) => (3, serde_json::to_vec(message).unwrap_or_default()),
        };
        assert!(payload.len() <= LONGEST, "the payload is cut into frames before");
        let length = u32::try_from(payload.len()).unwrap_or_default();
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.push(kind);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&payload);
        bytes
    }
}

/// The other side does not keep to the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No frame begins so.
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    /// A frame is longer than allowed.
    #[error("a frame of {0} bytes")]
    TooLong(u32),
    /// A message cannot be read.
    #[error("an unreadable message ({0})")]
    Message(String),
}

/// Cuts a stream of bytes into frames. After an error the stream has no
/// meaning any more and must be given up.
#[derive(Debug, Default)]
pub struct Frames {
    pending: Vec<u8>,
}

impl Frames {
    /// Adds bytes as they came. Call [`Self::next_frame`] until it has nothing more
    /// before adding others; then never more than these and one frame are held.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub fn next_frame<M: DeserializeOwned>(&mut self) -> Option<Result<Frame<M>, FrameError>> {
        let [kind, l0, l1, l2, l3, ..] = self.pending[..] else { return None };
        if !(1..=3).contains(&kind) {
            return Some(Err(FrameError::Kind(kind)));
        }
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let end = match usize::try_from(length) {
            Ok(length) if length <= LONGEST => HEADER + length,
            _ => return Some(Err(FrameError::TooLong(length))),
        };
        if self.pending.len() < end {
            return None;
        }
        let payload: Vec<u8> = self.pending.drain(..end).skip(HEADER).collect();
        Some(match kind {
            1 => Ok(Frame::Output(Stream::Stdout, payload)),
            2 => Ok(Frame::Output(Stream::Stderr, payload)),
            _ => serde_json::from_slice(&payload)
                .map(Frame::Message)
                .map_err(|e| FrameError::Message(e.to_string())),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(frames: &mut Frames) -> Vec<Result<Frame<FromGuest>, FrameError>> {
        let mut found = Vec::new();
        while let Some(frame) = frames.next_frame() {
            let failed = frame.is_err();
            found.push(frame);
            if failed {
                break;
            }
        }
        found
    }

    fn frame() -> impl Strategy<Value = Frame<FromGuest>> {
        let output = (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..300)).prop_map(
            |(error, bytes)| {
                Frame::Output(if error { Stream::Stderr } else { Stream::Stdout }, bytes)
            },
        );
        let message = (any::<i32>(), any::<bool>()).prop_map(|(code, out_of_memory)| {
            Frame::Message(FromGuest::Exited { code, out_of_memory })
        });
        prop_oneof![output, message]
    }

    #[test]
    fn lengths_and_kinds_are_checked_before_the_payload_comes() {
        let mut frames = Frames::default();
        frames.push(&[1, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(read(&mut frames), [Err(FrameError::TooLong(u32::MAX))]);
        let mut frames = Frames::default();
        frames.push(&[9, 0, 0, 0, 0]);
        assert_eq!(read(&mut frames), [Err(FrameError::Kind(9))]);
        let mut frames = Frames::default();
        frames.push(&[3, 1, 0, 0, 0, b'{']);
        assert!(matches!(read(&mut frames)[..], [Err(FrameError::Message(_))]));
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(sent in proptest::collection::vec(frame(), 0..8), cut in 1_usize..40) {
            let bytes: Vec<u8> = sent.iter().flat_map(Frame::to_bytes).collect();
            let mut frames = Frames::default();
            let mut received = Vec::new();
            for piece in bytes.chunks(cut) {
                frames.push(piece);
                received.extend(read(&mut frames).into_iter().map(Result::unwrap));
            }
            prop_assert_eq!(received, sent);
            prop_assert!(frames.pending.is_empty());
        }

        #[test]
        fn garbage_neither_panics_nor_piles_up(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..400), 0..20)) {
            let mut frames = Frames::default();
            for piece in pieces {
                frames.push(&piece);
                if read(&mut frames).iter().any(Result::is_err) {
                    break;
                }
                prop_assert!(frames.pending.len() <= HEADER + LONGEST);
            }
        }
    }
}
