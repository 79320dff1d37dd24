use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use rustix::pipe::{PipeFlags, pipe_with};
use tandem_backend::{RawMode, WindowSize};
use tandem_model::ExecSpec;

use super::terminal::Terminal;
use crate::{confine::User, running::give_to};

/// How long output may come after the command has ended.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// The command's streams, and what carries them to the caller's. A caller's
/// terminal is never given to the command itself: it could type into it.
pub(super) struct Streams {
    /// The command's ends, to be closed here after the fork.
    ends: Vec<OwnedFd>,
    /// The three descriptors as the forked process finds them.
    pub(super) numbers: [RawFd; 3],
    input: Option<OwnedFd>,
    outputs: Vec<(OwnedFd, RawFd)>,
    master: Option<OwnedFd>,
}

impl Streams {
    /// Streams for `spec`. Called inside the container, before the fork.
    pub(super) fn open(spec: &ExecSpec, user: &User) -> io::Result<Self> {
        let mut own = Self {
            ends: Vec::new(),
            numbers: [0, 1, 2],
            input: None,
            outputs: Vec::new(),
            master: None,
        };
        if spec.terminal {
            let Terminal { master, slave } = Terminal::open(user)?;
            own.numbers = [slave.as_raw_fd(); 3];
            own.ends.push(slave);
            own.input = spec.stdin.then(|| master.try_clone()).transpose()?;
            own.outputs.push((master.try_clone()?, 1));
            own.master = Some(master);
            own.resize();
            return Ok(own);
        }
        let null = |own: &mut Self, number: usize| -> io::Result<()> {
            let file = File::options().read(true).write(true).open("/dev/null")?;
            own.numbers[number] = file.as_raw_fd();
            own.ends.push(file.into());
            Ok(())
        };
        if !spec.stdin || spec.detach {
            null(&mut own, 0)?;
        } else if is_terminal(0) {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            give_to(&reader, user)?;
            own.numbers[0] = reader.as_raw_fd();
            own.ends.push(reader);
            own.input = Some(writer);
        }
        for number in [1, 2] {
            if spec.detach {
                null(&mut own, number)?;
            } else if is_terminal(number) {
                let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
                give_to(&writer, user)?;
                own.numbers[number] = writer.as_raw_fd();
                own.ends.push(writer);
                own.outputs.push((reader, i32::try_from(number).unwrap_or(2)));
            }
        }
        Ok(own)
    }

    /// Gives the command's terminal the size of the caller's.
    pub(super) fn resize(&self) {
        let size = [0, 1].into_iter().find_map(|number| WindowSize::of(caller(number)));
        if let (Some(master), Some(size)) = (&self.master, size) {
            let _ = size.apply(master);
        }
    }

    /// Carries bytes from now on. The caller's terminal is raw, when the
    /// command has one too, until the value is dropped.
    pub(super) fn carry(mut self) -> io::Result<Carrier> {
        self.ends.clear();
        let raw = match (&self.master, &self.input) {
            (Some(_), Some(_)) if is_terminal(0) => Some(RawMode::enter(caller(0))?),
            _ => None,
        };
        if let Some(input) = self.input.take() {
            thread::spawn(move || copy(caller(0), &File::from(input)));
        }
        let (sender, over) = channel();
        let count = self.outputs.len();
        for (source, number) in std::mem::take(&mut self.outputs) {
            let sender: Sender<()> = sender.clone();
            thread::spawn(move || {
                copy(source.as_fd(), caller_file(number));
                let _ = sender.send(());
            });
        }
        Ok(Carrier { streams: self, over, count, _raw: raw })
    }
}

/// Streams that are carried.
pub(super) struct Carrier {
    pub(super) streams: Streams,
    over: Receiver<()>,
    count: usize,
    _raw: Option<RawMode>,
}

impl Carrier {
    /// Waits for the last output of a command that has ended.
    pub(super) fn finish(self) {
        for _ in 0..self.count {
            if self.over.recv_timeout(LAST_OUTPUT).is_err() {
                return;
            }
        }
    }
}

/// One of the process's own standard streams.
fn caller(number: usize) -> BorrowedFd<'static> {
    let number = RawFd::try_from(number).unwrap_or(0);
    // SAFETY: the standard streams stay open as long as the process lives.
    unsafe { BorrowedFd::borrow_raw(number) }
}

fn caller_file(number: RawFd) -> &'static File {
    use std::{os::fd::FromRawFd as _, sync::OnceLock};
    static FILES: OnceLock<[File; 3]> = OnceLock::new();
    // SAFETY: the standard streams stay open as long as the process lives,
    // and these files are never dropped.
    let files = FILES.get_or_init(|| [0, 1, 2].map(|fd| unsafe { File::from_raw_fd(fd) }));
    &files[usize::try_from(number).unwrap_or(2).min(2)]
}

fn is_terminal(number: usize) -> bool {
    std::io::IsTerminal::is_terminal(&caller(number))
}

/// Copies to the end of either side. A terminal whose other side is closed
/// reads as an error.
fn copy(source: BorrowedFd<'_>, mut target: &File) {
    let Ok(source) = source.try_clone_to_owned() else { return };
    let mut source = File::from(source);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) if target.write_all(&buffer[..count]).is_err() => return,
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
