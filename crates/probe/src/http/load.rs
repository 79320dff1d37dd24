use std::{future::Future, net::SocketAddr, time::Duration};

use tandem_model::HostInstant;
use tokio::{task::JoinSet, time::Instant};

use super::get::get;
use crate::now;

/// One request of an open loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shot {
    /// When it was to be sent. Latency counts from here, so that a server that
    /// stalls cannot hide the requests that it kept from being sent.
    pub intended: HostInstant,
    /// When it was sent: later than intended where the sender itself was held
    /// up, which is then part of the latency.
    pub sent: HostInstant,
    /// When its last byte came, or when it failed.
    pub ended: HostInstant,
    /// Why it failed; `None` for an HTTP 200.
    pub error: Option<String>,
}

/// Sends GET requests at a fixed rate whatever becomes of them, each over a
/// connection of its own, until `end` resolves. Returns all of them in the
/// order of their intended times, those that were under way at the end too.
pub async fn open_loop(
    address: SocketAddr,
    path: &str,
    interval: Duration,
    limit: Duration,
    end: impl Future<Output = ()>,
) -> Vec<Shot> {
    let (start, first) = (Instant::now(), now());
    let mut flying = JoinSet::new();
    let mut shots = Vec::new();
    tokio::pin!(end);
    for number in 0_u32.. {
        let due = interval * number;
        tokio::select! {
            biased;
            () = &mut end => break,
            () = tokio::time::sleep_until(start + due) => {}
        }
        let due = u64::try_from(due.as_nanos()).unwrap_or(u64::MAX);
        let intended = HostInstant(first.0.saturating_add(due));
        let path = path.to_owned();
        flying.spawn(async move {
            let sent = now();
            let error = match get(address, &path, limit).await {
                Ok(body) if body.status == 200 => None,
                Ok(body) => Some(format!("status {}", body.status)),
                Err(e) => Some(e.to_string()),
            };
            Shot { intended, sent, ended: now(), error }
        });
        while let Some(Ok(shot)) = flying.try_join_next() {
            shots.push(shot);
        }
    }
    while let Some(shot) = flying.join_next().await {
        shots.extend(shot.ok());
    }
    shots.sort_by_key(|shot| shot.intended);
    shots
}

/// What came of asking as fast as answers come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rush {
    /// HTTP 200s whose last byte came in time.
    pub answered: u64,
    /// Everything else.
    pub failed: u64,
    /// From the first request to the last answer, nanoseconds.
    pub elapsed_ns: u64,
}

impl Rush {
    /// Answers a second.
    pub fn per_second(&self) -> f64 {
        self.answered as f64 * 1e9 / self.elapsed_ns.max(1) as f64
    }
}

/// Keeps `workers` GET requests under way for `time`, each over a connection
/// of its own, and waits for the last ones. This is throughput; latency is
/// [`open_loop`]'s business, for these requests wait for each other.
pub async fn closed_loop(
    address: SocketAddr,
    path: &str,
    workers: u32,
    time: Duration,
    limit: Duration,
) -> Rush {
    let (start, first) = (Instant::now(), now());
    let mut flying = JoinSet::new();
    for _ in 0..workers {
        let path = path.to_owned();
        flying.spawn(async move {
            let (mut answered, mut failed) = (0_u64, 0_u64);
            while start.elapsed() < time {
                match get(address, &path, limit).await {
                    Ok(body) if body.status == 200 => answered += 1,
                    _ => failed += 1,
                }
            }
            (answered, failed)
        });
    }
    let mut rush = Rush { answered: 0, failed: 0, elapsed_ns: 0 };
    while let Some(ended) = flying.join_next().await {
        let (answered, failed) = ended.unwrap_or_default();
        rush.answered += answered;
        rush.failed += failed;
    }
    rush.elapsed_ns = now().since(first);
    rush
}

/// The time without service, in nanoseconds: from the intended time of the
/// first failed request to the next answer that came after the last failure.
/// `None` when no answer came any more.
pub fn downtime_ns(shots: &[Shot]) -> Option<u64> {
    let failed = |shot: &&Shot| shot.error.is_some();
    let Some(first) = shots.iter().find(failed) else { return Some(0) };
    let last = shots.iter().rposition(|shot| shot.error.is_some())?;
    let back = shots[last..].iter().find(|shot| shot.error.is_none())?;
    Some(back.ended.since(first.intended))
}

