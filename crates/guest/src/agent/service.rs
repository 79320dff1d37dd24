//! The app as a service of another first process: named pipes carry its output
//! and the news of it.
//!
//! ```text
//! service's program ── `started PID`, closed by its execution ──▶ agent
//!                   ── `failed JSON` when it cannot be executed ▶ agent
//! who ends it       ── `ended CODE` ────────────────────────────▶ agent
//! ```
//!
//! Its input comes by a named pipe too. An app with a terminal has that instead:
//! the agent opens one, and a link leads to the app's side of it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd},
        unix::fs::OpenOptionsExt as _,
    },
    path::{Path, PathBuf},
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use tandem_guest::wire::{Execute, Failure};

use super::{ends::Ends, task::Streams};

/// The longest news; nobody but root can write any.
const LONGEST: usize = 8192;

/// Where the pipes are.
#[derive(Debug, Clone)]
pub(crate) struct Place(PathBuf);

/// What is told about the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Its process, which is about to execute it.
    Started(i32),
    /// It cannot be executed.
    Failed(Failure),
    /// It has ended.
    Ended(i32),
}

/// What has happened to the app.
pub(super) enum News {
    /// It was executed; these are our ends of its streams.
    Started { pid: i32, streams: Streams },
    /// It has ended.
    Ended { code: i32 },
}

/// Our side of the pipes.
pub(crate) struct Service {
    /// Holds the folder, which cannot be named any more.
    place: Place,
    _folder: File,
    news: File,
    /// Until the app is executed.
    ends: Option<Ends>,
    /// A line in the making.
    line: Vec<u8>,
    /// The process that is about to execute the app.
    executing: Option<i32>,
    /// What to do once it was executed, or failed.
    told: fn(Result<(), &Failure>),
}

