use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::Path,
    process::ExitCode,
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal, kill},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::Pid,
};
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, getpid, getppid, pidfd_open, waitid};
use tandem_backend::{BackendError, InstanceStore, exec_ended, exec_wanted};
use tandem_home::Home;
use tandem_model::{ExecSpec, InstanceRecord, InstanceState};

use super::{
    child::Child,
    entry::{Entry, protect},
    relay::{Carrier, Streams},
};
use crate::{
    bundle::environment,
    confine::{Program, Report, Root, User, find_program},
    container::security_filter,
    running::exit_code,
};

/// The hidden entry point `tandem __exec HOME ID`. Must be called while the
/// process has a single thread.
pub fn exec_main(home: &Path, id: &str) -> ExitCode {
    exec_ended(run(home, id))
}

fn failed(e: impl std::fmt::Display) -> BackendError {
    BackendError::engine("entering the container", e)
}

fn run(home: &Path, id: &str) -> Result<i32, BackendError> {
    // The caller's end ends the command; opened first, so that none is missed.
    let caller = getppid().and_then(|parent| pidfd_open(parent, PidfdFlags::empty()).ok());
    let caller = caller.ok_or(BackendError::Cancelled)?;
    protect().map_err(|e| BackendError::Unavailable {
        what: "executing a command in a container".into(),
        why: format!("the program cannot be protected from it ({e})"),
        fix: "use Linux 5.12 or later".into(),
    })?;
    let spec = exec_wanted()?;
    let store = InstanceStore::new(Home::opened(home));
    let record = store.load(&id.parse().map_err(BackendError::NoInstance)?)?;
    let process = match record.state {
        InstanceState::Running => record.runtime.process,
        _ => None,
    };
    let process = process.ok_or_else(|| not_running(&record))?;
    let entry =
        Entry::open(process, &record.runtime.cgroups).map_err(|e| gone_or_failed(&record, &e))?;
    start(&store, &record, &spec, &entry, &caller)
}

/// The container may end at any moment.
fn gone_or_failed(record: &InstanceRecord, error: &io::Error) -> BackendError {
    match error.raw_os_error() {
        Some(libc::ESRCH | libc::ENOENT | libc::ENODEV) => not_running(record),
        _ if error.kind() == io::ErrorKind::NotFound => not_running(record),
        _ => failed(error),
    }
}

/// Without its usual devices a container gives a command no streams.
fn no_streams(record: &InstanceRecord, error: &io::Error) -> BackendError {
    let lives = record.runtime.process.is_some_and(tandem_probe::alive);
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::NotFound if lives => {
            BackendError::Unavailable {
                what: format!("a further command in {}", record.spec.name),
                why: format!("its /dev was changed from inside ({error})"),
                fix: format!("make it anew with `tandem restart {}`", record.spec.name),
            }
        }
        _ => gone_or_failed(record, error),
    }
}

fn not_running(record: &InstanceRecord) -> BackendError {
    let name = record.spec.name.clone();
    if record.state == InstanceState::Paused {
        let next = format!("let it go on with `tandem unpause {name}`");
        return BackendError::WrongState { name, state: "paused", next };
    }
    let next = format!("start it first with `tandem start {name}`");
    BackendError::WrongState { name, state: "not running", next }
}

fn start(
    store: &InstanceStore,
    record: &InstanceRecord,
    spec: &ExecSpec,
    entry: &Entry,
    caller: &OwnedFd,
) -> Result<i32, BackendError> {
    let root = Root::open(&entry.root()).map_err(failed)?;
    let wanted = spec.user.as_deref().unwrap_or(&record.spec.user);
    let (user, _) = User::find(&root, wanted)?;
    let hostname = record.spec.hostname.clone().unwrap_or_else(|| record.id.to_string());
    let mut env = [record.spec.env.as_slice(), &spec.env].concat();
    if spec.terminal && !env.iter().any(|entry| entry.starts_with("TERM=")) {
        env.push("TERM=xterm".to_owned());
    }
    let env = environment(&env, &user, Some(&hostname));
    let cwd = spec.cwd.as_deref().unwrap_or(&record.spec.cwd);
    let name = spec.args.first().map_or("", String::as_str);
    let path = find_program(&root, name, cwd, &env)?;
    let program = Program::new(&path, &spec.args, &env)?;
    let capabilities = entry.bounding_set().map_err(failed)?;
    let filter = security_filter(store.home(), &record.spec.options.security, capabilities)?;

    let helper = pidfd_open(getpid(), PidfdFlags::empty()).map_err(failed)?;
    let report = Report::new().map_err(failed)?;
    let streams = Streams::open(spec, &user, &root).map_err(|e| no_streams(record, &e))?;
    entry.enter().map_err(|e| gone_or_failed(record, &e))?;
    let child = Child {
        entry,
        program: &program,
        user: &user,
        cwd,
        capabilities,
        filter: filter.as_ref(),
        no_new_privileges: record.spec.options.security.no_new_privileges,
        streams: streams.numbers,
        terminal: spec.terminal,
        helper: (!spec.detach).then(|| helper.as_raw_fd()),
    };
    let pid = entry.fork(|| child.run(report.writer())).map_err(failed)?;
    let signals = block_signals().map_err(failed)?;
    let carrier = streams.carry().map_err(failed)?;
    let executed = report.wait().map_err(failed)?;
    if spec.detach && executed.is_ok() {
        return Ok(0);
    }
    let code = follow(pid, caller, &signals, &carrier);
    let passed = carrier.finish();
    executed.map_err(|complaint| complaint.into_error(name, cwd))?;
    passed.map_err(|e| BackendError::io("pass on", "the command's output", e))?;
    code.map_err(failed)
}

/// Everything that a caller may want to tell the command.
fn block_signals() -> nix::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGWINCH,
    ] {
        set.add(signal);
    }
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// Passes signals on until the command has ended; returns its exit code. When
/// the caller is gone the command is killed.
fn follow(pid: Pid, caller: &OwnedFd, signals: &SignalFd, carrier: &Carrier) -> io::Result<i32> {
    let raw = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(io::ErrorKind::NotFound)?;
    let pidfd = File::from(pidfd_open(raw, PidfdFlags::empty())?);
    loop {
        let wanted = PollFlags::POLLIN;
        let mut sources = [
            PollFd::new(pidfd.as_fd(), wanted),
            PollFd::new(caller.as_fd(), wanted),
            PollFd::new(signals.as_fd(), wanted),
        ];
        match poll(&mut sources, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            other => other?,
        };
        let came = |at: usize| sources[at].any().unwrap_or(false);
        let (ended, alone) = (came(0), came(1));
        if ended {
            let options = WaitIdOptions::EXITED;
            return Ok(exit_code(waitid(WaitId::PidFd(pidfd.as_fd()), options)));
        }
        if alone {
            let _ = kill(pid, Signal::SIGKILL);
        }
        while let Ok(Some(signal)) = signals.read_signal() {
            let number = i32::try_from(signal.ssi_signo).unwrap_or(0);
            match Signal::try_from(number) {
                Ok(Signal::SIGWINCH) => carrier.streams.resize(),
                Ok(signal) => drop(kill(pid, signal)),
                Err(_) => {}
            }
        }
    }
}
