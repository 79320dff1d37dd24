//! Questions about the world, passed on to name servers from the supervisor's
//! own network namespace, the host's: also to those on its loopback address.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::message::{Refusal, is_answer_to, refusal};
use crate::network::files::name_servers;

/// How long one name server may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// So many are asked, as by a C library (resolv.conf(5)).
const MOST_SERVERS: usize = 3;

const PORT: u16 = 53;

/// Who is asked.
#[derive(Debug, Clone)]
pub(super) enum Upstream {
    /// These.
    Given(Vec<SocketAddr>),
    /// Those in the host's `/etc/resolv.conf`, read anew for each question.
    Host,
    /// Nobody: the network is cut off.
    Nobody,
}

impl Upstream {
    /// These name servers, or the host's when there are none.
    pub(super) fn new(given: &[IpAddr]) -> Self {
        if given.is_empty() {
            return Self::Host;
        }
        Self::Given(given.iter().map(|server| SocketAddr::new(*server, PORT)).collect())
    }

    fn servers(&self) -> Vec<SocketAddr> {
        match self {
            Self::Given(servers) => servers.clone(),
            Self::Host => {
                let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
                name_servers(&text).map(|server| SocketAddr::new(server, PORT)).collect()
            }
            Self::Nobody => Vec::new(),
        }
    }

    /// The answer to a question, by the transport on which it came: one that
    /// is too long for a datagram says so, and the client asks again by TCP.
    pub(super) async fn ask(&self, question: &[u8], stream: bool) -> Vec<u8> {
        if matches!(self, Self::Nobody) {
            return refusal(question, Refusal::NoName);
        }
        for server in self.servers().into_iter().take(MOST_SERVERS) {
            let answer = async {
                if stream {
                    by_stream(server, question).await
                } else {
                    by_datagram(server, question).await
                }
            };
            if let Ok(Ok(answer)) = timeout(PATIENCE, answer).await {
                return answer;
            }
        }
        refusal(question, Refusal::Failure)
    }
}

async fn by_datagram(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    // A socket for each question: its port is hard to guess, and the kernel
    // passes on only what the server sends.
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut answer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut answer).await?;
        if is_answer_to(&answer[..length], question) {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

async fn by_stream(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    write_framed(&mut stream, question).await?;
    let answer = read_framed(&mut stream).await?;
    if is_answer_to(&answer, question) {
        Ok(answer)
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// A message on a stream has its length in front (RFC 1035, 4.2.2).
pub(super) async fn write_framed(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes(), message].concat();
    stream.write_all(&framed).await
}

pub(super) async fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer of this many bytes.
    fn answer(question: &[u8], length: usize) -> Vec<u8> {
        let mut answer = question.to_vec();
        answer[2] |= 0x80;
        answer.resize(length, 0);
        answer
    }

    const QUESTION: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01x\x00\x00\x01\x00\x01";

    #[tokio::test]
    async fn a_forged_answer_is_passed_over() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let upstream = Upstream::Given(vec![server.local_addr().unwrap()]);
        let serve = async {
            let mut question = [0; 512];
            let (length, client) = server.recv_from(&mut question).await.unwrap();
            let mut forged = answer(&question[..length], length);
            forged[0] ^= 1;
            server.send_to(&forged, client).await.unwrap();
            server.send_to(&answer(&question[..length], 40), client).await.unwrap();
        };
        let (got, ()) = tokio::join!(upstream.ask(QUESTION, false), serve);
        assert_eq!(got, answer(QUESTION, 40));
    }

    #[tokio::test]
    async fn a_long_answer_comes_by_stream() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Upstream::Given(vec![server.local_addr().unwrap()]);
        let serve = async {
            let (mut client, _) = server.accept().await.unwrap();
            let question = read_framed(&mut client).await.unwrap();
            write_framed(&mut client, &answer(&question, 9000)).await.unwrap();
        };
        let (got, ()) = tokio::join!(upstream.ask(QUESTION, true), serve);
        assert_eq!(got, answer(QUESTION, 9000));
    }

    #[tokio::test]
    async fn the_next_server_is_asked_when_one_is_gone() {
        let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let failed = Upstream::Given(vec![gone]).ask(QUESTION, false).await;
        assert_eq!(failed, refusal(QUESTION, Refusal::Failure));
        let cut_off = Upstream::Nobody.ask(QUESTION, false).await;
        assert_eq!(cut_off, refusal(QUESTION, Refusal::NoName));
    }
}
