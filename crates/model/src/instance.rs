use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    Accelerator, AcceleratorChoice, BackendKind, Digest, Failure, Health, InstanceOptions, Phase,
    PortMap, Profile, Resources,
};

/// Twelve lower-case hexadecimal digits that name an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS), ts(type = "string"))]
#[serde(try_from = "String", into = "String")]
pub struct InstanceId(String);

impl InstanceId {
    /// The id made from six random bytes.
    pub fn from_bytes(bytes: [u8; 6]) -> Self {
        let mut wide = [0; 8];
        wide[2..].copy_from_slice(&bytes);
        Self(format!("{:012x}", u64::from_be_bytes(wide)))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 12 && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("`{text}` is not an instance id: expected 12 hexadecimal digits"))
        }
    }
}

impl TryFrom<String> for InstanceId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<InstanceId> for String {
    fn from(id: InstanceId) -> Self {
        id.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything a backend needs to make an instance: image defaults and the
/// person's wishes already merged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceSpec {
    /// Unique among instances; letters, digits, `_`, `.`, `-`.
    pub name: String,
    /// What runs it.
    pub backend: BackendKind,
    /// Kind of virtual machine; set for `vm` only.
    pub profile: Option<Profile>,
    /// Accelerator asked for; meaningful for `vm` only.
    pub accelerator: AcceleratorChoice,
    /// The image as the person named it, e.g. `hello-flask:latest`.
    pub image: String,
    /// Digest of the image's manifest.
    pub digest: Digest,
    /// Program and arguments; never empty.
    pub args: Vec<String>,
    /// `NAME=value`, in order, a later one wins.
    pub env: Vec<String>,
    /// Absolute working directory.
    pub cwd: String,
    /// `USER[:GROUP]` by name or number, empty for root.
    pub user: String,
    /// Signal that asks the app to stop, e.g. `SIGTERM`.
    pub stop_signal: String,
    /// Seconds from the stop signal to SIGKILL.
    pub stop_timeout_s: u32,
    /// Published ports.
    pub ports: Vec<PortMap>,
    /// Limits.
    pub resources: Resources,
    /// Host name inside; the id when `None`.
    pub hostname: Option<String>,
    /// Remove the instance when it ends.
    pub remove: bool,
    /// The process for which it was made: when that ends, the supervisor stops
    /// and removes the instance. `None` for one that stands on its own.
    pub owner: Option<ProcessIdentity>,
    /// Free-form labels.
    pub labels: BTreeMap<String, String>,
    /// Mounts, network, security, streams, supervision.
    #[serde(default)]
    pub options: InstanceOptions,
}

/// A process, told apart from later ones with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub start: u64,
}

/// Where an instance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Made, never started.
    Created,
    /// A supervisor is bringing it up.
    Starting,
    /// The app's process runs (a virtual machine: its init has executed it).
    Running,
    /// It is there, and every process of it is held still.
    Paused,
    /// It ended, and its supervisor is about to start it again.
    Restarting,
    /// It ended; `exit` says how.
    Exited,
}

impl InstanceState {
    /// Whether a supervisor looks after the instance in this state.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Paused | Self::Restarting)
    }
}

/// What is known of a running instance, for reading its use and for cleaning
/// up after a supervisor that was killed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Runtime {
    /// The supervisor.
    pub supervisor: Option<ProcessIdentity>,
    /// Process whose tree is the instance: the container's init, or QEMU.
    pub process: Option<ProcessIdentity>,
    /// Cgroup folders of the instance: one for v2, one per controller for v1.
    pub cgroups: Vec<PathBuf>,
    /// Mount points to take away.
    pub mounts: Vec<PathBuf>,
    /// Network devices on the host to take away.
    pub links: Vec<String>,
    /// Address inside its network.
    pub ip: Option<std::net::IpAddr>,
    /// Addresses on the networks that it joined beside that one, by their
    /// names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<String, std::net::IpAddr>,
    /// Accelerator that runs it; `vm` only.
    pub accelerator: Option<Accelerator>,
    /// Why this accelerator was chosen; `vm` only.
    pub accelerator_reason: Option<String>,
    /// Engine and version, e.g. `libcontainer 0.7.0`, `QEMU 10.0.2`.
    pub engine: Option<String>,
    /// What it does without in this life, and why: said once it has started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Runtime {
    /// Takes note of what it does without, as far as that is not known yet:
    /// what a machine lacks, every network lacks.
    pub fn warn(&mut self, warnings: Vec<String>) {
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }
}

/// How an instance ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Exit {
    /// The app's exit code; 128 + signal when a signal ended it.
    pub code: i32,
    /// The kernel killed it for want of memory.
    pub out_of_memory: bool,
    /// What Tandem has to say about it, when it was not the app's own doing.
    pub error: Option<Failure>,
}

/// An instance as it stands in `instances/ID/instance.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// Version of this format.
    pub version: u32,
    /// Its id.
    pub id: InstanceId,
    /// What it was made from.
    pub spec: InstanceSpec,
    /// Where it stands.
    pub state: InstanceState,
    /// Wall-clock times, for people.
    pub created_at: jiff::Timestamp,
    /// When it last started.
    pub started_at: Option<jiff::Timestamp>,
    /// When it last ended.
    pub finished_at: Option<jiff::Timestamp>,
    /// Ports as published, with the host ports that were really taken.
    pub ports: Vec<PortMap>,
    /// What runs now, or ran last.
    pub runtime: Runtime,
    /// How it last ended.
    pub exit: Option<Exit>,
    /// Phases of the last launch.
    pub phases: Vec<Phase>,
    /// How its health checks went; `None` without any.
    #[serde(default)]
    pub health: Option<Health>,
    /// How often its supervisor has started it again.
    #[serde(default)]
    pub restarts: u32,
}

impl InstanceRecord {
    /// The current version of the format.
    pub const VERSION: u32 = 1;
}
