use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsRawFd as _, RawFd},
        unix::net::UnixStream as StdStream,
    },
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tandem_backend::BackendError;
use tandem_model::HostInstant;
use tokio::{
    net::UnixStream,
    process::{Child, Command},
    time::timeout,
};

use super::{
    Descriptors, Handed, Qemu, User,
    fence::{Fence, Reach},
    told::Told,
};
use crate::qmp::Qmp;

/// How long QEMU may take until its monitor answers.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A QEMU process that was started, with our ends of its sockets.
pub(crate) struct Started {
    pub(crate) machine: Machine,
    /// The debug port: one byte for each step of the boot.
    pub(crate) debug: UnixStream,
    /// The serial console.
    pub(crate) console: UnixStream,
    /// The channel to the guest.
    pub(crate) channel: UnixStream,
    qmp: UnixStream,
}

/// A QEMU process. Dropping it kills it.
pub(crate) struct Machine {
    pub(crate) child: Child,
    told: Option<Told>,
}

struct Pair {
    ours: StdStream,
    theirs: StdStream,
}

impl Pair {
    fn new() -> io::Result<Self> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok(Self { ours, theirs })
    }

    fn theirs(&self) -> RawFd {
        self.theirs.as_raw_fd()
    }
}

/// In what pieces the kernel gives QEMU memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pages {
    /// As the machine has it set up.
    Usual,
    /// Four kibibytes. Of what a balloon takes page by page nothing goes back
    /// while the kernel makes huge pages anew out of what is left.
    Small,
}

impl Started {
    /// Starts QEMU as `user` with the command line that `arguments` makes for
    /// the sockets, and with the files that it is handed; it reaches nothing else
    /// of the host's. The machine stands still until `cont`. QEMU is killed when
    /// the thread that calls this ends.
    pub(crate) fn spawn(
        qemu: &Qemu,
        user: Option<User>,
        mut reach: Reach,
        pages: Pages,
        arguments: impl FnOnce(Descriptors, &mut Handed) -> Result<Vec<OsString>, BackendError>,
    ) -> Result<Self, BackendError> {
        let failed = |e: io::Error| BackendError::io("start", &qemu.program, e);
        let pair = || Pair::new().map_err(|e| BackendError::engine("making a socket", e));
        let [qmp, debug, console, channel] = [pair()?, pair()?, pair()?, pair()?];
        let descriptors = Descriptors {
            qmp: qmp.theirs(),
            debug: debug.theirs(),
            console: console.theirs(),
            channel: channel.theirs(),
        };
        let mut handed = Handed::to(user);
        let words = arguments(descriptors, &mut handed)?;
        let mut inherited = handed.descriptors();
        inherited.extend([&qmp, &debug, &console, &channel].map(Pair::theirs));
        reach.read.extend(handed.shown_files().cloned());
        reach.write.extend(handed.given_files().cloned());
        let fence = Fence::around(&reach).map_err(|e| BackendError::engine("fencing QEMU", e))?;
        let parent = rustix::process::getpid();
        let mut command = Command::new(&qemu.program);
        command
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let user = handed.user().cloned();
        // SAFETY: the closure makes system calls only and allocates nothing.
        unsafe {
            command.pre_exec(move || {
                prepare(parent, user.as_ref(), &inherited, fence.as_ref(), pages)
            });
        }
        let mut child = command.spawn().map_err(failed)?;
        let told = child.stderr.take().map(Told::by);
        // As long as anybody has them open, QEMU's locks on its disks stay.
        drop(handed);
        let tokio = |pair: Pair| UnixStream::from_std(pair.ours).map_err(failed);
        Ok(Self {
            machine: Machine { child, told },
            debug: tokio(debug)?,
            console: tokio(console)?,
            channel: tokio(channel)?,
            qmp: tokio(qmp)?,
        })
    }

    /// Waits until the monitor answers. An error is what QEMU said.
    pub(crate) async fn connect(
        self,
    ) -> Result<(Machine, Qmp, [UnixStream; 3]), (Machine, String)> {
        let Self { mut machine, debug, console, channel, qmp } = self;
        match Qmp::connect(qmp, START_LIMIT).await {
            Ok(qmp) => Ok((machine, qmp, [debug, console, channel])),
            Err(e) => {
                let _ = machine.child.start_kill();
                let said = machine.errors().await;
                let reason = if said.is_empty() { e.to_string() } else { said };
                Err((machine, reason))
            }
        }
    }
}

/// Runs in the new process before it becomes QEMU.
fn prepare(
    parent: rustix::process::Pid,
    user: Option<&User>,
    inherited: &[RawFd],
    fence: Option<&Fence>,
    pages: Pages,
) -> io::Result<()> {
    if pages == Pages::Small {
        rustix::thread::disable_transparent_huge_pages(true)?;
    }
    user.map_or(Ok(()), User::assume)?;
    // After that: whoever becomes another user loses it.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    if rustix::process::getppid() != Some(parent) {
        return Err(io::Error::other("the supervisor has ended"));
    }
    for fd in inherited {
        // SAFETY: changes a flag of a descriptor that the parent holds open.
        if unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    fence.map_or(Ok(()), Fence::enter)
}

impl Machine {
    /// Process id, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its end, and kills it after `limit`.
    pub(crate) async fn end(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        if let Ok(status) = timeout(limit, self.child.wait()).await {
            return status;
        }
        self.child.start_kill()?;
        self.child.wait().await
    }

    /// The last line that QEMU said on standard error, without its own name,
    /// once it has closed it.
    pub(crate) async fn errors(&mut self) -> String {
        match &mut self.told {
            Some(told) => told.complaint().await,
            None => String::new(),
        }
    }

    /// When the firmware entered the kernel that it was handed.
    pub(crate) fn kernel_entered(&self) -> Option<HostInstant> {
        self.told.as_ref()?.entered()
    }
}
