//! Waiting for a change in a home.

use std::{io, path::Path, time::Duration};

use tandem_home::Lookout;
use tandem_model::InstanceRecord;
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{Instant, sleep, sleep_until},
};

use crate::App;

/// A look of one's own, for what no kernel tells: files on a network.
const TICK: Duration = Duration::from_secs(1);
/// The same where the kernel tells nothing at all.
const BLIND: Duration = Duration::from_millis(50);
/// Whoever writes all the time is not looked at more often than so.
const GAP: Duration = Duration::from_millis(5);

/// Hears of changes. It is made, and told what to listen to, before the first
/// look: nothing then gets lost between a look and the wait for the next.
pub(crate) struct Changes {
    lookout: Option<AsyncFd<Lookout>>,
    last: Option<Instant>,
}

impl Changes {
    pub(crate) fn new() -> Self {
        let lookout = Lookout::new().ok().and_then(|it| {
            // SAFETY: a `Lookout` gives one descriptor for its whole life and
            // closes it with itself.
            unsafe { AsyncFd::register_with_interest(it, Interest::READABLE) }.ok()
        });
        Self { lookout, last: None }
    }

    /// Listens to a folder's names and whole files.
    pub(crate) fn folder(&mut self, path: &Path) {
        self.listen(|lookout| lookout.folder(path));
    }

    /// Listens to what is written into a folder's files.
    pub(crate) fn writing_in(&mut self, path: &Path) {
        self.listen(|lookout| lookout.writing_in(path));
    }

    /// What cannot be listened to is looked at often, unless it is not there.
    fn listen(&mut self, to: impl FnOnce(&Lookout) -> io::Result<()>) {
        let done = self.lookout.as_ref().map(|it| to(it.get_ref()));
        if let Some(Err(e)) = done
            && e.kind() != io::ErrorKind::NotFound
        {
            self.lookout = None;
        }
    }

    /// Listens to what a folder of an instance holds beside its logs, and for
    /// its supervisor's end.
    pub(crate) fn instance(&mut self, dir: &Path, record: &InstanceRecord) {
        self.folder(dir);
        if let (Some(lookout), Some(it)) = (&mut self.lookout, record.runtime.supervisor) {
            lookout.get_mut().process(it.pid, it.start);
        }
    }

    /// Resolves when something may have changed.
    pub(crate) async fn next(&mut self) {
        self.within(TICK).await;
    }

    /// The same, after this time at the latest.
    pub(crate) async fn within(&mut self, limit: Duration) {
        if let Some(last) = self.last {
            sleep_until(last + GAP.min(limit)).await;
        }
        match &mut self.lookout {
            None => sleep(BLIND.min(limit)).await,
            Some(lookout) => {
                let heard = tokio::time::timeout(limit, lookout.readable_mut()).await;
                if let Ok(Ok(mut ready)) = heard {
                    ready.get_inner_mut().forget();
                    ready.clear_ready();
                }
            }
        }
        self.last = Some(Instant::now());
    }
}

impl App {
    /// Hears of whatever happens to an instance: its record, its removal, the
    /// end of its supervisor.
    pub(crate) fn changes_of(&self, record: &InstanceRecord) -> Changes {
        let mut changes = Changes::new();
        changes.instance(&self.instances.dir(&record.id), record);
        changes
    }

    /// The same, and of every line that it logs.
    pub(crate) fn changes_of_logs(&self, record: &InstanceRecord) -> Changes {
        let mut changes = self.changes_of(record);
        changes.writing_in(&self.instances.dir(&record.id).join("logs"));
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_heard_at_once_and_silence_ends() {
        let dir = tempfile::tempdir().unwrap();
        let mut changes = Changes::new();
        changes.folder(dir.path());
        changes.folder(&dir.path().join("missing"));
        assert!(changes.lookout.is_some(), "a folder that is gone blinds nobody");
        let path = dir.path().join("file");
        for round in 0..3 {
            let begin = Instant::now();
            let writing = async {
                sleep(Duration::from_millis(20)).await;
                std::fs::write(&path, round.to_string()).unwrap();
            };
            tokio::join!(changes.within(Duration::from_mins(1)), writing);
            assert!(begin.elapsed() < Duration::from_secs(30), "round {round}");
        }
        let begin = Instant::now();
        // What the last write had still to tell.
        changes.within(Duration::from_millis(30)).await;
        changes.within(Duration::from_millis(30)).await;
        assert!(begin.elapsed() >= Duration::from_millis(30));
    }
}
