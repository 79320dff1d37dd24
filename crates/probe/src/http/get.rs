use std::{io, net::SocketAddr, time::Duration};

use tandem_model::HostInstant;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::response::{Decoder, ResponseError};
use crate::now;

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// When its last byte was read.
    pub at: HostInstant,
    /// The status code.
    pub status: u16,
    /// The body, without its framing.
    pub bytes: Vec<u8>,
}

/// Why one request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// Nobody listens, or the connection broke.
    #[error("{0}")]
    Connection(#[from] io::Error),
    /// The answer cannot be read.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// Nothing complete came in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
}

/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 16 << 20;

/// One GET over a connection of its own, within `limit`.
pub async fn get(addr: SocketAddr, path: &str, limit: Duration) -> Result<Body, GetError> {
    tokio::time::timeout(limit, exchange(addr, path)).await.unwrap_or(Err(GetError::Timeout(limit)))
}

pub(super) async fn exchange(addr: SocketAddr, path: &str) -> Result<Body, GetError> {
    let mut stream = TcpStream::connect(addr).await?;
    // TCP's simultaneous open lets a socket meet itself when its own port is
    // the one that it asks for.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
    }
    stream.set_nodelay(true)?;
    stream.write_all(request(addr, path).as_bytes()).await?;
    let mut decoder = Decoder::new(LONGEST_BODY);
    let mut buffer = vec![0; 16 * 1024];
    let at = loop {
        let count = stream.read(&mut buffer).await?;
        let at = now();
        if count == 0 {
            decoder.finish()?;
            break at;
        }
        if decoder.push(&buffer[..count])? {
            break at;
        }
    };
    let (status, bytes) = decoder.into_response().ok_or(ResponseError::Truncated)?;
    Ok(Body { at, status, bytes })
}

fn request(addr: SocketAddr, path: &str) -> String {
    // Nothing in a path may end the request line.
    let clean = |c: char| c.is_ascii_graphic();
    let path: String = path.chars().filter(|c| clean(*c)).collect();
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!(
        "GET {slash}{path} HTTP/1.1\r\nHost: {addr}\r\nUser-Agent: tandem\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_smuggle_a_header() {
        let text = request("127.0.0.1:80".parse().unwrap(), "a b\r\nX: y");
        assert!(text.starts_with("GET /abX:y HTTP/1.1\r\nHost: 127.0.0.1:80\r\n"), "{text}");
        assert_eq!(text.matches("\r\n").count(), 6);
    }
}
