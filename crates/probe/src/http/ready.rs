//! Waiting for the first answer of something that is only just coming up.
//!
//! While nobody listens, a connection is refused at once and is tried again
//! after [`ReadyOptions::retry`], or after a five-hundredth of the time that
//! has passed when that is longer: short enough not to be seen in the result
//! (an error below 0.2 %), long enough to leave the processors to the one that
//! starts.
//!
//! A forwarding port is harder: it accepts connections before anything behind
//! it listens, and then either drops them, which is handled like a refusal,
//! or holds them while its own connection attempt is lost in a network that is
//! not up yet. Then only a fresh connection makes a fresh attempt, so one is
//! opened every [`ReadyOptions::stall`] beside those that wait. As soon as one
//! of them is turned away the network is known to be up; from then on a
//! connection that waits is one that is being served, and it is left alone
//! for [`ReadyOptions::patience`], lest the measuring loads the app.

use std::{borrow::Cow, net::SocketAddr, time::Duration};

use tandem_model::HostInstant;
use tokio::{
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{Instant, sleep_until, timeout_at},
};

use super::get::{Body, GetError, exchange};

/// How to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyOptions {
    /// When to give up.
    pub limit: Duration,
    /// Shortest pause after a refusal.
    pub retry: Duration,
    /// How long a connection may wait before another is opened beside it.
    pub stall: Duration,
    /// How long it may wait once the app's side is known to turn away
    /// connections that nobody listens for.
    pub patience: Duration,
    /// Most connections at once; at least one.
    pub outstanding: usize,
}

impl Default for ReadyOptions {
    fn default() -> Self {
        Self {
            limit: Duration::from_mins(1),
            retry: Duration::from_millis(2),
            stall: Duration::from_millis(50),
            patience: Duration::from_secs(2),
            outstanding: 8,
        }
    }
}

/// The first HTTP 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstResponse {
    /// When its last byte was read.
    pub at: HostInstant,
    /// 200.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// Connections tried, this one among them.
    pub attempts: u64,
}

/// There was no HTTP 200 in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadyError {
    /// The time limit passed.
    #[error("no HTTP 200 within {} s: the last thing seen was {last}", .limit.as_secs_f64())]
    Timeout {
        /// The limit.
        limit: Duration,
        /// The last thing seen, e.g. `HTTP 500` or a refused connection.
        last: String,
    },
}

/// Asks for `path` until the first complete HTTP 200 arrives. Other answers
/// count as not ready. Dropping the future closes all connections.
pub async fn wait_for_first_response(
    addr: SocketAddr,
    path: &str,
    options: ReadyOptions,
) -> Result<FirstResponse, ReadyError> {
    let mut wait = Wait {
        addr,
        path: path.to_owned(),
        options,
        tasks: JoinSet::new(),
        outstanding: Vec::new(),
        attempts: 0,
        turned_away: false,
        patience: options.patience,
        last: "nothing at all".into(),
        begin: Instant::now(),
    };
    let deadline = wait.begin + options.limit;
    if let Ok(body) = timeout_at(deadline, wait.run()).await {
        return Ok(FirstResponse {
            at: body.at,
            status: body.status,
            body: body.bytes,
            attempts: wait.attempts,
        });
    }
    let waiting = |attempt: &Attempt| attempt.since.elapsed() > options.stall;
    if wait.outstanding.iter().any(waiting) {
        wait.last = "a connection that was accepted and got no answer".into();
    }
    Err(ReadyError::Timeout { limit: options.limit, last: wait.last.into_owned() })
}

struct Attempt {
    handle: AbortHandle,
    since: Instant,
}

struct Wait {
    addr: SocketAddr,
    path: String,
    options: ReadyOptions,
    tasks: JoinSet<Result<Body, GetError>>,
    /// Oldest first.
    outstanding: Vec<Attempt>,
    attempts: u64,
    /// A connection was refused, reset or dropped: the other side is there.
    turned_away: bool,
    /// How long the oldest connection is kept when there are too many.
    patience: Duration,
    last: Cow<'static, str>,
    begin: Instant,
}

impl Wait {
    async fn run(&mut self) -> Body {
        let mut next = Instant::now();
        loop {
            tokio::select! {
                biased;
                Some(ended) = self.tasks.join_next_with_id() => {
                    match self.ended(ended) {
                        Some(Ok(body)) => return body,
                        Some(Err(pause)) => next = Instant::now() + pause,
                        None => {}
                    }
                }
                () = sleep_until(next) => {
                    self.open();
                    let wait = if self.turned_away { self.options.patience } else { self.options.stall };
                    next = Instant::now() + wait;
                }
            }
        }
    }

    /// Opens one more connection; gives one up when there are too many.
    fn open(&mut self) {
        if self.outstanding.len() >= self.options.outstanding.max(1) {
            // The oldest may be a slow answer and is kept for a while, then
            // the next one for twice as long; the others are the fresh ones.
            let old = self.outstanding[0].since.elapsed() > self.patience;
            if old {
                self.patience *= 2;
            }
            let given_up = usize::from(!old && self.outstanding.len() > 1);
            self.outstanding.remove(given_up).handle.abort();
        }
        let (addr, path) = (self.addr, self.path.clone());
        let handle = self.tasks.spawn(async move { exchange(addr, &path).await });
        self.outstanding.push(Attempt { handle, since: Instant::now() });
        self.attempts += 1;
    }

    /// A connection ended: the answer, or the pause before the next attempt;
    /// nothing when it had been given up.
    fn ended(
        &mut self,
        ended: Result<(Id, Result<Body, GetError>), JoinError>,
    ) -> Option<Result<Body, Duration>> {
        let (id, result) = ended.ok()?;
        let at = self.outstanding.iter().position(|attempt| attempt.handle.id() == id)?;
        self.outstanding.remove(at);
        Some(match result {
            Ok(body) if body.status == 200 => Ok(body),
            Ok(body) => {
                self.last = format!("HTTP {}", body.status).into();
                // The app is up and has something else to say: no hurry.
                Err(self.pause() * 5)
            }
            Err(e) => {
                self.last = format!("`{e}`").into();
                self.turned_away = true;
                // Older connections were lost before the network was up; a
                // late repeat of theirs would only load the app.
                for lost in self.outstanding.drain(..at) {
                    lost.handle.abort();
                }
                Err(self.pause())
            }
        })
    }

    fn pause(&self) -> Duration {
        self.options.retry.max(self.begin.elapsed() / 500)
    }
}
