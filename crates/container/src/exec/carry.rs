//! Bytes on their way between a command inside and its caller.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, ioctl_fionread},
};

/// Bytes that are passed on at once.
const BUFFER: usize = 16 * 1024;

/// How often a pipe is looked at whose command has ended.
const LOOK: Duration = Duration::from_millis(5);

/// How long a terminal may take to hand over what was written to it.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// One output that is carried by a thread.
pub(super) struct Carried {
    /// Gone with the thread, so that the command learns when nobody reads.
    source: Weak<File>,
    progress: Arc<Progress>,
    over: Receiver<io::Result<()>>,
}

/// How far the thread is.
#[derive(Default)]
pub(super) struct Progress {
    /// Set before bytes are taken and until they are written.
    busy: AtomicBool,
    /// Bytes that were written.
    written: AtomicU64,
}

impl Carried {
    pub(super) fn begin(source: OwnedFd, target: &'static File) -> Self {
        let source = Arc::new(File::from(source));
        let progress = Arc::new(Progress::default());
        let (sender, over) = channel();
        let own = Self { source: Arc::downgrade(&source), progress: progress.clone(), over };
        thread::spawn(move || {
            let copied = copy(source.as_fd(), target, &progress);
            drop(source);
            let _ = sender.send(copied);
        });
        own
    }

    /// Waits until all that the command wrote is written. Others that it left
    /// may hold the pipe open and write on: nobody waits for those.
    pub(super) fn finish(self, terminal: bool) -> io::Result<()> {
        let wait = if terminal { LAST_OUTPUT } else { LOOK };
        let waiting = || self.source.upgrade().map_or(0, |it| ioctl_fionread(&*it).unwrap_or(0));
        let written = || self.progress.written.load(Ordering::SeqCst);
        let due = written() + waiting() + BUFFER as u64;
        loop {
            match self.over.recv_timeout(wait) {
                Ok(copied) => return copied,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // In this order: what is not in the pipe any more was taken by
            // somebody who was busy before.
            let empty = waiting() == 0;
            let resting = empty && !self.progress.busy.load(Ordering::SeqCst);
            if resting || written() >= due {
                return Ok(());
            }
        }
    }
}

/// Copies to the end of either side; an error when the target takes no more
/// though somebody is there. A terminal whose other side is closed reads as an
/// error.
pub(super) fn copy(
    source: BorrowedFd<'_>,
    mut target: &File,
    progress: &Progress,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        // A caller's may not wait by itself.
        await_one(source, PollFlags::IN)?;
        progress.busy.store(true, Ordering::SeqCst);
        let mut left = match rustix::io::read(source, &mut buffer[..]) {
            Ok(0) => return Ok(()),
            Ok(count) => &buffer[..count],
            Err(Errno::INTR | Errno::AGAIN) => {
                progress.busy.store(false, Ordering::SeqCst);
                continue;
            }
            Err(_) => return Ok(()),
        };
        while !left.is_empty() {
            match target.write(left) {
                Ok(count) => {
                    left = &left[count..];
                    progress.written.fetch_add(count as u64, Ordering::SeqCst);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    await_one(target.as_fd(), PollFlags::OUT)?;
                }
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        progress.busy.store(false, Ordering::SeqCst);
    }
}

fn await_one(stream: BorrowedFd<'_>, what: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::from_borrowed_fd(stream, what)], None) {
        Err(e) if e != Errno::INTR => Err(e.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    /// A file that lives as long as the test.
    fn target(file: File) -> &'static File {
        Box::leak(Box::new(file))
    }

    #[test]
    fn all_that_was_written_arrives_and_nobody_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let text = vec![b'x'; 50_000];
        let mut file = File::from(writer);
        let carried = Carried::begin(reader, target(File::create(&path).unwrap()));
        file.write_all(&text).unwrap();
        // Somebody in the background has it open still.
        carried.finish(false).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 50_000);
        drop(file);
    }

    #[test]
    fn a_full_disk_is_told_and_the_command_learns_it() {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let carried = Carried::begin(reader, target(full));
        let mut file = File::from(writer);
        file.write_all(b"x").unwrap();
        let error = carried.finish(false).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
        assert_eq!(file.write_all(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
