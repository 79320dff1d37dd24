//! Blocking work that ends before anybody goes on without it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{Builder, JoinHandle},
};

use tandem_backend::BackendError;
use tokio::sync::oneshot;

use crate::AppError;

/// Runs work on a thread of its own; `what` says what it does. The work asks
/// the closure that it gets whether to stop. Dropping the future stops it and
/// waits for its end, so that nothing of it stays behind.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> Result<T, AppError> + Send + 'static,
) -> Result<T, AppError> {
    let stop = Arc::new(AtomicBool::new(false));
    let (send, ended) = oneshot::channel();
    let asked = Arc::clone(&stop);
    let run = move || drop(send.send(work(&|| asked.load(Ordering::Relaxed))));
    let thread = Builder::new().name("work".to_owned()).spawn(run);
    let thread = thread.map_err(|e| BackendError::engine(what, e))?;
    let waiting = Waiting { stop, thread: Some(thread) };
    let result = ended.await;
    drop(waiting);
    result.unwrap_or_else(|_| Err(BackendError::engine(what, "the work broke off").into()))
}

struct Waiting {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_has_ended() {
        assert_eq!(blocking("counting", |_| Ok(7)).await.unwrap(), 7);
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        let endless = blocking("waiting", move |stop| {
            while !stop() {
                std::thread::sleep(Duration::from_millis(1));
            }
            flag.store(true, Ordering::Relaxed);
            Ok(())
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), endless).await.is_err());
        assert!(ended.load(Ordering::Relaxed));
    }
}
