//! Reading a blob while it arrives, so that unpacking does not wait.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// A file that somebody writes and somebody else reads.
#[derive(Debug)]
pub(crate) struct Growing {
    /// Where it is while it grows, and where when it is complete.
    places: [PathBuf; 2],
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct State {
    /// Goes up when everything begins anew.
    round: u64,
    have: u64,
    end: End,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    Whole,
    Broken,
}

impl Growing {
    pub(crate) fn new(part: PathBuf, whole: PathBuf) -> Arc<Self> {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Arc::new(Self { places: [part, whole], state, changed })
    }

    /// So many bytes are there now.
    pub(crate) fn grown_to(&self, have: u64) {
        self.change(|state| state.have = have);
    }

    /// What was there counts no more.
    pub(crate) fn restarted(&self) {
        self.change(|state| *state = State { round: state.round + 1, ..State::default() });
    }

    /// All is there and right.
    pub(crate) fn complete(&self, size: u64) {
        self.change(|state| (state.have, state.end) = (size, End::Whole));
    }

    /// It will not be complete, or nobody wants it any more.
    pub(crate) fn give_up(&self) {
        self.change(|state| {
            if state.end == End::Open {
                state.end = End::Broken;
            }
        });
    }

    /// Waits until it is complete; false when it will never be.
    pub(crate) fn wait(&self) -> bool {
        let mut state = self.lock();
        while state.end == End::Open {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.end == End::Whole
    }

    /// A reader from the beginning. It waits for what is still to come, and
    /// fails when the file begins anew or is given up.
    pub(crate) fn reader(self: &Arc<Self>) -> io::Result<Follower> {
        let state = self.wait_beyond(0)?;
        let mut opened = File::open(&self.places[0]);
        if opened.is_err() {
            opened = File::open(&self.places[1]);
        }
        Ok(Follower { file: opened?, growing: Arc::clone(self), round: state.round, at: 0 })
    }

    fn wait_beyond(&self, at: u64) -> io::Result<State> {
        let mut state = self.lock();
        loop {
            match state.end {
                End::Broken => return Err(io::Error::other("the download was given up")),
                End::Open if state.have <= at => {}
                _ => return Ok(*state),
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the file has begun anew since the reader was made.
    pub(crate) fn is_past(&self, round: u64) -> bool {
        self.lock().round != round
    }
}

/// A reader of a growing file.
#[derive(Debug)]
pub(crate) struct Follower {
    file: File,
    growing: Arc<Growing>,
    round: u64,
    at: u64,
}

impl Follower {
    pub(crate) fn round(&self) -> u64 {
        self.round
    }
}

impl Read for Follower {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.growing.wait_beyond(self.at)?;
        let anew = || io::Error::other("the download began anew");
        if state.round != self.round {
            return Err(anew());
        }
        let ready = usize::try_from(state.have - self.at.min(state.have)).unwrap_or(usize::MAX);
        let wanted = ready.min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        match self.file.read_at(&mut buffer[..wanted], self.at)? {
            // Cut off since we looked.
            0 => Err(anew()),
            count => {
                self.at += count as u64;
                Ok(count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, thread, time::Duration};

    use super::*;

    #[test]
    fn a_reader_sees_what_comes_and_stops_when_it_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part");
        let growing = Growing::new(path.clone(), dir.path().join("whole"));
        let writer = Arc::clone(&growing);
        let writing = thread::spawn(move || {
            let mut file = File::create(&path).unwrap();
            for size in 1..=5u64 {
                file.write_all(&[7]).unwrap();
                writer.grown_to(size);
                thread::sleep(Duration::from_millis(2));
            }
            writer.complete(5);
        });
        let mut read = Vec::new();
        growing.reader().unwrap().read_to_end(&mut read).unwrap();
        writing.join().unwrap();
        assert_eq!(read, [7; 5]);
        assert!(growing.wait());

        let mut late = growing.reader().unwrap();
        growing.restarted();
        growing.grown_to(3);
        assert!(late.read(&mut [0; 9]).is_err());
        assert!(growing.is_past(late.round()));
        growing.give_up();
        assert!(growing.reader().is_err() && !growing.wait());
    }
}
