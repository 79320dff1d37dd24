//! The readiness prober against servers that come up in awkward ways.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tandem_probe::{ReadyError, ReadyOptions, get, now, wait_for_first_response};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::sleep,
};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn options(limit_ms: u64) -> ReadyOptions {
    ReadyOptions { limit: Duration::from_millis(limit_ms), ..ReadyOptions::default() }
}

async fn serve(mut stream: TcpStream, answer: &[u8]) {
    let mut buffer = [0; 1024];
    let _ = stream.read(&mut buffer).await;
    let _ = stream.write_all(answer).await;
}

#[tokio::test]
async fn a_port_that_opens_late_is_seen_at_once() {
    let (first, addr) = listener().await;
    drop(first);
    let server = tokio::spawn(async move {
        sleep(Duration::from_millis(120)).await;
        let listener = TcpListener::bind(addr).await.unwrap();
        let open = now();
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, OK).await;
        open
    });
    let found = wait_for_first_response(addr, "/", options(5000)).await.unwrap();
    let open = server.await.unwrap();
    assert_eq!((found.status, found.body.as_slice()), (200, b"hello".as_slice()));
    assert!(found.attempts > 5, "{} attempts", found.attempts);
    let late = found.at.since(open);
    assert!(late < 50_000_000, "{late} ns after the port was open");
}

#[tokio::test]
async fn the_last_byte_counts_not_the_first() {
    let (listener, addr) = listener().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 1024];
        let _ = stream.read(&mut buffer).await;
        for byte in OK {
            stream.write_all(&[*byte]).await.unwrap();
            sleep(Duration::from_millis(2)).await;
        }
    });
    let start = now();
    let options = ReadyOptions { stall: Duration::from_secs(9), ..options(5000) };
    let found = wait_for_first_response(addr, "/", options).await.unwrap();
    assert!(found.at.since(start) > 2_000_000 * (OK.len() as u64 - 1));
    assert_eq!(found.attempts, 1);
}

#[tokio::test]
async fn connections_that_are_lost_do_not_hold_up_a_fresh_one() {
    // Like a forwarding port whose network is not up: accepts, never answers.
    let (listener, addr) = listener().await;
    let most = Arc::new(AtomicUsize::new(0));
    let seen = most.clone();
    let start = Instant::now();
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if start.elapsed() < Duration::from_millis(900) {
                held.retain(|stream: &TcpStream| {
                    // Closed by the prober: readable with nothing behind the request.
                    let mut buffer = [0; 2048];
                    let mut read = stream.try_read(&mut buffer);
                    while read.as_ref().is_ok_and(|count| *count > 0) {
                        read = stream.try_read(&mut buffer);
                    }
                    read.is_err()
                });
                held.push(stream);
                seen.fetch_max(held.len(), Ordering::Relaxed);
            } else {
                tokio::spawn(serve(stream, OK));
            }
        }
    });
    let found = wait_for_first_response(addr, "/", options(5000)).await.unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_millis(1150), "{took:?}");
    assert!((10..30).contains(&found.attempts), "{} attempts", found.attempts);
    let most = most.load(Ordering::Relaxed);
    assert!((2..=9).contains(&most), "{most} connections at once");
}

#[tokio::test]
async fn an_app_that_thinks_is_left_alone_once_it_turned_somebody_away() {
    let (listener, addr) = listener().await;
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            match seen.fetch_add(1, Ordering::Relaxed) {
                0..3 => drop(stream),
                _ => {
                    tokio::spawn(async move {
                        sleep(Duration::from_millis(600)).await;
                        serve(stream, OK).await;
                    });
                }
            }
        }
    });
    let found = wait_for_first_response(addr, "/", options(5000)).await.unwrap();
    assert_eq!((found.attempts, count.load(Ordering::Relaxed)), (4, 4));
}

#[tokio::test]
async fn a_slow_app_behind_a_silent_port_is_waited_for() {
    let (listener, addr) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                sleep(Duration::from_millis(1200)).await;
                serve(stream, OK).await;
            });
        }
    });
    let start = Instant::now();
    wait_for_first_response(addr, "/", options(9000)).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(1600), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_time_limit_tells_what_was_seen_last() {
    let (listener, addr) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream, b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    let ReadyError::Timeout { last, .. } =
        wait_for_first_response(addr, "/", options(200)).await.unwrap_err();
    assert_eq!(last, "HTTP 500");
    assert_eq!(get(addr, "/", Duration::from_secs(5)).await.unwrap().status, 500);

    let (silent, addr) = self::listener().await;
    let ReadyError::Timeout { last, .. } =
        wait_for_first_response(addr, "/", options(150)).await.unwrap_err();
    assert!(last.contains("got no answer"), "{last}");
    drop(silent);

    let (gone, addr) = self::listener().await;
    drop(gone);
    let ReadyError::Timeout { last, .. } =
        wait_for_first_response(addr, "/", options(100)).await.unwrap_err();
    assert!(last.contains("refused"), "{last}");
}
