//! The standard streams of an app: pipes, or a terminal.

mod console;
mod terminal;

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    rc::Rc,
};

use rustix::pipe::{PipeFlags, pipe_with};
use tandem_backend::{Output, Stream, pump};
use tokio::{
    net::unix::pipe::{Receiver, Sender},
    task::JoinHandle,
};

pub(crate) use console::Console;
pub(crate) use terminal::{Terminal, peer_of};

use crate::{confine::User, running::give_to};

/// The app's three standard descriptors, and our ends of them.
#[derive(Debug)]
pub(crate) struct Stdio {
    /// The app's ends.
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    ours: Ends,
}

/// Our ends of an app's standard streams.
#[derive(Debug)]
pub(crate) enum Ends {
    /// Three pipes; without one for input the app reads nothing.
    Pipes { stdin: Option<OwnedFd>, stdout: OwnedFd, stderr: OwnedFd },
    /// The other side of the app's terminal, and whether it takes input.
    Terminal { master: OwnedFd, stdin: bool },
}

impl Stdio {
    /// New pipes; standard input is `/dev/null` unless it is `open`. They
    /// belong to the app's user, who may want to open `/dev/stdout`.
    pub(crate) fn new(user: &User, open: bool) -> io::Result<Self> {
        let (out_reader, stdout) = pipe_with(PipeFlags::CLOEXEC)?;
        let (err_reader, stderr) = pipe_with(PipeFlags::CLOEXEC)?;
        give_to(&stdout, user)?;
        give_to(&stderr, user)?;
        let (stdin, writer) = if open {
            let (stdin, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            give_to(&stdin, user)?;
            (stdin, Some(writer))
        } else {
            (File::open("/dev/null")?.into(), None)
        };
        let ours = Ends::Pipes { stdin: writer, stdout: out_reader, stderr: err_reader };
        Ok(Self { stdin, stdout, stderr, ours })
    }

    /// Makes them the calling process's own, after a fork.
    pub(crate) fn adopt(&self) -> io::Result<()> {
        for (fd, number) in [(&self.stdin, 0), (&self.stdout, 1), (&self.stderr, 2)] {
            // SAFETY: both are descriptors; after a fork they are this
            // process's to change.
            if unsafe { libc::dup2(fd.as_raw_fd(), number) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// Closes the app's ends and keeps ours.
    pub(crate) fn into_ends(self) -> Ends {
        self.ours
    }

    /// The app's ends to give away, and ours.
    pub(crate) fn split(self) -> (OwnedFd, OwnedFd, OwnedFd, Ends) {
        (self.stdin, self.stdout, self.stderr, self.ours)
    }
}

/// Where an app's input goes.
pub(crate) enum Input {
    Pipe(Sender),
    Terminal(Rc<Terminal>),
}

/// Streams that are carried on this thread from now on.
pub(crate) struct Carried {
    pub(crate) input: Option<Input>,
    pub(crate) terminal: Option<Rc<Terminal>>,
    pub(crate) pumps: Vec<JoinHandle<()>>,
}

impl Ends {
    /// Inodes of the pipes that are the app's input, output and errors; none
    /// of a terminal.
    pub(crate) fn inodes(&self) -> [Option<u64>; 3] {
        let inode = |end: &OwnedFd| rustix::fs::fstat(end).ok().map(|stat| stat.st_ino);
        match self {
            Self::Pipes { stdin, stdout, stderr } => {
                [stdin.as_ref().and_then(inode), inode(stdout), inode(stderr)]
            }
            Self::Terminal { .. } => [None; 3],
        }
    }

    /// Begins to pass the app's output on.
    pub(crate) fn carry(self, output: &Output) -> io::Result<Carried> {
        match self {
            Self::Pipes { stdin, stdout, stderr } => {
                let pipe = |source, stream| -> io::Result<_> {
                    let source = Receiver::from_owned_fd(source)?;
                    Ok(tokio::task::spawn_local(pump(source, stream, output.clone())))
                };
                let pumps = vec![pipe(stdout, Stream::Stdout)?, pipe(stderr, Stream::Stderr)?];
                let input = stdin.map(Sender::from_owned_fd).transpose()?.map(Input::Pipe);
                Ok(Carried { input, terminal: None, pumps })
            }
            Self::Terminal { master, stdin } => {
                let terminal = Rc::new(Terminal::new(master)?);
                let source = terminal.reader();
                let work = pump(source, Stream::Stdout, output.clone());
                let pumps = vec![tokio::task::spawn_local(work)];
                let input = stdin.then(|| Input::Terminal(terminal.clone()));
                Ok(Carried { input, terminal: Some(terminal), pumps })
            }
        }
    }
}
