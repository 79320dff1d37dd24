use tandem_model::RunEvent;
use tokio::sync::watch;

/// What accompanies a run from outside: who listens, and who may cancel.
pub(crate) struct Stage<'a> {
    pub(crate) events: &'a mut (dyn FnMut(RunEvent) + Send),
    pub(crate) cancel: watch::Receiver<bool>,
}

impl Stage<'_> {
    pub(crate) fn emit(&mut self, event: RunEvent) {
        (self.events)(event);
    }

    pub(crate) fn warn(&mut self, message: impl Into<String>) {
        self.emit(RunEvent::Warning { message: message.into() });
    }

    /// Resolves when somebody cancels; never when nobody can any more.
    pub(crate) fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut cancel = self.cancel.clone();
        async move {
            if cancel.wait_for(|cancelled| *cancelled).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        *self.cancel.borrow()
    }
}
