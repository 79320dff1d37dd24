//! The stream in which an engine sends both outputs of an app: a header of
//! eight bytes before each piece, the first of them the stream (1 standard
//! output, 2 standard error), the last four the length, big endian (Docker
//! Engine API, `ContainerAttach`, "Stream format").

use tandem_backend::Stream;

/// Takes the stream apart as its bytes arrive, wherever they are cut.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    header: Vec<u8>,
    stream: Option<Stream>,
    left: usize,
}

impl Frames {
    /// Gives each piece in `bytes` to `piece`, in order. What belongs to no
    /// output of the app is left out.
    pub(crate) fn push<'b>(
        &mut self,
        mut bytes: &'b [u8],
        mut piece: impl FnMut(Stream, &'b [u8]),
    ) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let (now, later) = bytes.split_at(self.left.min(bytes.len()));
                if let Some(stream) = self.stream {
                    piece(stream, now);
                }
                self.left -= now.len();
                bytes = later;
                continue;
            }
            let (now, later) = bytes.split_at((8 - self.header.len()).min(bytes.len()));
            self.header.extend_from_slice(now);
            bytes = later;
            if let [kind, _, _, _, a, b, c, d] = self.header[..] {
                self.stream = match kind {
                    1 => Some(Stream::Stdout),
                    2 => Some(Stream::Stderr),
                    _ => None,
                };
                self.left = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                self.header.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken_apart(bytes: &[u8], cut: usize) -> (Vec<u8>, Vec<u8>) {
        let (mut out, mut err, mut frames) = (Vec::new(), Vec::new(), Frames::default());
        for part in bytes.chunks(cut) {
            frames.push(part, |stream, piece| match stream {
                Stream::Stdout => out.extend_from_slice(piece),
                Stream::Stderr => err.extend_from_slice(piece),
            });
        }
        (out, err)
    }

    proptest! {
        #[test]
        fn pieces_come_whole_however_they_are_cut(
            pieces in prop::collection::vec((0_u8..4, prop::collection::vec(any::<u8>(), 0..40)), 0..20),
            cut in 1_usize..50,
        ) {
            let mut bytes = Vec::new();
            let mut expected = (Vec::new(), Vec::new());
            for (kind, text) in &pieces {
                bytes.extend_from_slice(&[*kind, 0, 0, 0]);
                bytes.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
                bytes.extend_from_slice(text);
                match kind {
                    1 => expected.0.extend_from_slice(text),
                    2 => expected.1.extend_from_slice(text),
                    _ => {}
                }
            }
            prop_assert_eq!(taken_apart(&bytes, cut), expected);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..500), cut in 1_usize..50) {
            let (out, err) = taken_apart(&bytes, cut);
            prop_assert!(out.len() + err.len() <= bytes.len());
        }
    }
}
