//! Between the running app and the host: output one way, signals the other.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};
use tandem_guest::wire::{Frame, Frames, FromGuest, LONGEST, Stream, ToGuest};

use super::{app::App, end};

/// Output that waits for the host. Beyond it the app waits when it writes.
const MOST_PENDING: usize = 256 * 1024;

/// How long the app's output may still come after its end.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);

/// How long the host may take to read the last of it.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);

/// How long to wait while nobody listens at the other end.
const RETRY: u16 = 5;

/// Carries output and requests until the app has ended.
pub(super) struct Relay {
    app: App,
    /// `None` once it is closed.
    outputs: [Option<File>; 2],
    /// `None` when the channel failed: the app runs nevertheless, unheard.
    channel: Option<File>,
    /// Bytes for the host.
    pending: Vec<u8>,
    /// Bytes from the host.
    requests: Frames,
    /// The channel has no other end just now.
    alone: bool,
    children: SignalFd,
}

impl Relay {
    pub(super) fn new(mut app: App, channel: Option<File>) -> io::Result<Self> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        let children = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let outputs = app.take_outputs();
        let open = |output: Option<OwnedFd>| output.map(non_blocking).transpose();
        let [stdout, stderr] = outputs;
        Ok(Self {
            app,
            outputs: [open(stdout)?, open(stderr)?],
            channel,
            pending: Vec::new(),
            requests: Frames::default(),
            alone: false,
            children,
        })
    }

    /// Returns how the app ended, with all its output handed over.
    pub(super) fn run(&mut self) -> io::Result<FromGuest> {
        let mut ended: Option<(FromGuest, Instant)> = None;
        loop {
            while let Ok(Some(_)) = self.children.read_signal() {}
            if let Some(exit) = self.app.reap() {
                // What it started ends with it, as in a container.
                end::kill_all();
                ended = Some((exit, Instant::now() + DRAIN_LIMIT));
            }
            if let Some((exit, limit)) = &ended
                && (self.outputs.iter().all(Option::is_none) || Instant::now() > *limit)
            {
                let exit = exit.clone();
                self.flush();
                return Ok(exit);
            }
            self.turn(if ended.is_some() { Some(RETRY) } else { None })?;
        }
    }

    /// Tells the host something and waits until it was taken.
    pub(super) fn tell(&mut self, message: FromGuest) {
        self.pending.extend(Frame::Message(message).to_bytes());
        self.flush();
    }

    fn flush(&mut self) {
        let limit = Instant::now() + FLUSH_LIMIT;
        while !self.pending.is_empty() && self.channel.is_some() && Instant::now() < limit {
            if self.turn(Some(RETRY)).is_err() {
                return;
            }
        }
    }

    /// Waits for something to do, and does it.
    fn turn(&mut self, milliseconds: Option<u16>) -> io::Result<()> {
        let ready = self.wait(milliseconds)?;
        for (index, is_ready) in ready.outputs.into_iter().enumerate() {
            if is_ready {
                self.read_output(index);
            }
        }
        if ready.channel.contains(PollFlags::POLLIN) {
            self.read_requests();
        }
        // A port without a host reports POLLHUP all the time.
        self.alone = ready.channel.contains(PollFlags::POLLHUP);
        if !self.alone {
            self.write();
        }
        Ok(())
    }

    fn wait(&self, milliseconds: Option<u16>) -> io::Result<Ready> {
        let input = PollFlags::POLLIN;
        let full = self.pending.len() > MOST_PENDING;
        let wanted = if self.pending.is_empty() { input } else { input | PollFlags::POLLOUT };
        let [stdout, stderr] = self.outputs.each_ref().map(|output| output.as_ref());
        let sources = [
            (Some(self.children.as_fd()), input),
            (stdout.filter(|_| !full).map(|file| file.as_fd()), input),
            (stderr.filter(|_| !full).map(|file| file.as_fd()), input),
            (self.channel.as_ref().filter(|_| !self.alone).map(|file| file.as_fd()), wanted),
        ];
        let mut polled: Vec<PollFd<'_>> =
            sources.iter().filter_map(|(fd, flags)| fd.map(|fd| PollFd::new(fd, *flags))).collect();
        let limit = if self.alone { Some(RETRY) } else { milliseconds };
        match poll(&mut polled, limit.map_or(PollTimeout::NONE, PollTimeout::from)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        let mut answers = polled.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        let [_, stdout, stderr, channel] = sources.map(|(fd, _)| match fd {
            Some(_) => answers.next().unwrap_or(PollFlags::empty()),
            None => PollFlags::empty(),
        });
        Ok(Ready { outputs: [!stdout.is_empty(), !stderr.is_empty()], channel })
    }

    fn read_output(&mut self, index: usize) {
        let mut buffer = [0; LONGEST / 2];
        let Some(output) = &mut self.outputs[index] else { return };
        match output.read(&mut buffer) {
            Ok(0) => self.outputs[index] = None,
            Ok(count) if self.channel.is_some() => {
                let stream = if index == 0 { Stream::Stdout } else { Stream::Stderr };
                let frame = Frame::<FromGuest>::Output(stream, buffer[..count].to_vec());
                self.pending.extend(frame.to_bytes());
            }
            Ok(_) => {}
            Err(e)
                if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.outputs[index] = None,
        }
    }

    fn read_requests(&mut self) {
        let mut buffer = [0; 4096];
        let Some(channel) = &mut self.channel else { return };
        let Ok(count) = channel.read(&mut buffer) else { return };
        self.requests.push(&buffer[..count]);
        while let Some(request) = self.requests.next_frame() {
            match request {
                Ok(Frame::Message(ToGuest::Signal { number })) => self.app.signal(number),
                Ok(Frame::Output(..)) => {}
                // The host is the one side that is trusted; a version of it
                // that says more than this one knows is heard no further.
                Err(_) => {
                    self.requests = Frames::default();
                    return;
                }
            }
        }
    }

    fn write(&mut self) {
        let Some(channel) = &mut self.channel else { return };
        if self.pending.is_empty() {
            return;
        }
        match channel.write(&self.pending) {
            Ok(count) => drop(self.pending.drain(..count)),
            Err(e)
                if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.alone = true,
        }
    }
}

/// What a wait found.
struct Ready {
    outputs: [bool; 2],
    channel: PollFlags,
}

fn non_blocking(fd: OwnedFd) -> io::Result<File> {
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(fd.into())
}
