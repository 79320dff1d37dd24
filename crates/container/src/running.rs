//! An app that is up, as its supervisor sees it.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use async_trait::async_trait;
use rustix::process::{
    Gid, Pid, PidfdFlags, Uid, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, waitid,
};
use tandem_backend::{BackendError, Joined, Output, Running, WindowSize};
use tandem_model::{Exit, InstanceRecord, Resources};
use tokio::{
    io::{AsyncWriteExt as _, Interest, unix::AsyncFd},
    signal::unix::{SignalKind, signal},
    sync::{Mutex, watch},
    task::JoinHandle,
};

use crate::{
    cgroup,
    checkpoint::Subject,
    confine::User,
    descendants,
    network::Networks,
    stdio::{Carried, Ends, Input, Terminal},
    task::Task,
};

/// Makes a user the owner of an open file.
pub(crate) fn give_to(file: impl AsFd, user: &User) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    Ok(rustix::fs::fchown(file, Some(uid), Some(gid))?)
}

/// What else ends with the app's first process.
#[derive(Debug, Clone)]
pub(crate) enum Kin {
    /// Everything in these folders of a control group; the kernel ends them,
    /// the first process being their namespace's init.
    Group(Rc<[PathBuf]>),
    /// Whatever descends from the supervisor.
    Descendants,
}

/// An app that runs.
pub(crate) struct RunningApp {
    pidfd: Rc<OwnedFd>,
    kin: Kin,
    input: Mutex<Option<Input>>,
    terminal: Option<Rc<Terminal>>,
    ended: watch::Receiver<Option<Exit>>,
    tasks: Vec<JoinHandle<()>>,
    /// Whose memory may be asked for.
    subject: Option<Subject>,
    /// What joins further networks, where it is on one that allows it.
    networks: Option<Networks>,
    /// Proxies and the like, which end with it.
    _beside: Vec<Task>,
}

impl Drop for RunningApp {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl RunningApp {
    /// Watches over a child that was just started.
    pub(crate) fn watch(
        pid: i32,
        kin: Kin,
        ends: Ends,
        output: Output,
        beside: Vec<Task>,
    ) -> io::Result<Self> {
        let raw = Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?;
        let pidfd = Rc::new(pidfd_open(raw, PidfdFlags::empty())?);
        let Carried { input, terminal, pumps } = ends.carry(&output)?;
        let (sender, ended) = watch::channel(None);
        let mut tasks = Vec::new();
        if matches!(kin, Kin::Descendants) {
            tasks.push(tokio::task::spawn_local(collect_orphans(pid)));
        }
        let (watched, ends_with) = (pidfd.clone(), kin.clone());
        tasks.push(tokio::task::spawn_local(async move {
            let exit = wait_for(&watched, &ends_with, pumps, &output).await;
            sender.send_replace(Some(exit));
        }));
        let input = Mutex::new(input);
        let subject = None;
        let networks = None;
        Ok(Self { pidfd, kin, input, terminal, ended, tasks, subject, networks, _beside: beside })
    }

    /// The same with what a dump of its memory has to know.
    pub(crate) fn with_memory_of(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// The same with what joins further networks.
    pub(crate) fn on_networks(mut self, networks: Option<Networks>) -> Self {
        self.networks = networks;
        self
    }

    fn networks(&self) -> Result<&Networks, BackendError> {
        self.networks.as_ref().ok_or(BackendError::Unsupported("a second network"))
    }

    /// Sends a signal, also one of those without a name (signal(7)).
    fn send(&self, number: i32) -> Result<(), BackendError> {
        let none = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is a pidfd, and no details are passed.
        let result = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.pidfd.as_raw_fd(), number, none, 0)
        };
        match io::Error::last_os_error() {
            _ if result == 0 => Ok(()),
            // It has ended; whoever waits learns that.
            e if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            e => Err(BackendError::engine("sending a signal to the app", e)),
        }
    }
}

#[async_trait(?Send)]
impl Running for RunningApp {
    async fn wait(&self) -> Exit {
        let mut ended = self.ended.clone();
        let exit = ended.wait_for(Option::is_some).await.ok().and_then(|exit| exit.clone());
        exit.unwrap_or_else(|| {
            let error = BackendError::engine("the supervisor", "it lost sight of the app");
            Exit { code: 125, out_of_memory: false, error: Some(error.to_failure()) }
        })
    }

    async fn signal(&self, number: i32) -> Result<(), BackendError> {
        self.send(number)
    }

    async fn kill(&self) -> Result<(), BackendError> {
        self.send(libc::SIGKILL)?;
        match &self.kin {
            Kin::Group(folders) => cgroup::kill_all(folders),
            Kin::Descendants => descendants::kill_present(),
        }
        Ok(())
    }

