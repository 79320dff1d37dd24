//! Long work beside the comparison: one of each kind at a time, each of which
//! the page may cancel, and how it is told.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tandem_app::{AppError, Cancel};
use tandem_model::{ErrorCode, Failure};
use tokio::sync::mpsc::UnboundedReceiver;

/// Time between two messages to the page.
const TICK: Duration = Duration::from_millis(100);

type Running = Arc<Mutex<HashMap<String, (u64, Cancel)>>>;

/// What goes on, by kind.
#[derive(Default)]
pub(crate) struct Work {
    running: Running,
    begun: std::sync::atomic::AtomicU64,
}

/// A piece of work that goes on as long as the value lives.
pub(crate) struct Piece {
    kind: String,
    number: u64,
    cancel: Cancel,
    running: Running,
}

impl Work {
    /// Begins work of a kind of which only one piece goes on at a time.
    pub(crate) fn begin(&self, kind: &str) -> Result<Piece, Failure> {
        if lock(&self.running).contains_key(kind) {
            let text = format!("another {kind} is going on: wait for its end, or cancel it");
            return Err(Failure::new(ErrorCode::Conflict, text));
        }
        Ok(self.replace(kind))
    }

    /// Begins work that takes the place of an earlier piece of its kind.
    pub(crate) fn replace(&self, kind: &str) -> Piece {
        let cancel = Cancel::new();
        let number = self.begun.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let earlier = lock(&self.running).insert(kind.to_owned(), (number, cancel.clone()));
        if let Some((_, earlier)) = earlier {
            earlier.cancel();
        }
        let running = Arc::clone(&self.running);
        Piece { kind: kind.to_owned(), number, cancel, running }
    }

    /// Asks the work of this kind, if any, to stop.
    pub(crate) fn cancel(&self, kind: &str) {
        if let Some((_, cancel)) = lock(&self.running).get(kind) {
            cancel.cancel();
        }
    }

    /// Asks all work to stop.
    pub(crate) fn cancel_all(&self) {
        lock(&self.running).values().for_each(|(_, cancel)| cancel.cancel());
    }
}

impl Piece {
    /// The wish to stop it.
    pub(crate) fn wish(&self) -> &Cancel {
        &self.cancel
    }

    /// The work's outcome, or that it was cancelled: it is dropped then.
    pub(crate) async fn or_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, AppError>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            done = work => done.map_err(|e| e.to_failure()),
            () = self.cancel.cancelled() => {
                Err(Failure::new(ErrorCode::Cancelled, format!("the {} was cancelled", self.kind)))
            }
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut running = lock(&self.running);
        if running.get(&self.kind).is_some_and(|(number, _)| *number == self.number) {
            running.remove(&self.kind);
        }
    }
}

fn lock(running: &Running) -> MutexGuard<'_, HashMap<String, (u64, Cancel)>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does the work, and calls `tick` about ten times a second and at its end.
pub(crate) async fn while_ticking<R>(work: impl Future<Output = R>, mut tick: impl FnMut()) -> R {
    tokio::pin!(work);
    loop {
        let done = tokio::time::timeout(TICK, &mut work).await;
        tick();
        if let Ok(done) = done {
            return done;
        }
    }
}

/// Does the work, and hands over what it told in the same rhythm.
pub(crate) async fn batched<T, R>(
    work: impl Future<Output = R>,
    mut told: UnboundedReceiver<T>,
    send: impl Fn(Vec<T>),
) -> R {
    while_ticking(work, || {
        let all: Vec<T> = std::iter::from_fn(|| told.try_recv().ok()).collect();
        if !all.is_empty() {
            send(all);
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_piece_of_a_kind_goes_on_until_it_is_dropped() {
        let work = Work::default();
        let first = work.begin("pull").unwrap();
        assert_eq!(work.begin("pull").err().map(|e| e.code), Some(ErrorCode::Conflict));
        assert!(work.begin("build").is_ok());
        work.cancel("pull");
        assert!(first.wish().is_cancelled());
        drop(first);
        assert!(work.begin("pull").is_ok());
    }

    #[test]
    fn a_later_log_ends_the_earlier_and_outlives_it() {
        let work = Work::default();
        let first = work.replace("log");
        let second = work.replace("log");
        assert!(first.wish().is_cancelled() && !second.wish().is_cancelled());
        drop(first);
        work.cancel_all();
        assert!(second.wish().is_cancelled());
    }

    #[tokio::test]
    async fn nothing_that_was_told_is_lost() {
        let (send, told) = tokio::sync::mpsc::unbounded_channel();
        let seen = Mutex::new(Vec::new());
        let work = async move {
            for number in 0..3 {
                send.send(number).unwrap();
                tokio::task::yield_now().await;
            }
            "done"
        };
        let done = batched(work, told, |all| seen.lock().unwrap().extend(all)).await;
        assert_eq!((done, seen.into_inner().unwrap()), ("done", vec![0, 1, 2]));
    }
}
