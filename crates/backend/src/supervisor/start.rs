use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd as _, AsRawFd},
        unix::net,
    },
    path::Path,
    process::ExitCode,
    time::Duration,
};

use tandem_home::Home;
use tandem_model::InstanceRecord;
use tokio::net::UnixStream;

use super::{
    Payload,
    life::{Supervisor, settle},
    report,
};
use crate::{
    BackendError, InstanceStore, LaunchEvent,
    launch::open_log,
    standby::{Assignment, assignment},
};

/// Makes the part of a supervisor that knows its backend.
pub(super) type MakePayload<'a> =
    &'a dyn Fn(&InstanceStore, &InstanceRecord) -> Result<Box<dyn Payload>, BackendError>;

/// The hidden entry point `tandem __supervise HOME ID [attached]`: runs one
/// instance from launch to clean-up. When `attached`, standard input is a
/// connection of whoever started it. `payload` makes the part that knows its
/// backend.
pub fn supervise(
    home: &Path,
    id: &str,
    attached: bool,
    payload: impl Fn(&InstanceStore, &InstanceRecord) -> Result<Box<dyn Payload>, BackendError>,
) -> ExitCode {
    told(|| {
        let first = attached.then(take_standard_input).transpose().map_err(failed)?;
        apart()?;
        run(home, id, first, &payload)
    })
}

/// The hidden entry point `tandem __stand_by HOME`: the same for an instance
/// that is not known yet.
pub fn stand_by(
    home: &Path,
    payload: impl Fn(&InstanceStore, &InstanceRecord) -> Result<Box<dyn Payload>, BackendError>,
) -> ExitCode {
    told(|| {
        let mut connection = take_standard_input().map_err(failed)?;
        apart()?;
        let Some(Assignment { id, attached }) = assignment(&mut connection) else { return Ok(()) };
        let log = open_log(&InstanceStore::new(Home::opened(home)), &id)?;
        stand_in(&log, &io::stderr()).map_err(failed)?;
        run(home, id.as_str(), attached.then_some(connection), &payload)
    })
}

/// Tells the starting command how it ended.
fn told(work: impl FnOnce() -> Result<(), BackendError>) -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            report(&LaunchEvent::Failed { failure: e.to_failure() });
            eprintln!("{e}");
            ExitCode::from(125)
        }
    }
}

fn failed(e: io::Error) -> BackendError {
    BackendError::engine("the supervisor", e)
}

/// Parts from whoever started it.
fn apart() -> Result<(), BackendError> {
    // Already a session leader: then no terminal can reach us anyway.
    let _ = rustix::process::setsid();
    // Orphans of the payload come to us, so that their end is seen.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|e| BackendError::engine("the supervisor", e))
}

fn run(
    home: &Path,
    id: &str,
    first: Option<net::UnixStream>,
    make: MakePayload<'_>,
) -> Result<(), BackendError> {
    let store = InstanceStore::new(Home::opened(home));
    let id = id.parse().map_err(BackendError::NoInstance)?;
    let Some(lock) = store.lock_ended(&id)? else {
        let name = store.load(&id)?.spec.name;
        return Err(BackendError::WrongState {
            next: format!("stop it first with `tandem stop {name}`"),
            name,
            state: "already running",
        });
    };
    let record = store.load(&id)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // An app is started again by a process with a single thread.
        .thread_keep_alive(Duration::from_millis(50))
        .build()
        .map_err(failed)?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let first = first.map(connected).transpose().map_err(failed)?;
        let (supervisor, inbox) = Supervisor::new(store, record)?;
        let ended = supervisor.run(make, inbox, first).await?;
        // Whoever is told of the end may want the instance at once.
        drop(lock);
        tokio::join!(ended.clients.end(ended.exit.as_ref()), settle(ended.remainder));
        ended.result
    })
}

/// Keeps what whoever started this program left open (a script's lock, a pipe
/// that somebody waits at) from the processes that outlive it. To be called
/// before anything is opened that is meant for a child.
pub fn keep_descriptors() {
    let flags = libc::c_int::try_from(libc::CLOSE_RANGE_CLOEXEC).unwrap_or(0);
    // SAFETY: a flag of descriptors is set. Where the kernel knows no such call
    // (before 5.11) they are passed on, as by most programs.
    unsafe { libc::close_range(3, libc::c_uint::MAX, flags) };
}

/// Takes the connection that was handed over, and leaves nothing to be
/// inherited by what we start.
pub fn take_standard_input() -> io::Result<net::UnixStream> {
    let stdin = io::stdin();
    let own = stdin.as_fd().try_clone_to_owned()?;
    // Nobody has read from it.
    stand_in(&File::open("/dev/null")?, &stdin)?;
    Ok(own.into())
}

/// Puts a file in the place of another descriptor.
fn stand_in(file: &File, place: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: both are open descriptors.
    if unsafe { libc::dup2(file.as_raw_fd(), place.as_raw_fd()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn connected(stream: net::UnixStream) -> io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}
