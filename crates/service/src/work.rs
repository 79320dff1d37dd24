//! Long work beside the comparison: one of each kind at a time, each of which
//! the page may cancel, and how it is told.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;
use tandem_app::{AppError, Cancel, Errand};
use tandem_model::{ErrorCode, Failure};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::{
    call::Outlet,
    journal::{Journal, Tell},
};

/// Time between two messages to the page.
const TICK: Duration = Duration::from_millis(100);

/// Work that measures; as [`Errand::kind`] calls it.
const MEASURING: &str = "experiment";
/// The log that is followed.
const LOG: &str = "log";

type Running = Arc<Mutex<HashMap<&'static str, Going>>>;

/// What goes on, by kind.
#[derive(Default)]
pub(crate) struct Work {
    running: Running,
    begun: std::sync::atomic::AtomicU64,
}

struct Going {
    number: u64,
    cancel: Cancel,
    /// What was asked for, and what was told of it; a log is asked for anew.
    errand: Option<(Errand, Arc<Journal>)>,
}

/// A piece of work that goes on as long as the value lives.
pub(crate) struct Piece {
    kind: &'static str,
    number: u64,
    cancel: Cancel,
    journal: Option<Arc<Journal>>,
    running: Running,
}

impl Work {
    /// Begins work of a kind of which only one piece goes on at a time, and
    /// tells `page` of it.
    pub(crate) fn begin(&self, errand: Errand, page: Outlet) -> Result<Piece, Failure> {
        self.take_on(errand, page.teller())
    }

    /// The same, for whoever listens.
    pub(crate) fn take_on(&self, errand: Errand, tell: Tell) -> Result<Piece, Failure> {
        let kind = errand.kind();
        let mut running = lock(&self.running);
        if running.contains_key(kind) {
            let text = format!("another {kind} is going on: wait for its end, or cancel it");
            return Err(Failure::new(ErrorCode::Conflict, text));
        }
        let journal = Arc::new(Journal::new(errand.tells_state(), Some(tell)));
        let (number, cancel) = (self.number(), Cancel::new());
        let errand = Some((errand, Arc::clone(&journal)));
        running.insert(kind, Going { number, cancel: cancel.clone(), errand });
        drop(running);
        let running = Arc::clone(&self.running);
        Ok(Piece { kind, number, cancel, journal: Some(journal), running })
    }

    /// Begins to follow a log in the place of an earlier one.
    pub(crate) fn follow_log(&self) -> Piece {
        let (number, cancel) = (self.number(), Cancel::new());
        let going = Going { number, cancel: cancel.clone(), errand: None };
        if let Some(earlier) = lock(&self.running).insert(LOG, going) {
            earlier.cancel.cancel();
        }
        let running = Arc::clone(&self.running);
        Piece { kind: LOG, number, cancel, journal: None, running }
    }

    fn number(&self) -> u64 {
        self.begun.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    /// Refused while something is measured: two at once disturb each other.
    pub(crate) fn leaves_calm(&self) -> Result<(), Failure> {
        if lock(&self.running).contains_key(MEASURING) {
            return Err(Failure::new(
                ErrorCode::Conflict,
                "an experiment is measured, and a comparison would disturb it: wait for its end, or cancel it",
            ));
        }
        Ok(())
    }

    /// What goes on and can be joined.
    pub(crate) fn errands(&self) -> Vec<Errand> {
        let running = lock(&self.running);
        let mut all: Vec<_> =
            running.values().filter_map(|it| Some((it.number, it.errand.as_ref()?))).collect();
        all.sort_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, (errand, _))| errand.clone()).collect()
    }

    /// Tells `page` of this work from its beginning, instead of the page that
    /// it was told before; its outcome.
    pub(crate) async fn join(&self, kind: &str, page: Tell) -> Result<Value, Failure> {
        let found = lock(&self.running)
            .get(kind)
            .and_then(|it| it.errand.as_ref())
            .map(|(_, journal)| Arc::clone(journal));
        let Some(journal) = found else {
            let text = format!("no {kind} is going on any more: look at what came of it");
            return Err(Failure::new(ErrorCode::NotFound, text));
        };
        journal.join(page).await
    }

    /// Asks the work of this kind, if any, to stop.
    pub(crate) fn cancel(&self, kind: &str) {
        if let Some(going) = lock(&self.running).get(kind) {
            going.cancel.cancel();
        }
    }

    /// Asks all work to stop.
    pub(crate) fn cancel_all(&self) {
        lock(&self.running).values().for_each(|going| going.cancel.cancel());
    }
}

