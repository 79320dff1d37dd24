use serde::{Serialize, de::DeserializeOwned};

/// The longest payload of a frame, in bytes.
pub const LONGEST: usize = 32 * 1024;

/// Kind, task and length before each payload.
const HEADER: usize = 9;

/// The task that is the app itself; every other number is given by the host.
pub const APP: u32 = 0;

/// How much a frame of data counts against a window: its bytes, and what
/// holding it costs. So a flood of tiny frames fills no memory either.
pub const fn cost(length: usize) -> usize {
    length + 64
}

/// One of a task's standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard input, from the host to the guest.
    Stdin,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One unit on the channel: a byte for the kind, the task and the length as
/// four bytes each with the least significant first, the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<M> {
    /// Which task it is about; [`APP`] is the app.
    pub task: u32,
    /// What it carries.
    pub body: Body<M>,
}

/// What a frame carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<M> {
    /// Bytes of a stream.
    Data(Stream, Vec<u8>),
    /// A message.
    Message(M),
}

impl<M: Serialize> Frame<M> {
    /// A frame with a message.
    pub const fn message(task: u32, message: M) -> Self {
        Self { task, body: Body::Message(message) }
    }

    /// A frame with bytes.
    pub const fn data(task: u32, stream: Stream, bytes: Vec<u8>) -> Self {
        Self { task, body: Body::Data(stream, bytes) }
    }

    /// The frame as bytes; `None` when the payload is longer than [`LONGEST`].
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let encoded;
        let (kind, payload) = match &self.body {
            Body::Data(Stream::Stdin, bytes) => (1, bytes),
            Body::Data(Stream::Stdout, bytes) => (2, bytes),
            Body::Data(Stream::Stderr, bytes) => (3, bytes),
            Body::Message(message) => {
                encoded = serde_json::to_vec(message).ok()?;
                (4, &encoded)
            }
        };
        let length = u32::try_from(payload.len()).ok()?;
        if payload.len() > LONGEST {
            return None;
        }
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.push(kind);
        bytes.extend_from_slice(&self.task.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(payload);
        Some(bytes)
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
        let (header, _) = self.pending.split_first_chunk::<HEADER>()?;
        let [kind, t0, t1, t2, t3, l0, l1, l2, l3] = *header;
        if !(1..=4).contains(&kind) {
            return Some(Err(FrameError::Kind(kind)));
        }
        let task = u32::from_le_bytes([t0, t1, t2, t3]);
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let end = match usize::try_from(length) {
            Ok(length) if length <= LONGEST => HEADER + length,
            _ => return Some(Err(FrameError::TooLong(length))),
        };
        if self.pending.len() < end {
            return None;
        }
        let payload: Vec<u8> = self.pending.drain(..end).skip(HEADER).collect();
        let body = match kind {
            1 => Body::Data(Stream::Stdin, payload),
            2 => Body::Data(Stream::Stdout, payload),
            3 => Body::Data(Stream::Stderr, payload),
            _ => match serde_json::from_slice(&payload) {
                Ok(message) => Body::Message(message),
                Err(e) => return Some(Err(FrameError::Message(e.to_string()))),
            },
        };
        Some(Ok(Frame { task, body }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::FromGuest, *};

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
        let streams = [Stream::Stdin, Stream::Stdout, Stream::Stderr];
        let data = (0..3_usize, any::<u32>(), proptest::collection::vec(any::<u8>(), 0..300))
            .prop_map(move |(stream, task, bytes)| Frame::data(task, streams[stream], bytes));
        let message =
            (any::<u32>(), any::<i32>(), any::<bool>()).prop_map(|(task, code, out_of_memory)| {
                Frame::message(task, FromGuest::Exited { code, out_of_memory })
            });
        prop_oneof![data, message]
    }

    #[test]
    fn lengths_and_kinds_are_checked_before_the_payload_comes() {
        let mut frames = Frames::default();
        frames.push(&[2, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(read(&mut frames), [Err(FrameError::TooLong(u32::MAX))]);
        let mut frames = Frames::default();
        frames.push(&[9, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(read(&mut frames), [Err(FrameError::Kind(9))]);
        let mut frames = Frames::default();
        frames.push(&[4, 0, 0, 0, 0, 1, 0, 0, 0, b'{']);
        assert!(matches!(read(&mut frames)[..], [Err(FrameError::Message(_))]));
    }

    #[test]
    fn what_is_too_long_is_not_sent() {
        let frame = |length| Frame::<FromGuest>::data(1, Stream::Stdin, vec![0; length]);
        assert!(frame(LONGEST).to_bytes().is_some());
        assert!(frame(LONGEST + 1).to_bytes().is_none());
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(sent in proptest::collection::vec(frame(), 0..8), cut in 1_usize..40) {
            let bytes: Vec<u8> = sent.iter().filter_map(Frame::to_bytes).flatten().collect();
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
