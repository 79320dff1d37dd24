use tokio::task::JoinHandle;

/// Work that goes on beside an app: a proxy, a resolver. Dropping it ends the
/// work and closes what it holds.
#[derive(Debug)]
pub(crate) struct Task(JoinHandle<()>);

impl Task {
    /// Begins work on this thread.
    pub(crate) fn spawn(work: impl Future<Output = ()> + 'static) -> Self {
        Self(tokio::task::spawn_local(work))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