impl Piece {
    /// The wish to stop it.
    pub(crate) fn wish(&self) -> &Cancel {
        &self.cancel
    }

    /// Tells the page that looks.
    pub(crate) fn tell(&self, message: &impl Serialize) {
        if let (Some(journal), Ok(message)) = (&self.journal, serde_json::to_value(message)) {
            journal.tell(message);
        }
    }

    /// Carries the work out, and keeps its outcome for a page that joined.
    pub(crate) async fn carry<T: Serialize>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let done = work.await;
        if let Some(journal) = &self.journal {
            let value = done.as_ref().map(|it| serde_json::to_value(it).unwrap_or_default());
            journal.end(value.map_err(Clone::clone));
        }
        done
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
        if running.get(self.kind).is_some_and(|going| going.number == self.number) {
            running.remove(self.kind);
        }
        drop(running);
        if let Some(journal) = &self.journal {
            journal.end(Err(Journal::broke_off()));
        }
    }
}

fn lock(running: &Running) -> MutexGuard<'_, HashMap<&'static str, Going>> {
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

    fn pull() -> Errand {
        Errand::Pull { reference: "postgres:16".to_owned() }
    }

    fn build() -> Errand {
        Errand::Build { folder: "/app".to_owned() }
    }

    fn nowhere() -> Tell {
        Box::new(drop)
    }

    #[test]
    fn one_piece_of_a_kind_goes_on_until_it_is_dropped() {
        let work = Work::default();
        let first = work.take_on(pull(), nowhere()).unwrap();
        let second = work.take_on(pull(), nowhere());
        assert_eq!(second.err().map(|e| e.code), Some(ErrorCode::Conflict));
        assert!(work.take_on(build(), nowhere()).is_ok());
        work.cancel("pull");
        assert!(first.wish().is_cancelled());
        drop(first);
        assert!(work.take_on(pull(), nowhere()).is_ok());
    }

    #[tokio::test]
    async fn a_page_that_was_loaded_again_finds_what_goes_on_and_its_outcome() {
        let work = Work::default();
        assert_eq!(work.errands(), []);
        let piece = work.take_on(build(), nowhere()).unwrap();
        let _pull = work.take_on(pull(), nowhere()).unwrap();
        let _log = work.follow_log();
        assert_eq!(work.errands(), [build(), pull()]);
        piece.tell(&vec!["FROM python"]);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let page = Arc::clone(&heard);
        let hear = Box::new(move |message| page.lock().unwrap().push(message));
        let joined = async { work.join("build", hear).await };
        let carried = async {
            tokio::task::yield_now().await;
            let done = piece.carry(async { Ok("sha256:1".to_owned()) }).await;
            drop(piece);
            done
        };
        let (joined, carried) = tokio::join!(joined, carried);
        assert_eq!((joined.unwrap(), carried.unwrap()), ("sha256:1".into(), "sha256:1".to_owned()));
        assert_eq!(*heard.lock().unwrap(), [serde_json::json!(["FROM python"])]);
        assert_eq!(work.errands(), [pull()]);
        assert_eq!(
            work.join("build", nowhere()).await.map_err(|e| e.code),
            Err(ErrorCode::NotFound)
        );
    }

    #[test]
    fn nothing_else_is_measured_beside_an_experiment() {
        let work = Work::default();
        let _build = work.take_on(build(), nowhere()).unwrap();
        assert!(work.leaves_calm().is_ok());
        let piece = work.take_on(Errand::Resume { run: "r".to_owned() }, nowhere()).unwrap();
        assert_eq!(work.leaves_calm().map_err(|e| e.code), Err(ErrorCode::Conflict));
        drop(piece);
        assert!(work.leaves_calm().is_ok());
    }

    #[test]
    fn a_later_log_ends_the_earlier_and_outlives_it() {
        let work = Work::default();
        let first = work.follow_log();
        let second = work.follow_log();
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