impl Place {
    /// The folder `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    fn news(&self) -> PathBuf {
        self.0.join("news")
    }

    pub(super) fn outputs(&self) -> [PathBuf; 2] {
        ["stdout", "stderr"].map(|name| self.0.join(name))
    }

    pub(super) fn input(&self) -> PathBuf {
        self.0.join("stdin")
    }

    /// Leads to the app's side of its terminal.
    pub(super) fn terminal(&self) -> PathBuf {
        self.0.join("terminal")
    }

    /// Makes the pipes anew.
    pub(crate) fn make(&self) -> io::Result<()> {
        let [stdout, stderr] = self.outputs();
        for pipe in [self.news(), self.input(), stdout, stderr] {
            let _ = fs::remove_file(&pipe);
            mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        Ok(())
    }

    /// Connects this process's streams with the agent, as the app wants them;
    /// where there is no agent, they stay as they are.
    pub(crate) fn connect(&self, app: &Execute) -> io::Result<()> {
        if app.terminal.is_some() {
            let mut open = OpenOptions::new();
            open.read(true).write(true).custom_flags(libc::O_NOCTTY);
            return match open.open(self.terminal()) {
                Ok(terminal) => (0..3).try_for_each(|number| become_stream(&terminal, number)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(e) => Err(e),
            };
        }
        for (path, number) in self.outputs().iter().zip([1, 2]) {
            let Some(pipe) = open_for_writing(path)? else { return Ok(()) };
            super::spawn::blocking(&pipe)?;
            become_stream(&pipe, number)?;
        }
        // The agent has it open, so that this does not wait.
        if app.stdin { become_stream(&File::open(self.input())?, 0) } else { Ok(()) }
    }

    /// Tells the agent, when there is one; what comes back keeps the pipe open
    /// until it is dropped or a program is executed.
    pub(crate) fn tell(&self, notice: &Notice) -> io::Result<Option<File>> {
        let Some(mut pipe) = open_for_writing(&self.news())? else { return Ok(None) };
        let line = match notice {
            Notice::Started(pid) => format!("started {pid}\n"),
            Notice::Failed(failure) => {
                format!("failed {}\n", serde_json::to_string(failure).unwrap_or_default())
            }
            Notice::Ended(code) => format!("ended {code}\n"),
        };
        pipe.write_all(line.as_bytes())?;
        Ok(Some(pipe))
    }
}

fn become_stream(file: &File, number: i32) -> io::Result<()> {
    // SAFETY: both descriptors are open, and the second is a stream that nobody
    // else in this process uses.
    match unsafe { libc::dup2(file.as_raw_fd(), number) } {
        ..0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

pub(super) fn open_for_writing(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Ok(pipe) => Ok(Some(pipe)),
        // There is no pipe, or nobody reads it.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) if e.raw_os_error() == Some(libc::ENXIO) => Ok(None),
        Err(e) => Err(e),
    }
}

pub(super) fn open_for_reading(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

impl Service {
    /// Opens our side, with streams as the app wants them. `told` hears of the
    /// execution.
    pub(crate) fn open(
        place: &Place,
        app: &Execute,
        told: fn(Result<(), &Failure>),
    ) -> io::Result<Self> {
        let folder = File::open(&place.0)?;
        let ends = Some(Ends::open(place, app)?);
        let news = open_for_reading(&place.news())?;
        // Reached through the descriptor from any root.
        let place = Place(format!("/proc/self/fd/{}", folder.as_raw_fd()).into());
        let (line, executing) = (Vec::new(), None);
        Ok(Self { place, _folder: folder, news, ends, line, executing, told })
    }

    /// What has happened since.
    pub(super) fn read(&mut self) -> Vec<News> {
        let mut found = Vec::new();
        let mut buffer = [0; 512];
        loop {
            match self.news.read(&mut buffer) {
                Ok(0) => {
                    // Whoever wrote has closed it: by executing the app, if it
                    // was about to. A fresh opening waits for the next.
                    if let Ok(fresh) = open_for_reading(&self.place.news()) {
                        self.news = fresh;
                    }
                    if let Some(pid) = self.executing.take() {
                        (self.told)(Ok(()));
                        let ends = self.ends.take();
                        let streams = ends.map(|ends| ends.streams(&self.place));
                        found.push(News::Started { pid, streams: streams.unwrap_or_default() });
                    }
                    return found;
                }
                Ok(count) => {
                    for byte in &buffer[..count] {
                        if *byte == b'\n' {
                            let line = std::mem::take(&mut self.line);
                            self.take(&line, &mut found);
                        } else if self.line.len() < LONGEST {
                            self.line.push(*byte);
                        }
                    }
                }
                Err(_) => return found,
            }
        }
    }

    fn take(&mut self, line: &[u8], found: &mut Vec<News>) {
        let text = String::from_utf8_lossy(line);
        match text.split_once(' ') {
            Some(("started", pid)) => self.executing = pid.parse().ok(),
            Some(("failed", why)) => {
                self.executing = None;
                let unreadable = |_| Failure::Refused { reason: why.to_owned() };
                (self.told)(Err(&serde_json::from_str(why).unwrap_or_else(unreadable)));
            }
            Some(("ended", code)) => {
                found.push(News::Ended { code: code.parse().unwrap_or(255) });
            }
            _ => {}
        }
    }
}

impl AsFd for Service {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(app: &Execute) -> (tempfile::TempDir, Place, Service) {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path());
        place.make().unwrap();
        let service = Service::open(&place, app, |_| ()).unwrap();
        (dir, place, service)
    }

    fn started(service: &mut Service) -> Streams {
        match service.read().pop() {
            Some(News::Started { pid: 42, streams }) => streams,
            _ => panic!("it was not started"),
        }
    }

    #[test]
    fn an_app_starts_when_its_program_lets_go_and_ends_with_a_code() {
        let (_dir, place, mut service) = open(&Execute::default());
        assert!(service.read().is_empty());
        let held = place.tell(&Notice::Started(42)).unwrap();
        assert!(service.read().is_empty(), "it is not executed yet");
        drop(held);
        let streams = started(&mut service);
        assert!(streams.outputs.iter().all(Option::is_some) && streams.input.is_none());
        drop(place.tell(&Notice::Ended(7)).unwrap());
        assert!(matches!(service.read()[..], [News::Ended { code: 7 }]));
    }

    #[test]
    fn input_is_a_pipe_that_ends_with_the_agents_side() {
        let app = Execute { stdin: true, ..Execute::default() };
        let (_dir, place, mut service) = open(&app);
        let held = place.tell(&Notice::Started(42)).unwrap();
        let mut programs = File::open(place.input()).unwrap();
        drop(held);
        let mut streams = started(&mut service);
        streams.input.as_mut().unwrap().write_all(b"typed").unwrap();
        streams.input = None;
        let mut text = String::new();
        programs.read_to_string(&mut text).unwrap();
        assert_eq!(text, "typed");
    }

    #[test]
    fn a_terminal_is_found_by_its_link() {
        let size = tandem_guest::wire::Window { rows: 33, columns: 101 };
        let app = Execute { stdin: true, terminal: Some(size), ..Execute::default() };
        let (_dir, place, mut service) = open(&app);
        let held = place.tell(&Notice::Started(42)).unwrap();
        let flags = libc::O_NOCTTY;
        let mut open = OpenOptions::new();
        let open = open.read(true).write(true).custom_flags(flags).open(place.terminal());
        let mut programs = open.unwrap();
        drop(held);
        let mut streams = started(&mut service);
        assert!(streams.terminal.is_some() && streams.outputs[1].is_none());
        streams.input.as_mut().unwrap().write_all(b"typed\n").unwrap();
        let mut bytes = [0; 6];
        programs.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"typed\n");
    }

    #[test]
    fn a_failure_is_no_start() {
        let (_dir, place, mut service) = open(&Execute::default());
        let held = place.tell(&Notice::Started(42)).unwrap();
        drop(place.tell(&Notice::Failed(Failure::NotFound)).unwrap());
        drop(held);
        assert!(service.read().is_empty());
    }

    #[test]
    fn without_an_agent_nothing_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path());
        assert!(place.tell(&Notice::Ended(0)).unwrap().is_none());
        place.make().unwrap();
        assert!(place.tell(&Notice::Ended(0)).unwrap().is_none(), "nobody reads");
    }
}
