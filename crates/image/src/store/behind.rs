use std::{
    io::{self, Write},
    sync::mpsc::{self, SyncSender},
    thread::{self, JoinHandle},
};

/// Pieces that may wait to be written.
const WAITING: usize = 8;

/// Writes on a thread of its own, so that whoever makes the bytes does not
/// wait while they are digested and written. The thread ends before this does.
pub(super) struct Behind<W> {
    /// Both are there until the end.
    pieces: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<io::Result<W>>>,
}

impl<W: Write + Send + 'static> Behind<W> {
    pub(super) fn new(mut out: W) -> Self {
        let (pieces, queue) = mpsc::sync_channel::<Vec<u8>>(WAITING);
        let thread = thread::spawn(move || {
            for piece in queue {
                out.write_all(&piece)?;
            }
            Ok(out)
        });
        Self { pieces: Some(pieces), thread: Some(thread) }
    }

    /// Hands a piece over. `false` when the writer has failed, which
    /// [`Self::finish`] tells.
    pub(super) fn write(&self, piece: Vec<u8>) -> bool {
        self.pieces.as_ref().is_some_and(|pieces| pieces.send(piece).is_ok())
    }

    /// The writer, when all is written.
    ///
    /// # Errors
    /// The writer's own.
    pub(super) fn finish(mut self) -> io::Result<W> {
        drop(self.pieces.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Err(io::Error::other("the writer has ended")),
        }
    }
}

impl<W> Drop for Behind<W> {
    fn drop(&mut self) {
        drop(self.pieces.take());
        // What it holds, such as a file that nobody will finish, goes with it.
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    use super::*;

    static GONE: AtomicBool = AtomicBool::new(false);

    struct Slow;

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            thread::sleep(std::time::Duration::from_millis(20));
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Drop for Slow {
        fn drop(&mut self) {
            GONE.store(true, SeqCst);
        }
    }

    #[test]
    fn nothing_outlives_a_writer_that_is_given_up() {
        let behind = Behind::new(Slow);
        assert!(behind.write(vec![1]));
        drop(behind);
        assert!(GONE.load(SeqCst));
    }
}
