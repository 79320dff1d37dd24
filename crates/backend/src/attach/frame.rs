use std::io;

use tandem_model::Exit;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::{Stream, WindowSize};

/// The longest body that is taken, in bytes.
const LONGEST: usize = 64 * 1024;

/// A byte that tells the kind, and the body's length in four (big-endian).
const HEAD: usize = 5;

/// What somebody attached says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FromClient {
    Input(Vec<u8>),
    EndOfInput,
    Resize(WindowSize),
    /// It leaves, and standard input stays open.
    Detach,
}

/// What the supervisor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ToClient {
    Output(Stream, Vec<u8>),
    End(Option<Exit>),
}

pub(super) fn bytes(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[kind][..], &length, body].concat()
}

impl FromClient {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Input(input) => bytes(b'i', input),
            Self::EndOfInput => bytes(b'e', &[]),
            Self::Resize(size) => {
                let [rows, columns] = [size.rows.to_be_bytes(), size.columns.to_be_bytes()];
                bytes(b'w', &[rows, columns].concat())
            }
            Self::Detach => bytes(b'd', &[]),
        }
    }

    fn read(kind: u8, body: &[u8]) -> io::Result<Self> {
        match (kind, body) {
            (b'i', input) => Ok(Self::Input(input.to_vec())),
            (b'e', []) => Ok(Self::EndOfInput),
            (b'w', [a, b, c, d]) => Ok(Self::Resize(WindowSize {
                rows: u16::from_be_bytes([*a, *b]),
                columns: u16::from_be_bytes([*c, *d]),
            })),
            (b'd', []) => Ok(Self::Detach),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// The kind of a frame with output.
pub(super) fn kind_of(stream: Stream) -> u8 {
    match stream {
        Stream::Stdout => b'o',
        Stream::Stderr => b'r',
    }
}

impl ToClient {
    #[cfg(test)]
    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Output(stream, output) => bytes(kind_of(*stream), output),
            Self::End(exit) => end(exit.as_ref()),
        }
    }

    fn read(kind: u8, body: &[u8]) -> io::Result<Self> {
        match kind {
            b'o' => Ok(Self::Output(Stream::Stdout, body.to_vec())),
            b'r' => Ok(Self::Output(Stream::Stderr, body.to_vec())),
            b'x' => Ok(Self::End(serde_json::from_slice(body)?)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// The last frame.
pub(super) fn end(exit: Option<&Exit>) -> Vec<u8> {
    bytes(b'x', &serde_json::to_vec(&exit).unwrap_or_default())
}

/// Takes frames out of a stream of bytes.
#[derive(Debug)]
pub(super) struct Frames<R> {
    source: R,
    pending: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, pending: Vec::new() }
    }

    pub(super) async fn next_request(&mut self) -> io::Result<Option<FromClient>> {
        self.next(FromClient::read).await
    }

    pub(super) async fn next_event(&mut self) -> io::Result<Option<ToClient>> {
        self.next(ToClient::read).await
    }

    /// The next frame; `None` at the end. May be dropped while it waits.
    async fn next<T>(&mut self, read: fn(u8, &[u8]) -> io::Result<T>) -> io::Result<Option<T>> {
        loop {
            if let Some((head, rest)) = self.pending.split_first_chunk::<HEAD>() {
                let [kind, length @ ..] = *head;
                let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                if length > LONGEST {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                if let Some(body) = rest.get(..length) {
                    let frame = read(kind, body)?;
                    self.pending.drain(..HEAD + length);
                    return Ok(Some(frame));
                }
            }
            if self.source.read_buf(&mut self.pending).await? == 0 {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    #[test]
    fn frames_come_back_as_they_were() {
        let said = [
            FromClient::Input(b"ls\n".to_vec()),
            FromClient::Resize(WindowSize { rows: 40, columns: 300 }),
            FromClient::Input(Vec::new()),
            FromClient::EndOfInput,
            FromClient::Detach,
        ];
        let bytes: Vec<u8> = said.iter().flat_map(FromClient::to_bytes).collect();
        let exit = Exit { code: 3, out_of_memory: false, error: None };
        let answered = [ToClient::Output(Stream::Stderr, b"x".to_vec()), ToClient::End(Some(exit))];
        let back: Vec<u8> = answered.iter().flat_map(ToClient::to_bytes).collect();
        runtime().block_on(async {
            let mut frames = Frames::new(bytes.as_slice());
            for frame in said {
                assert_eq!(frames.next_request().await.unwrap(), Some(frame));
            }
            assert_eq!(frames.next_request().await.unwrap(), None);
            let mut frames = Frames::new(back.as_slice());
            for frame in answered {
                assert_eq!(frames.next_event().await.unwrap(), Some(frame));
            }
        });
    }

    proptest! {
        #[test]
        fn no_bytes_are_fatal(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            runtime().block_on(async {
                let mut frames = Frames::new(bytes.as_slice());
                while let Ok(Some(_)) = frames.next_request().await {}
                let mut frames = Frames::new(bytes.as_slice());
                while let Ok(Some(_)) = frames.next_event().await {}
            });
        }
    }
}