    async fn pause(&self) -> Result<(), BackendError> {
        match &self.kin {
            Kin::Group(folders) => cgroup::freeze(folders, true).await,
            Kin::Descendants => Err(BackendError::Unsupported("pausing")),
        }
    }

    async fn resume(&self) -> Result<(), BackendError> {
        match &self.kin {
            Kin::Group(folders) => cgroup::freeze(folders, false).await,
            Kin::Descendants => Err(BackendError::Unsupported("resuming")),
        }
    }

    async fn checkpoint(&self, into: &Path) -> Result<Duration, BackendError> {
        match (&self.kin, &self.subject) {
            (Kin::Group(folders), Some(subject)) => subject.hold_and_dump(folders, into).await,
            _ => Err(BackendError::Unsupported("a snapshot with memory")),
        }
    }

    async fn join_network(
        &self,
        record: &InstanceRecord,
        network: &str,
    ) -> Result<Joined, BackendError> {
        self.networks()?.join(record, network).await
    }

    async fn leave_network(
        &self,
        record: &InstanceRecord,
        network: &str,
    ) -> Result<(), BackendError> {
        self.networks()?.leave(record, network).await
    }

    async fn update(&self, resources: &Resources) -> Result<(), BackendError> {
        let Kin::Group(folders) = &self.kin else {
            return Err(BackendError::Unsupported("changing limits while the app runs"));
        };
        let (folders, resources) = (folders.to_vec(), *resources);
        // Making room takes time, and this thread carries the app's traffic.
        let work = tokio::task::spawn_blocking(move || {
            let layout = cgroup::Layout::detect()
                .map_err(|e| BackendError::engine("the control groups", e))?;
            cgroup::update(&layout, &folders, &resources)
        });
        work.await.map_err(|e| BackendError::engine("changing the limits", e))?
    }

    async fn write_input(&self, bytes: &[u8]) -> Result<(), BackendError> {
        let written = match &mut *self.input.lock().await {
            Some(Input::Pipe(pipe)) => pipe.write_all(bytes).await,
            Some(Input::Terminal(terminal)) => terminal.write_all(bytes).await,
            None => Ok(()),
        };
        // It may have closed its end.
        written.map_err(|e| BackendError::engine("passing input on", e))
    }

    async fn close_input(&self) -> Result<(), BackendError> {
        // A terminal has no end: the key for it is a matter of the app's.
        let mut input = self.input.lock().await;
        if matches!(&*input, Some(Input::Pipe(_))) {
            *input = None;
        }
        Ok(())
    }

    async fn resize(&self, size: WindowSize) -> Result<(), BackendError> {
        match &self.terminal {
            Some(terminal) => terminal
                .resize(size)
                .map_err(|e| BackendError::engine("changing the terminal's size", e)),
            None => Ok(()),
        }
    }
}

/// Collects processes that lost their parent, as long as the app runs.
async fn collect_orphans(main: i32) {
    let Ok(mut child) = signal(SignalKind::child()) else { return };
    loop {
        descendants::collect_orphans(main);
        if child.recv().await.is_none() {
            return;
        }
    }
}

/// How long output may come after the last process has ended.
const OUTPUT_LIMIT: Duration = Duration::from_secs(2);

async fn wait_for(pidfd: &OwnedFd, kin: &Kin, pumps: Vec<JoinHandle<()>>, output: &Output) -> Exit {
    if let Ok(own) = pidfd.try_clone() {
        // SAFETY: an owned descriptor names the same open file as long as it
        // lives, and it lives inside the `AsyncFd`.
        let watched = unsafe { AsyncFd::register_with_interest(own, Interest::READABLE) };
        if let Ok(watched) = watched {
            let _ = watched.readable().await;
        }
    }
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    let out_of_memory = match kin {
        Kin::Group(folders) => cgroup::out_of_memory_kills(folders) > 0,
        Kin::Descendants => {
            descendants::kill_descendants();
            false
        }
    };
    let rest = async {
        for pump in pumps {
            let _ = pump.await;
        }
    };
    tokio::pin!(rest);
    // Who reads slowly may take the time that is needed.
    while tokio::time::timeout(OUTPUT_LIMIT, &mut rest).await.is_err() && output.is_held_back() {}
    Exit { code: exit_code(status), out_of_memory, error: None }
}

/// The exit code of a child; 128 + signal when a signal ended it.
pub(crate) fn exit_code(status: rustix::io::Result<Option<WaitIdStatus>>) -> i32 {
    match status {
        Ok(Some(status)) => status
            .exit_status()
            .or_else(|| status.terminating_signal().map(|signal| 128 + signal))
            .unwrap_or(125),
        _ => 125,
    }
}
