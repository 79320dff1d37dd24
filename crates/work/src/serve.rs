//! Answers HTTP requests with the same kilobyte.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use crate::{Problem, say};

/// Bytes of an answer's body.
const BODY: usize = 1024;

/// Longest request that is read.
const LONGEST: usize = 8 << 10;

/// How long a caller may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers one caller after the other, each on a connection of its own: what
/// is measured is the way to it, and its own part is the same everywhere.
pub(crate) fn run(address: &str) -> Result<(), Problem> {
    let listener = TcpListener::bind(address).map_err(Problem::io("listen"))?;
    say("listening")?;
    let body = "tandem ".repeat(BODY.div_ceil(7));
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {BODY}\r\nConnection: close\r\n\r\n{}",
        &body[..BODY]
    );
    for stream in listener.incoming() {
        // One caller's trouble is not the next one's.
        let _ = stream.and_then(|stream| respond(stream, answer.as_bytes()));
    }
    Ok(())
}

fn respond(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let (mut request, mut piece) = (Vec::new(), [0; 1024]);
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        let count = stream.read(&mut piece)?;
        if count == 0 || request.len() > LONGEST {
            return Ok(());
        }
        request.extend_from_slice(&piece[..count]);
    }
    stream.write_all(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_in_pieces_gets_a_whole_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            respond(stream, b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        });
        let mut stream = TcpStream::connect(address).unwrap();
        for piece in ["GET / HTTP/1.1\r\n", "Host: x\r\n\r", "\n"] {
            stream.write_all(piece.as_bytes()).unwrap();
        }
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        server.join().unwrap();
    }
}
