use std::str;

/// The bytes are no HTTP response that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// The first line is not a status line.
    #[error("the answer is not HTTP: it begins with `{0}`")]
    NotHttp(String),
    /// A header line breaks the grammar.
    #[error("a header of the answer cannot be read: `{0}`")]
    Header(String),
    /// The length headers contradict each other or are no numbers.
    #[error("the answer does not say clearly how long it is: `{0}`")]
    Length(String),
    /// A chunk breaks the grammar.
    #[error("a chunk of the answer cannot be read")]
    Chunk,
    /// The connection ended first.
    #[error("the connection was closed before the answer was complete")]
    Truncated,
    /// The head or the body is longer than the limit.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// The longest head that is read, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// The longest line that frames a chunk, in bytes.
const LONGEST_CHUNK_LINE: usize = 4096;

/// How the end of a body is told (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

/// Reads a response as its bytes come in.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// Bytes that were not used yet.
    buffer: Vec<u8>,
    head: Option<(u16, Framing)>,
    body: Vec<u8>,
    body_limit: usize,
    chunk: Chunk,
}

/// Where a chunked body stands (RFC 9112, section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Size,
    Data(usize),
    /// The line end behind the data.
    End,
    Trailer,
}

impl Decoder {
    pub(crate) fn new(body_limit: usize) -> Self {
        Self { buffer: Vec::new(), head: None, body: Vec::new(), body_limit, chunk: Chunk::Size }
    }

    /// Status and body, once complete.
    pub(crate) fn into_response(self) -> Option<(u16, Vec<u8>)> {
        self.head.map(|(status, _)| (status, self.body))
    }

    /// Takes bytes in. `Ok(true)` says that the response is complete; what
    /// stands behind it is ignored.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<bool, ResponseError> {
        self.buffer.extend_from_slice(bytes);
        let framing = loop {
            if let Some((_, framing)) = self.head {
                break framing;
            }
            let Some(length) = head_length(&self.buffer) else {
                check_beginning(&self.buffer)?;
                return if self.buffer.len() > LONGEST_HEAD {
                    Err(ResponseError::TooLong(LONGEST_HEAD))
                } else {
                    Ok(false)
                };
            };
            let head: Vec<u8> = self.buffer.drain(..length).collect();
            let (status, framing) = parse_head(&head)?;
            // Interim responses come before the real one.
            if !(100..200).contains(&status) {
                self.head = Some((status, framing));
            }
        };
        match framing {
            Framing::Length(length) => {
                if length > self.body_limit {
                    return Err(ResponseError::TooLong(self.body_limit));
                }
                let missing = length - self.body.len();
                self.take(missing)?;
                Ok(self.body.len() == length)
            }
            Framing::UntilClosed => {
                self.take(usize::MAX)?;
                Ok(false)
            }
            Framing::Chunked => self.chunks(),
        }
    }

    /// The peer closed the connection. `Ok` says that this completed the
    /// response.
    pub(crate) fn finish(&self) -> Result<(), ResponseError> {
        match self.head {
            Some((_, Framing::UntilClosed)) => Ok(()),
            _ => Err(ResponseError::Truncated),
        }
    }

    /// Moves at most `wanted` bytes to the body; returns how many.
    fn take(&mut self, wanted: usize) -> Result<usize, ResponseError> {
        let count = wanted.min(self.buffer.len());
        if count > self.body_limit - self.body.len() {
            return Err(ResponseError::TooLong(self.body_limit));
        }
        self.body.extend(self.buffer.drain(..count));
        Ok(count)
    }

    fn chunks(&mut self) -> Result<bool, ResponseError> {
        loop {
            if let Chunk::Data(left) = self.chunk {
                let taken = self.take(left)?;
                if taken < left {
                    self.chunk = Chunk::Data(left - taken);
                    return Ok(false);
                }
                self.chunk = Chunk::End;
            }
            let Some(line) = self.chunk_line()? else { return Ok(false) };
            self.chunk = match self.chunk {
                Chunk::Size => match chunk_size(&line)? {
                    0 => Chunk::Trailer,
                    size if size > self.body_limit => {
                        return Err(ResponseError::TooLong(self.body_limit));
                    }
                    size => Chunk::Data(size),
                },
                Chunk::End if line.is_empty() => Chunk::Size,
                Chunk::End | Chunk::Data(_) => return Err(ResponseError::Chunk),
                Chunk::Trailer if line.is_empty() => return Ok(true),
                Chunk::Trailer => Chunk::Trailer,
            };
        }
    }

    fn chunk_line(&mut self) -> Result<Option<Vec<u8>>, ResponseError> {
        let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else {
            return if self.buffer.len() > LONGEST_CHUNK_LINE {
                Err(ResponseError::Chunk)
            } else {
                Ok(None)
            };
        };
        let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(line))
    }
}