/// How late the sender was at the worst but for one request in a hundred,
/// nanoseconds; `None` without requests.
pub fn lateness_ns(shots: &[Shot]) -> Option<u64> {
    let mut late: Vec<u64> = shots.iter().map(|shot| shot.sent.since(shot.intended)).collect();
    late.sort_unstable();
    let last = late.len().checked_sub(1)?;
    late.get(last - last / 100).copied()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;

    fn shot(intended: u64, ended: u64, ok: bool) -> Shot {
        let at = HostInstant;
        let error = (!ok).then(|| "refused".to_owned());
        Shot { intended: at(intended), sent: at(intended), ended: at(ended), error }
    }

    #[test]
    fn downtime_runs_from_the_first_failure_to_the_answer_after_the_last() {
        assert_eq!(downtime_ns(&[shot(0, 5, true), shot(10, 15, true)]), Some(0));
        let shots =
            [shot(0, 5, true), shot(10, 11, false), shot(20, 21, false), shot(30, 37, true)];
        assert_eq!(downtime_ns(&shots), Some(27));
        assert_eq!(downtime_ns(&shots[..3]), None);
    }

    #[test]
    fn throughput_counts_answers_only() {
        let rush = Rush { answered: 500, failed: 9, elapsed_ns: 2_000_000_000 };
        assert!((rush.per_second() - 250.0).abs() < 1e-9);
    }

    #[test]
    fn one_in_a_hundred_may_be_late() {
        let shots = |late: u64, count: u64| -> Vec<Shot> {
            let of = |number: u64| {
                let sent = HostInstant(number + if number < late { 1_000 } else { 5 });
                Shot { sent, ..shot(number, number + 9, true) }
            };
            (0..count).map(of).collect()
        };
        assert_eq!(lateness_ns(&shots(2, 300)), Some(5));
        assert_eq!(lateness_ns(&shots(9, 300)), Some(1_000));
        assert_eq!(lateness_ns(&shots(1, 1)), Some(1_000));
        assert_eq!(lateness_ns(&[]), None);
    }

    /// Answers whoever asks, but for a while in which it does nothing.
    fn server(stall: std::ops::Range<u32>, time: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for (number, stream) in (0..).zip(listener.incoming()) {
                let mut stream = stream.unwrap();
                if stall.contains(&number) {
                    thread::sleep(time);
                }
                let _ = stream.read(&mut [0; 512]);
                let text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                let _ = stream.write_all(text);
            }
        });
        address
    }

    /// A thousand requests a second for half a second.
    async fn thousand_a_second(address: SocketAddr) -> Vec<Shot> {
        let end = tokio::time::sleep(Duration::from_millis(500));
        open_loop(address, "/", Duration::from_millis(1), Duration::from_secs(5), end).await
    }

    /// A sender that waits for answers, or that counts its pauses from the last
    /// request, sends far fewer. A busy machine may hold it up once, and no
    /// sender can help it: the best of some tries counts.
    #[tokio::test]
    async fn a_thousand_a_second_are_kept() {
        let address = server(0..0, Duration::ZERO);
        let mut tries = Vec::new();
        for _ in 0..8 {
            let shots = thousand_a_second(address).await;
            let late = lateness_ns(&shots).unwrap();
            tries.push((shots.len(), late));
            if shots.len() >= 480 && shots.len() <= 501 && late < 20_000_000 {
                return;
            }
        }
        panic!("requests sent, and how late in nanoseconds: {tries:?}");
    }

    /// Who waits for an answer before the next request sees one slow answer;
    /// here all that were to be sent meanwhile are as slow as they are.
    #[tokio::test]
    async fn a_stall_is_in_the_latency_of_all_that_it_held_up() {
        let stall = Duration::from_millis(150);
        let shots = thousand_a_second(server(100..101, stall)).await;
        let nanoseconds = 150_000_000;
        let slow =
            shots.iter().filter(|shot| shot.ended.since(shot.intended) > nanoseconds / 3).count();
        assert!(slow >= 50, "{slow} of {}", shots.len());
        assert!(shots.iter().all(|shot| shot.error.is_none() && shot.sent >= shot.intended));
    }

    #[tokio::test]
    async fn a_closed_port_fails_at_the_rate_asked_for() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let end = tokio::time::sleep(Duration::from_millis(100));
        let every = Duration::from_millis(5);
        let shots = open_loop(address, "/", every, Duration::from_secs(1), end).await;
        assert!(shots.len() > 2 && shots.iter().all(|shot| shot.error.is_some()));
        let gaps = shots.windows(2).map(|pair| pair[1].intended.since(pair[0].intended));
        assert!(gaps.into_iter().all(|gap| gap == 5_000_000));
    }
}
