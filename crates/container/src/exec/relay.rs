//! The streams of a command inside, and what lies between them and its
//! caller's.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
    thread,
};

use rustix::{
    fs::{OFlags, fstat, fstatfs},
    pipe::{PipeFlags, pipe_with},
};
use tandem_backend::{RawMode, WindowSize};
use tandem_model::ExecSpec;

use super::{
    carry::{Carried, Progress, copy},
    terminal::Terminal,
};
use crate::{
    confine::{Root, User},
    running::give_to,
};

/// `<linux/magic.h>`, `PIPEFS_MAGIC`.
const PIPES: i64 = 0x5049_5045;

/// The command's streams, and what carries them to the caller's. Only a pipe
/// is given to the command itself. Who is root inside could type into a
/// caller's terminal, and change mode, owner and all of the bytes of a file or
/// a device through `/proc/self/fd`, whatever the caller opened it for.
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
    /// Streams for `spec` in the container whose root this is. Called outside:
    /// this process may use any device of the machine, and whoever is root
    /// inside may make nodes of them, so each is looked at before it is opened.
    pub(super) fn open(spec: &ExecSpec, user: &User, root: &Root) -> io::Result<Self> {
        let mut own = Self {
            ends: Vec::new(),
            numbers: [0, 1, 2],
            input: None,
            outputs: Vec::new(),
            master: None,
        };
        if spec.terminal {
            let Terminal { master, slave } = Terminal::open(user, root)?;
            own.numbers = [slave.as_raw_fd(); 3];
            own.ends.push(slave);
            own.input = spec.stdin.then(|| master.try_clone()).transpose()?;
            own.outputs.push((master.try_clone()?, 1));
            own.master = Some(master);
            own.resize();
            return Ok(own);
        }
        let null = |own: &mut Self, number: usize| -> io::Result<()> {
            let file = root.device("/dev/null", (1, 3), OFlags::RDWR | OFlags::NOCTTY)?;
            own.numbers[number] = file.as_raw_fd();
            own.ends.push(file);
            Ok(())
        };
        if !spec.stdin || spec.detach {
            null(&mut own, 0)?;
        } else if !is_pipe(caller(0)) {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            give_to(&reader, user)?;
            own.numbers[0] = reader.as_raw_fd();
            own.ends.push(reader);
            own.input = Some(writer);
        }
        for number in [1, 2] {
            if spec.detach {
                null(&mut own, number)?;
            } else if number == 2 && !own.outputs.is_empty() && are_one(caller(1), caller(2)) {
                // `2>&1`: what comes first stays first.
                own.numbers[2] = own.numbers[1];
            } else if !is_pipe(caller(number)) {
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
            let (input, progress) = (File::from(input), Progress::default());
            thread::spawn(move || copy(caller(0), &input, &progress));
        }
        let outputs = std::mem::take(&mut self.outputs).into_iter();
        let outputs =
            outputs.map(|(source, number)| Carried::begin(source, caller_file(number))).collect();
        Ok(Carrier { streams: self, outputs, _raw: raw })
    }
}

/// Streams that are carried.
pub(super) struct Carrier {
    pub(super) streams: Streams,
    outputs: Vec<Carried>,
    _raw: Option<RawMode>,
}

impl Carrier {
    /// Waits for the last output of a command that has ended.
    ///
    /// # Errors
    /// When output could not be passed on, e.g. because a disk is full.
    pub(super) fn finish(self) -> io::Result<()> {
        let terminal = self.streams.master.is_some();
        self.outputs.into_iter().try_for_each(|output| output.finish(terminal))
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

/// Whether two streams lead to the same file.
fn are_one(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let of = |stream| fstat(stream).ok().map(|found| (found.st_dev, found.st_ino));
    of(one).is_some() && of(one) == of(other)
}

/// Whether a stream of the caller's is a pipe without a name, of which whoever
/// has one end has nothing else.
fn is_pipe(stream: BorrowedFd<'_>) -> bool {
    fstatfs(stream).is_ok_and(|found| found.f_type == PIPES)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn only_pipes_are_handed_over() {
        let (reader, _writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        assert!(is_pipe(reader.as_fd()));
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_pipe(File::create(dir.path().join("file")).unwrap().as_fd()));
        assert!(!is_pipe(File::open("/dev/null").unwrap().as_fd()));
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(!is_pipe(socket.as_fd()));
        // Whoever has a named one has an inode of the machine.
        let named = dir.path().join("named");
        nix::unistd::mkfifo(&named, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(!is_pipe(File::options().read(true).write(true).open(named).unwrap().as_fd()));
    }
}
