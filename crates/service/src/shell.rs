//! What the commands share.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tandem_app::{App, ChartView, Errand, ExperimentRequest};
use tandem_model::Failure;
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard};

use crate::{
    journal::Tell,
    session::{Begun, Session},
    terminals::Terminals,
    work::{Piece, Work},
};

/// Cleaning up after a cancel is given this long when the window closes.
const CLEAN_UP: Duration = Duration::from_secs(45);

/// Probing the machine is given this long to end by itself.
const PROBES: Duration = Duration::from_secs(20);

/// A page that follows the instances. A page that was loaded again is another.
pub(crate) struct Follower {
    pub(crate) number: u64,
    pub(crate) newest: Arc<AtomicU64>,
}

/// The opened home, and the comparison in it.
pub(crate) struct Shell {
    /// The failure is shown by the page, which opens all the same.
    app: Result<Arc<App>, Failure>,
    session: Arc<Session>,
    work_going_on: Work,
    /// Held while something that measures begins.
    begins: Mutex<()>,
    terminals: Terminals,
    reaped: OnceCell<Vec<String>>,
    /// The process before this one ended while the window was open.
    pub(crate) again: bool,
    /// Number of the page load whose instances are followed.
    followers: Arc<AtomicU64>,
    /// Held for reading by what must not be cut off when the window closes.
    work: RwLock<()>,
}

impl Shell {
    /// Works in the home that was opened.
    pub(crate) fn new(app: Result<Arc<App>, Failure>, again: bool) -> Self {
        Self {
            app,
            session: Arc::default(),
            work_going_on: Work::default(),
            begins: Mutex::default(),
            terminals: Terminals::default(),
            reaped: OnceCell::new(),
            again,
            followers: Arc::default(),
            work: RwLock::default(),
        }
    }

    /// The use cases.
    pub(crate) fn app(&self) -> Result<Arc<App>, Failure> {
        self.app.clone()
    }

    /// The comparison that runs or ran last.
    pub(crate) fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session)
    }

    /// Pulls, builds and experiments that go on.
    pub(crate) fn work(&self) -> &Work {
        &self.work_going_on
    }

    /// Begins an experiment, unless a comparison is going on.
    pub(crate) fn begin_experiment(&self, errand: Errand, tell: Tell) -> Result<Piece, Failure> {
        let _one_by_one = self.begins.lock().unwrap_or_else(PoisonError::into_inner);
        self.session.leaves_calm()?;
        self.work_going_on.take_on(errand, tell)
    }

    /// Begins a comparison, unless an experiment is going on.
    pub(crate) fn begin_comparison(
        &self,
        request: &ExperimentRequest,
        view: ChartView,
    ) -> Result<Begun, Failure> {
        let _one_by_one = self.begins.lock().unwrap_or_else(PoisonError::into_inner);
        self.work_going_on.leaves_calm()?;
        self.session.begin(request, view)
    }

    /// The terminals that are open.
    pub(crate) fn terminals(&self) -> &Terminals {
        &self.terminals
    }

    /// Who follows the instances from now on; earlier followers stop.
    pub(crate) fn follower(&self) -> Follower {
        let number = self.followers.fetch_add(1, Ordering::Relaxed) + 1;
        Follower { number, newest: Arc::clone(&self.followers) }
    }

    /// Keeps the program from ending while the guard lives, within reason.
    pub(crate) async fn working(&self) -> RwLockReadGuard<'_, ()> {
        self.work.read().await
    }

    /// Clears away what a crash has left, once, and tells what it was.
    pub(crate) async fn reaped(&self) -> Result<Vec<String>, Failure> {
        let app = self.app()?;
        let reap = || async { app.reap().await.map_err(|e| e.to_failure()) };
        self.reaped.get_or_try_init(reap).await.cloned()
    }

    /// Asks all that goes on to stop and clean up; whether a comparison is
    /// among it.
    pub(crate) fn leave(&self) -> bool {
        let measures = self.session.is_active();
        self.session.cancel();
        self.work_going_on.cancel_all();
        measures
    }

    /// Resolves when that is done, within reason. Whatever is left then belongs
    /// to supervisors, which see that their owner is gone.
    pub(crate) async fn left(&self) {
        self.terminals.close_all().await;
        let _ = tokio::time::timeout(CLEAN_UP, self.session.settled()).await;
        let _ = tokio::time::timeout(PROBES, self.work.write()).await;
        // What cannot be asked to stop, such as the first fetch of a kernel,
        // leaves nothing behind either.
        if let Ok(app) = self.app() {
            app.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread};

    use tandem_app::{Size, Theme};
    use tandem_model::ErrorCode;

    use super::*;

    fn view() -> ChartView {
        let size = Size { width: 600, height: 160 };
        ChartView { theme: Theme::Light, race: size, cpu: size, memory: size }
    }

    #[test]
    fn of_two_that_measure_and_are_asked_for_at_once_one_begins() {
        let request = ExperimentRequest::compare("hello-flask");
        for round in 0..500 {
            let shell = Shell::new(Err(Failure::new(ErrorCode::Internal, "no home")), false);
            let both = Barrier::new(2);
            let (experiment, comparison) = thread::scope(|scope| {
                let experiment = scope.spawn(|| {
                    let errand = Errand::Resume { run: "r".to_owned() };
                    both.wait();
                    shell.begin_experiment(errand, Box::new(drop))
                });
                both.wait();
                let comparison = shell.begin_comparison(&request, view());
                (experiment.join().unwrap(), comparison)
            });
            let refused: Vec<_> =
                [experiment.err(), comparison.err()].into_iter().flatten().collect();
            assert_eq!(refused.len(), 1, "round {round}: {refused:?}");
            assert_eq!(refused[0].code, ErrorCode::Conflict);
        }
    }
}
