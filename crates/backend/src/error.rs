use std::{net::IpAddr, path::PathBuf};

use tandem_home::HomeError;
use tandem_model::{ErrorCode, Failure, PortMap, Subnet};

use crate::other_port::other_port;

/// What can go wrong between a request and a running instance.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// No instance has this name or id.
    #[error("there is no instance `{0}`: `tandem ps -a` lists them")]
    NoInstance(String),
    /// No instance has this name, but one has nearly the same.
    #[error("there is no instance `{name}`: did you mean `{near}`? `tandem ps -a` lists all")]
    Mistyped {
        /// What was asked for.
        name: String,
        /// The name that is nearest.
        near: String,
    },
    /// Several instances match the beginning of an id.
    #[error("`{0}` is the beginning of several instance ids: write more of it")]
    Ambiguous(String),
    /// Another instance has the name.
    #[error(
        "the name `{0}` is taken by another instance: choose another with --name, or remove that one with `tandem rm {0}`"
    )]
    NameTaken(String),
    /// The name is the instance's already.
    #[error("the instance is called `{0}` already: choose another name, or leave it")]
    NameKept(String),
    /// The name cannot be one.
    #[error(
        "`{0}` cannot name an instance: use letters, digits, `_`, `.` and `-`, beginning with a letter or digit"
    )]
    BadName(String),
    /// The instance's state forbids the request.
    #[error("instance `{name}` is {state}: {next}")]
    WrongState {
        /// Its name.
        name: String,
        /// Where it stands, a word.
        state: &'static str,
        /// What to do instead.
        next: String,
    },
    /// The host port of a published port is held by somebody.
    #[error("port {}:{} is in use by another program: stop that program or publish another port, e.g. -p {}", host(.0), .0.host_port, other_port(.0))]
    PortInUse(PortMap),
    /// The same of every port of a range.
    #[error("all ports from {}:{} to {} are in use: stop a program that has one, or publish other ports, e.g. -p {}", host(.port), .port.host_port, .last, other_port(.port))]
    PortsInUse {
        /// The port, which begins the range.
        port: PortMap,
        /// The range's last port.
        last: u16,
    },
    /// The host port of a published port is held by another instance.
    #[error("port {}:{} is published by instance `{holder}`: stop that one with `tandem stop {holder}`, or publish another port, e.g. -p {}", host(.port), .port.host_port, other_port(.port))]
    PortPublished {
        /// The port.
        port: PortMap,
        /// The instance that has it.
        holder: String,
    },
    /// Binding the host port was refused for another reason.
    #[error("cannot listen on {}:{}: {source}; {}", host(.port), .port.host_port, other_place(.source))]
    PortRefused {
        /// The port.
        port: PortMap,
        /// The answer.
        source: std::io::Error,
    },
    /// No network has this name.
    #[error("there is no network `{0}`: `tandem network ls` lists them")]
    NoNetwork(String),
    /// No network has this name, but one has nearly the same.
    #[error("there is no network `{name}`: did you mean `{near}`? `tandem network ls` lists all")]
    MistypedNetwork {
        /// What was asked for.
        name: String,
        /// The name that is nearest.
        near: String,
    },
    /// Another network has the name, or it is one that is always there.
    #[error(
        "there is a network `{0}` already: choose another name, or remove it with `tandem network rm {0}`"
    )]
    NetworkTaken(String),
    /// The network is needed.
    #[error(
        "the network `{network}` is used by instance `{instance}`: remove that first with `tandem rm {instance}`"
    )]
    NetworkInUse {
        /// The network.
        network: String,
        /// One of those that use it.
        instance: String,
    },
    /// The addresses of a network are taken.
    #[error(
        "the network {wanted} overlaps with {other}, which {holder} has: choose another with --subnet"
    )]
    SubnetTaken {
        /// What is wanted.
        wanted: Subnet,
        /// What it overlaps with.
        other: Subnet,
        /// Whose that is.
        holder: String,
    },
    /// The program is not in the image.
    #[error("`{0}` is not in the image: check the command, ENTRYPOINT and CMD")]
    CommandNotFound(String),
    /// The program cannot be executed.
    #[error("`{program}` cannot be executed: {reason}")]
    NotExecutable {
        /// The program.
        program: String,
        /// Why not.
        reason: String,
    },
    /// The image has not this user or group.
    #[error(
        "the image has no user or group `{0}`: use a number up to 2147483647 or add it in the Dockerfile"
    )]
    NoUser(String),
    /// No volume has this name.
    #[error("there is no volume `{name}`: {hint}`tandem volume ls` lists them")]
    NoVolume {
        /// What was asked for.
        name: String,
        /// The nearest name, as a question, or nothing.
        hint: String,
    },
    /// Instances have the volume.
    #[error("volume `{name}` is in use by {users}: remove those instances first")]
    VolumeInUse {
        /// The volume.
        name: String,
        /// The instances.
        users: String,
    },
    /// The name cannot be one of a volume.
    #[error("{0}")]
    BadVolume(String),
    /// What is to be mounted is not there, or cannot be.
    #[error("{0}")]
    BadMount(String),
    /// A setting cannot be used.
    #[error("{0}")]
    BadSetting(String),
    /// This machine lacks something.
    #[error("{what} is not available: {why}; {fix}")]
    Unavailable {
        /// What is wanted, e.g. `QEMU`.
        what: String,
        /// What the probe saw.
        why: String,
        /// What to do.
        fix: String,
    },
    /// The backend of this instance has no such thing.
    #[error("{0} is not possible with this backend: use --backend container")]
    Unsupported(&'static str),
    /// The change is possible, but not while the app runs.
    #[error("{0}: use --mode cold to stop and start it for that")]
    NeedsRestart(String),
    /// The request was withdrawn while the instance came up.
    #[error("the launch was cancelled")]
    Cancelled,
    /// The file system is full.
    #[error(
        "no space is left on the disk while {0}: free some and try again (`tandem system df` shows what Tandem uses)"
    )]
    NoSpace(String),
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        source: std::io::Error,
    },
    /// A named part of the engine failed.
    #[error("{part} failed: {reason}")]
    Engine {
        /// Which part, e.g. `libcontainer`, `QEMU`, `the bridge network`.
        part: &'static str,
        /// What it said.
        reason: String,
    },
    /// Something failed, and cleaning up after it failed too.
    #[error("{cause}; besides, cleaning up failed: {cleanup}")]
    AndCleanup {
        /// The first failure.
        cause: Box<BackendError>,
        /// The second.
        cleanup: String,
    },
    /// The home folder failed.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A failure that another process reported.
    #[error(transparent)]
    Reported(#[from] Failure),
}