/// Length of the head with its empty line, once that is there. A bare line
/// feed may stand for a line end (RFC 9112, section 2.2).
fn head_length(buffer: &[u8]) -> Option<usize> {
    let mut start = 0;
    while let Some(end) = buffer[start..].iter().position(|byte| *byte == b'\n') {
        if start > 0 && matches!(&buffer[start..start + end], b"" | b"\r") {
            return Some(start + end + 1);
        }
        start += end + 1;
    }
    None
}

/// Turns away at once what cannot become a response.
fn check_beginning(buffer: &[u8]) -> Result<(), ResponseError> {
    let expected = b"HTTP/1.";
    let common = buffer.len().min(expected.len());
    if buffer[..common] == expected[..common] {
        Ok(())
    } else {
        Err(ResponseError::NotHttp(excerpt(buffer)))
    }
}

fn parse_head(head: &[u8]) -> Result<(u16, Framing), ResponseError> {
    check_beginning(head)?;
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let status_line = lines.next().unwrap_or_default();
    let status = status(status_line).ok_or_else(|| ResponseError::NotHttp(excerpt(status_line)))?;
    let mut length = None;
    let mut chunked = false;
    let mut encoded = false;
    for line in lines.filter(|line| !line.is_empty()) {
        let wrong = || ResponseError::Header(excerpt(line));
        let colon = line.iter().position(|byte| *byte == b':').ok_or_else(wrong)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || name.iter().any(u8::is_ascii_whitespace) {
            return Err(wrong());
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            encoded = true;
            let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
            chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let wrong = || ResponseError::Length(excerpt(line));
            let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let number = str::from_utf8(value).ok().filter(|_| digits);
            let number: usize = number.and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
            if length.replace(number).is_some_and(|other| other != number) {
                return Err(wrong());
            }
        }
    }
    let framing = match length {
        _ if matches!(status, 100..=199 | 204 | 304) => Framing::Length(0),
        _ if chunked => Framing::Chunked,
        Some(length) if !encoded => Framing::Length(length),
        _ => Framing::UntilClosed,
    };
    Ok((status, framing))
}

/// `HTTP/1.1 200 OK`; the reason may be missing.
fn status(line: &[u8]) -> Option<u16> {
    let mut words = line.split(|byte| *byte == b' ').skip(1);
    let code = words.next().filter(|code| code.len() == 3)?;
    let code = str::from_utf8(code).ok()?.parse().ok()?;
    (100..600).contains(&code).then_some(code)
}

/// Size in hexadecimal; extensions behind a semicolon are ignored.
fn chunk_size(line: &[u8]) -> Result<usize, ResponseError> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(ResponseError::Chunk);
    }
    let text = str::from_utf8(digits).map_err(|_| ResponseError::Chunk)?;
    usize::from_str_radix(text, 16).map_err(|_| ResponseError::Chunk)
}

fn excerpt(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(&line[..line.len().min(40)]).escape_debug().collect()
}

