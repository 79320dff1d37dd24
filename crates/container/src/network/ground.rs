//! The network namespace that bridges are made in.
//!
//! For root that is the machine's own. An ordinary user may change nothing
//! there, and has one of its own for each home:
//!
//! ```text
//! containers ═ bridges ─ translation ─ out0 │ pasta or slirp4netns │ the machine's network
//!        namespace of the home, kept by `tandem __network`
//! ```
//!
//! In it everything is made as root makes it on the machine, by the same code.
//! Each supervisor with a container on a bridge shares a lock; the keeper waits
//! for that lock and ends once it gets it, which the kernel sees to however the
//! supervisors ended. The namespace and all in it go with the keeper.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::PathBuf,
    process::{Command, Stdio},
};

use nix::sched::{CloneFlags, setns};
use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_home::{Home, Lock, read_json};
use tandem_model::ProcessIdentity;
use tandem_probe::alive;
use tandem_rootless::Standing;

use super::{failed, keeper::NETWORK};
use crate::descendants::clone_sibling;

/// The home's own namespace, in use while this lives.
pub(crate) struct Ground {
    namespace: OwnedFd,
    /// Why nothing gets out of it.
    pub(super) cut_off: Option<String>,
    _user: Lock,
}

/// Who keeps it, as the keeper writes it down.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) keeper: ProcessIdentity,
    /// Why nothing gets out; `None` when something does.
    pub(super) cut_off: Option<String>,
}

/// Files of a home that have to do with its namespace.
pub(super) struct Places {
    /// Held by whoever looks for the keeper or starts one.
    lock: PathBuf,
    /// Shared by all who use the namespace.
    pub(super) users: PathBuf,
    /// A [`Kept`].
    pub(super) kept: PathBuf,
}

impl Places {
    pub(super) fn of(home: &Home) -> Self {
        let file = |name| home.networks().join(name);
        Self {
            lock: file(".ground.lock"),
            users: file(".ground.users"),
            kept: file(".ground.json"),
        }
    }
}

/// Whether bridges are made in a namespace of the home's own.
fn has_own() -> bool {
    matches!(Standing::of_process(), Standing::Namespace { .. })
}

impl Ground {
    /// The home's own, made where it is missing; `None` when bridges are made
    /// in the present namespace.
    pub(super) fn take(home: &Home) -> Result<Option<Self>, BackendError> {
        if !has_own() {
            return Ok(None);
        }
        let places = Places::of(home);
        let _lock = Lock::exclusive(&places.lock)?;
        // Shared with the other users; from now on no keeper ends.
        let user = Lock::shared(&places.users)?;
        if living(&places)?.is_none() {
            start(home).map_err(|e| BackendError::engine("the home's own network", e))?;
        }
        match living(&places)? {
            Some((namespace, cut_off)) => Ok(Some(Self { namespace, cut_off, _user: user })),
            None => Err(failed("the process that keeps the home's own network is gone")),
        }
    }

    /// Another descriptor of it.
    pub(super) fn try_clone(&self) -> io::Result<OwnedFd> {
        self.namespace.try_clone()
    }
}

impl AsFd for Ground {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }
}

/// Where bridges are.
pub(super) enum Place {
    /// In the present network namespace.
    Present,
    /// In the home's own.
    Own(Ground),
    /// They are gone with the home's own.
    Gone,
}

impl Place {
    /// Where those of a home are.
    pub(super) fn of(home: &Home) -> Result<Self, BackendError> {
        if !has_own() {
            return Ok(Self::Present);
        }
        let places = Places::of(home);
        let _lock = Lock::exclusive(&places.lock)?;
        let user = Lock::shared(&places.users)?;
        Ok(match living(&places)? {
            Some((namespace, cut_off)) => Self::Own(Ground { namespace, cut_off, _user: user }),
            None => Self::Gone,
        })
    }
}

/// The namespace of the keeper, while it lives.
fn living(places: &Places) -> Result<Option<(OwnedFd, Option<String>)>, BackendError> {
    let kept: Option<Kept> = read_json(&places.kept)?;
    let Some(kept) = kept.filter(|kept| alive(kept.keeper)) else { return Ok(None) };
    let namespace = File::open(format!("/proc/{}/ns/net", kept.keeper.pid));
    // Only what is still the same process afterwards was it.
    let namespace = namespace.ok().filter(|_| alive(kept.keeper));
    Ok(namespace.map(|namespace| (namespace.into(), kept.cut_off)))
}

/// Works where bridges are made; the present thread waits. For a home of its
/// own a thread goes there: nobody who left the machine's namespace may come
/// back to it.
pub(super) async fn on<T: Send>(
    ground: Option<&Ground>,
    work: impl AsyncFnOnce() -> Result<T, BackendError> + Send,
) -> Result<T, BackendError> {
    let Some(ground) = ground else { return work().await };
    let work = move || {
        setns(ground, CloneFlags::CLONE_NEWNET).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(failed)?.block_on(work())
    };
    in_thread(work).unwrap_or_else(|| Err(failed("the thread that sets it up has panicked")))
}

/// Runs something in a thread of its own; `None` when it panics.
pub(super) fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| scope.spawn(work).join().ok())
}

/// Starts a keeper and waits until its namespace is ready. It is nobody below
/// the calling supervisor, which ends all those in the end; the process must
/// have a single thread.
fn start(home: &Home) -> io::Result<()> {
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(NETWORK)
        .arg(home.root())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::null());
    if clone_sibling()? == 0 {
        let _ = command.exec();
        // SAFETY: ends the child without running anything of its parent's.
        unsafe { libc::_exit(127) }
    }
    // The other end of the pipe.
    drop(command);
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line)?;
    match line.trim() {
        "ready" => Ok(()),
        "" => Err(io::Error::other("the process that keeps it ended early")),
        reason => Err(io::Error::other(reason.to_owned())),
    }
}