/// An address of the host before a port.
fn host(port: &PortMap) -> String {
    match port.host_ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// What to do about a port that cannot be had.
fn other_place(source: &std::io::Error) -> &'static str {
    if source.kind() == std::io::ErrorKind::AddrNotAvailable {
        "publish on an address of this machine, e.g. 127.0.0.1, or on all with 0.0.0.0"
    } else {
        "publish another port with -p"
    }
}

impl BackendError {
    /// All ports of the host that would do are somebody else's.
    pub fn in_use(port: PortMap) -> Self {
        match port.host_last {
            Some(last) => Self::PortsInUse { port, last },
            None => Self::PortInUse(port),
        }
    }

    /// An operating system error; a full disk becomes [`Self::NoSpace`].
    pub fn io(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        let path = path.into();
        if source.kind() == std::io::ErrorKind::StorageFull {
            return Self::NoSpace(format!("trying to {action} {}", path.display()));
        }
        Self::Io { action, path, source }
    }

    /// Something of the host that cannot be mounted at a place inside.
    pub fn bad_mount(
        what: impl std::fmt::Display,
        target: &str,
        why: impl std::fmt::Display,
    ) -> Self {
        Self::BadMount(format!("{what} cannot be mounted at {target}: {why}"))
    }

    /// A failure of a named part.
    pub fn engine(part: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Engine { part, reason: reason.to_string() }
    }

    /// What somebody can act on.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoInstance(_)
            | Self::Mistyped { .. }
            | Self::NoNetwork(_)
            | Self::MistypedNetwork { .. }
            | Self::NoVolume { .. } => ErrorCode::NotFound,
            Self::Ambiguous(_) | Self::BadName(_) | Self::BadVolume(_) | Self::BadSetting(_) => {
                ErrorCode::Usage
            }
            Self::NameTaken(_)
            | Self::NameKept(_)
            | Self::NetworkTaken(_)
            | Self::NetworkInUse { .. }
            | Self::SubnetTaken { .. }
            | Self::VolumeInUse { .. }
            | Self::WrongState { .. } => ErrorCode::Conflict,
            Self::PortInUse(_) | Self::PortsInUse { .. } | Self::PortPublished { .. } => {
                ErrorCode::PortInUse
            }
            Self::CommandNotFound(_) => ErrorCode::CommandNotFound,
            Self::NotExecutable { .. } => ErrorCode::NotExecutable,
            Self::Unavailable { .. } | Self::Unsupported(_) | Self::NeedsRestart(_) => {
                ErrorCode::Unavailable
            }
            Self::Cancelled => ErrorCode::Cancelled,
            Self::NoSpace(_) => ErrorCode::NoSpace,
            Self::Home(e) if e.is_no_space() => ErrorCode::NoSpace,
            Self::AndCleanup { cause, .. } => cause.code(),
            Self::Reported(failure) => failure.code,
            Self::PortRefused { .. }
            | Self::BadMount(_)
            | Self::NoUser(_)
            | Self::Io { .. }
            | Self::Engine { .. }
            | Self::Home(_) => ErrorCode::Internal,
        }
    }

    /// The error as it crosses a process boundary.
    pub fn to_failure(&self) -> Failure {
        Failure::new(self.code(), self.to_string())
    }
}
