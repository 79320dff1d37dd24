//! What a piece of work has told, and how it ended: a page that was loaded
//! again hears it from the beginning.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tandem_model::{ErrorCode, Failure};
use tokio::sync::Notify;

/// Messages that are kept; of work that tells more the oldest are let go.
const MOST: usize = 20_000;

/// Takes a message to a page.
pub(crate) type Tell = Box<dyn Fn(Value) + Send>;

/// See the module.
pub(crate) struct Journal {
    state: Mutex<State>,
    ended: Notify,
    /// The latest message says it all.
    latest: bool,
}

struct State {
    told: Vec<Value>,
    /// The page that hears of it; the one that joined last.
    tell: Option<Tell>,
    end: Option<Result<Value, Failure>>,
}

impl Journal {
    /// One whose messages each say it all, or add to those before.
    pub(crate) fn new(latest: bool, tell: Option<Tell>) -> Self {
        let state = State { told: Vec::new(), tell, end: None };
        Self { state: Mutex::new(state), ended: Notify::new(), latest }
    }

    /// Tells the page, and keeps what was told.
    pub(crate) fn tell(&self, message: Value) {
        let mut state = self.state();
        if let Some(tell) = &state.tell {
            tell(message.clone());
        }
        if self.latest {
            state.told.clear();
        } else if state.told.len() >= MOST {
            state.told.drain(..MOST / 2);
        }
        state.told.push(message);
    }

    /// How the work ended. The first end counts.
    pub(crate) fn end(&self, end: Result<Value, Failure>) {
        let mut state = self.state();
        state.end.get_or_insert(end);
        state.tell = None;
        drop(state);
        self.ended.notify_waiters();
    }

    /// Tells this page instead from now on, from the beginning; the end.
    pub(crate) async fn join(self: Arc<Self>, tell: Tell) -> Result<Value, Failure> {
        {
            let mut state = self.state();
            state.told.iter().cloned().for_each(&tell);
            state.tell = Some(tell);
        }
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if let Some(end) = self.state().end.clone() {
                return end;
            }
            ended.await;
        }
    }

    /// The end of work that was dropped before it could tell one.
    pub(crate) fn broke_off() -> Failure {
        Failure::new(ErrorCode::Internal, "the work broke off: try it again")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hearing() -> (Tell, Arc<Mutex<Vec<Value>>>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let page = Arc::clone(&heard);
        (Box::new(move |message| page.lock().unwrap().push(message)), heard)
    }

    #[tokio::test]
    async fn who_joins_hears_all_of_it_and_the_end() {
        let (first, lost) = hearing();
        let journal = Arc::new(Journal::new(false, Some(first)));
        journal.tell("one".into());
        let (second, heard) = hearing();
        let joined = tokio::spawn(Arc::clone(&journal).join(second));
        tokio::task::yield_now().await;
        journal.tell("two".into());
        journal.end(Ok("image".into()));
        journal.end(Err(Journal::broke_off()));
        assert_eq!(joined.await.unwrap().unwrap(), "image");
        assert_eq!(*heard.lock().unwrap(), ["one", "two"]);
        // The page that is gone is told nothing more.
        assert_eq!(*lost.lock().unwrap(), ["one"]);
    }

    #[tokio::test]
    async fn of_states_the_latest_is_enough_and_a_late_one_hears_the_end_too() {
        let journal = Arc::new(Journal::new(true, None));
        journal.tell(1.into());
        journal.tell(2.into());
        journal.end(Err(Journal::broke_off()));
        let (tell, heard) = hearing();
        assert!(journal.join(tell).await.is_err());
        assert_eq!(*heard.lock().unwrap(), [2]);
    }

    #[test]
    fn what_is_told_without_end_is_not_kept_without_end() {
        let journal = Journal::new(false, None);
        (0..3 * MOST).for_each(|number| journal.tell(number.into()));
        let state = journal.state();
        assert!(state.told.len() <= MOST && state.told.last() == Some(&(3 * MOST - 1).into()));
    }
}
