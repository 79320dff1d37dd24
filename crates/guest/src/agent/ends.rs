//! Our ends of the streams of an app that another first process runs: they are
//! made before it starts, and it finds its own by name.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::{OpenOptionsExt as _, symlink},
    },
};

use tandem_guest::wire::Execute;

use super::{
    service::{Place, open_for_reading, open_for_writing},
    task::Streams,
    terminal,
};

/// Streams that wait for the app.
pub(super) struct Ends {
    streams: Streams,
    /// Both sides of its input, so that neither waits for the other; until the
    /// app has its own.
    input: Option<File>,
    /// The app's side of its terminal: while nobody has it open, there is none.
    _terminal: Option<OwnedFd>,
}

impl Ends {
    /// Opens them at `place`, whose pipes are there.
    pub(super) fn open(place: &Place, app: &Execute) -> io::Result<Self> {
        if let Some(size) = app.terminal {
            let (ours, theirs) = terminal::open(0, size)?;
            let link = place.terminal();
            let _ = fs::remove_file(&link);
            let name = fs::read_link(format!("/proc/self/fd/{}", theirs.as_raw_fd()))?;
            symlink(name, link)?;
            let input = app.stdin.then(|| ours.try_clone()).transpose()?;
            let outputs = [Some(ours.try_clone()?), None];
            let streams = Streams { input, outputs, terminal: Some(ours) };
            return Ok(Self { streams, input: None, _terminal: Some(theirs) });
        }
        let [stdout, stderr] = place.outputs();
        let outputs = [Some(open_for_reading(&stdout)?), Some(open_for_reading(&stderr)?)];
        let both = || {
            let mut open = OpenOptions::new();
            open.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(place.input())
        };
        let input = app.stdin.then(both).transpose()?;
        Ok(Self { streams: Streams { outputs, ..Streams::default() }, input, _terminal: None })
    }

    /// The streams of the app, which has been executed and has its own ends.
    pub(super) fn streams(mut self, place: &Place) -> Streams {
        if self.input.is_some() {
            // Only the app reads it from now on, so that its end is noticed.
            self.streams.input = open_for_writing(&place.input()).ok().flatten();
        }
        self.streams
    }
}