/// Feeds the bytes in pieces and closes; the response or the first error.
/// For the tests and the fuzz targets.
pub fn decode(
    bytes: &[u8],
    piece: usize,
    body_limit: usize,
) -> Result<(u16, Vec<u8>), ResponseError> {
    let mut decoder = Decoder::new(body_limit);
    let mut whole = false;
    for piece in bytes.chunks(piece.max(1)) {
        whole = decoder.push(piece)?;
        if whole {
            break;
        }
    }
    if !whole {
        decoder.finish()?;
    }
    decoder.into_response().ok_or(ResponseError::Truncated)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8], piece: usize) -> Result<(u16, Vec<u8>), ResponseError> {
        super::decode(bytes, piece, 1 << 20)
    }

    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n\
        5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n";

    #[test]
    fn all_framings_are_read_in_any_pieces() {
        let interim = b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.0 200\nContent-length: 2\n\nok";
        for piece in 1..60 {
            let body = decode(CHUNKED, piece);
            assert_eq!(body, Ok((200, b"hello world".to_vec())), "{piece}");
            assert_eq!(decode(interim, piece), Ok((200, b"ok".to_vec())), "{piece}");
            let closed = b"HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\ngone";
            assert_eq!(decode(closed, piece), Ok((404, b"gone".to_vec())), "{piece}");
        }
        let none = b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(decode(none, 9), Ok((204, Vec::new())));
    }

    #[test]
    fn what_is_cut_off_is_no_response() {
        for length in 0..CHUNKED.len() {
            assert_eq!(decode(&CHUNKED[..length], 7), Err(ResponseError::Truncated), "{length}");
        }
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour";
        assert_eq!(decode(short, 100), Err(ResponseError::Truncated));
    }

    #[test]
    fn hostile_answers_are_refused() {
        let refused = |bytes: &[u8]| decode(bytes, 4096).unwrap_err();
        assert!(matches!(refused(b"SSH-2.0-x\r\n"), ResponseError::NotHttp(_)));
        assert!(matches!(refused(b"HTTP/1.1 2000 OK\r\n\r\n"), ResponseError::NotHttp(_)));
        let head = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}\r\n\r\n").into_bytes();
        assert!(matches!(refused(&head("no colon")), ResponseError::Header(_)));
        assert!(matches!(refused(&head("Content-Length: -1")), ResponseError::Length(_)));
        let twice = head("Content-Length: 1\r\nContent-Length: 2");
        assert!(matches!(refused(&twice), ResponseError::Length(_)));
        assert_eq!(refused(&head("Content-Length: 99999999")), ResponseError::TooLong(1 << 20));
        let mut huge = head("Transfer-Encoding: chunked");
        huge.extend_from_slice(b"ffffffffffffffff\r\n");
        assert_eq!(refused(&huge), ResponseError::TooLong(1 << 20));
        let endless = [b"HTTP/1.1 200 OK\r\n".as_slice(), &vec![b'x'; LONGEST_HEAD]].concat();
        assert_eq!(refused(&endless), ResponseError::TooLong(LONGEST_HEAD));
        let flood = [head("X: y").as_slice(), &vec![0; (1 << 20) + 1]].concat();
        assert_eq!(refused(&flood), ResponseError::TooLong(1 << 20));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn pieces_do_not_matter(
            bytes in "HTTP/1\\.1 [0-9]{2,3} x\r\n((Content-Length: [0-9]{1,2}|Transfer-Encoding: chunked)\r\n){0,2}\r\n[0-9a-f]{0,3}\r\n\\PC{0,30}",
            piece in 1..20_usize,
        ) {
            // An error quotes what had come so far, so only its kind is compared.
            let kind = |e: ResponseError| std::mem::discriminant(&e);
            let whole = decode(bytes.as_bytes(), bytes.len()).map_err(kind);
            prop_assert_eq!(decode(bytes.as_bytes(), piece).map_err(kind), whole);
        }

        #[test]
        fn no_bytes_are_fatal(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1..20_usize) {
            let _ = decode(&bytes, piece);
        }
    }
}
