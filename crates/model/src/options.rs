use std::{net::IpAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{HostAddress, Resources};

/// What shapes an instance beyond its program, its ports and its limits. The
/// default is a plain instance: nothing mounted, Docker's security settings,
/// the bridge network, no restarts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct InstanceOptions {
    /// The app's standard streams are a terminal.
    pub terminal: bool,
    /// The app's standard input stays open for whoever attaches.
    pub stdin: bool,
    /// What is mounted over the image's files, in order.
    pub mounts: Vec<MountSpec>,
    /// The network it joins.
    pub network: NetworkChoice,
    /// Further names that others on its network know it by.
    pub aliases: Vec<String>,
    /// Networks that it joined beside that one.
    pub networks: Vec<Membership>,
    /// Name servers in place of the host's.
    pub dns: Vec<IpAddr>,
    /// Lines of `/etc/hosts` beyond the usual ones, address and name.
    pub hosts: Vec<(HostAddress, String)>,
    /// Bytes of `/dev/shm`; Docker's 64 MiB when `None`.
    pub shm_bytes: Option<u64>,
    /// What the app may do.
    pub security: SecurityOptions,
    /// Resource limits of each process (setrlimit(2)).
    pub ulimits: Vec<Ulimit>,
    /// A small init of ours is process 1: it passes signals on and collects
    /// orphans.
    pub init: bool,
    /// What happens when the app ends by itself.
    pub restart: RestartPolicy,
    /// How to find out whether the app is well.
    pub health: Option<HealthCheck>,
    /// How much of its output is kept.
    pub log: LogLimits,
    /// A virtual machine goes on from a saved state in which the app has
    /// booted, instead of booting; the state is made when there is none.
    pub template: bool,
    /// How far a virtual machine may grow while it runs; as it starts when
    /// empty.
    pub room: Resources,
}

impl InstanceOptions {
    /// The first setting that only the container engine honours, as it is
    /// typed; `None` when any backend can run it.
    pub fn container_only(&self) -> Option<&'static str> {
        let plain = Self::default();
        [
            (self.terminal, "-t"),
            (self.stdin, "-i"),
            (!self.mounts.is_empty(), "a volume or mount"),
            (self.network != plain.network, "--network"),
            (!self.aliases.is_empty(), "--network-alias"),
            (!self.networks.is_empty(), "a further --network, or network connect"),
            (!self.dns.is_empty(), "--dns"),
            (!self.hosts.is_empty(), "--add-host"),
            (self.shm_bytes.is_some(), "--shm-size"),
            (self.security.read_only, "--read-only"),
            (self.security != plain.security, "--cap-add, --cap-drop or --security-opt"),
            (!self.ulimits.is_empty(), "--ulimit"),
            (self.init, "--init"),
        ]
        .into_iter()
        .find_map(|(asked, name)| asked.then_some(name))
    }
}

impl InstanceOptions {
    /// Every network that it is on, the one that it was made with first.
    pub fn all_networks(&self) -> impl Iterator<Item = NetworkChoice> {
        let further = self.networks.iter().map(|it| NetworkChoice::Named(it.name.clone()));
        std::iter::once(self.network.clone()).chain(further)
    }

    /// The first setting that only a virtual machine has, as it is typed.
    pub fn machine_only(&self) -> Option<&'static str> {
        [
            (self.template, "--template"),
            (self.room.memory_bytes.is_some(), "--max-memory"),
            (self.room.milli_cpus.is_some(), "--max-cpus"),
        ]
        .into_iter()
        .find_map(|(asked, name)| asked.then_some(name))
    }
}

/// Something mounted over the image's files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MountSpec {
    /// Where it comes from.
    pub source: MountSource,
    /// Absolute path inside.
    pub target: String,
    /// The app cannot write to it.
    pub read_only: bool,
}

/// Where a mount's files are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MountSource {
    /// A volume of this home; made when it is not there, and filled from the
    /// image on first use.
    Volume {
        /// Its name.
        name: String,
        /// Leave an empty volume empty.
        no_copy: bool,
        /// Made for this instance alone: `rm -v` and `--rm` take it away.
        anonymous: bool,
    },
    /// A file or folder of the host.
    Bind {
        /// Absolute path on the host.
        path: PathBuf,
    },
    /// Memory.
    Tmpfs {
        /// Largest size in bytes; the kernel's default when `None`.
        size_bytes: Option<u64>,
        /// Permissions of its root; 0o1777 when `None`.
        mode: Option<u32>,
        /// Who owns its root; root when `None`.
        #[serde(default)]
        uid: Option<u32>,
        /// The group of its root; root's when `None`.
        #[serde(default)]
        gid: Option<u32>,
        /// Programs on it may be executed.
        #[serde(default)]
        exec: bool,
    },
}

/// A network that a container joined beside the one that it was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The network's name.
    pub name: String,
    /// Further names that others on it know the container by.
    pub aliases: Vec<String>,
}

/// The network an instance joins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "name", rename_all = "snake_case")]
pub enum NetworkChoice {
    /// The bridge that all instances share.
    #[default]
    Bridge,
    /// Loopback only.
    None,
    /// The host's own network.
    Host,
    /// A network made with `tandem network create`.
    Named(String),
}

/// What an app may do. The default is Docker's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityOptions {
    /// The image's files cannot be changed.
    pub read_only: bool,
    /// Capabilities beyond the default set, `CAP_NET_ADMIN` or `ALL`.
    pub cap_add: Vec<String>,
    /// Capabilities taken from the default set.
    pub cap_drop: Vec<String>,
    /// Which system calls are open.
    pub seccomp: SeccompChoice,
    /// Programs gain no privileges by being executed (prctl(2)).
    pub no_new_privileges: bool,
}

impl Default for SecurityOptions {
    fn default() -> Self {
        Self {
            read_only: false,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            seccomp: SeccompChoice::Default,
            no_new_privileges: true,
        }
    }
}

/// Which system calls an app may make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SeccompChoice {
    /// Docker's default profile.
    #[default]
    Default,
    /// All of them.
    Unconfined,
    /// A profile in Docker's JSON format.
    Profile {
        /// The profile's text.
        json: String,
    },
}

/// A limit of setrlimit(2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Lower-case name without `RLIMIT_`, e.g. `nofile`.
    pub name: String,
    /// What is enforced; `u64::MAX` is no limit.
    pub soft: u64,
    /// How far the app may raise it.
    pub hard: u64,
}

/// What happens when an app ends by itself. A stop by a person is final.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "snake_case")]
pub enum RestartPolicy {
    /// Nothing.
    #[default]
    No,
    /// It is started again.
    Always,
    /// It is started again; without a daemon the same as `always`.
    UnlessStopped,
    /// It is started again when its exit code is not zero.
    OnFailure {
        /// At most so often.
        most: Option<u32>,
    },
}

/// How much of an app's output is kept: the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLimits {
    /// Bytes after which a file is put aside and a new one begun.
    pub max_size_bytes: u64,
    /// Files that are kept, the one that is written among them; at least one.
    pub max_files: u32,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { max_size_bytes: 10 << 20, max_files: 3 }
    }
}

/// A command that tells whether the app is well (Docker's HEALTHCHECK).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Program and arguments, executed inside.
    pub command: Vec<String>,
    /// Milliseconds from the end of one check to the next.
    pub interval_ms: u64,
    /// Milliseconds after which a check is killed and counts as failed.
    pub timeout_ms: u64,
    /// Milliseconds at the start in which failures do not count.
    pub start_period_ms: u64,
    /// The interval in that time, until the first success.
    #[serde(default = "start_interval_ms")]
    pub start_interval_ms: u64,
    /// Failures in a row that make the app unhealthy.
    pub retries: u32,
}

fn start_interval_ms() -> u64 {
    HealthCheck::default().start_interval_ms
}

impl Default for HealthCheck {
    /// Docker's times, and no command.
    fn default() -> Self {
        Self {
            command: Vec::new(),
            interval_ms: 30_000,
            timeout_ms: 30_000,
            start_period_ms: 0,
            start_interval_ms: 5_000,
            retries: 3,
        }
    }
}

/// How the app's last health checks went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing: u32,
    /// The last checks, at most [`Health::KEPT`], oldest first.
    #[serde(default)]
    pub log: Vec<CheckResult>,
}

impl Health {
    /// How many results are kept.
    pub const KEPT: usize = 5;
}

/// How one health check went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckResult {
    /// When it began.
    pub started_at: jiff::Timestamp,
    /// When it ended.
    pub finished_at: jiff::Timestamp,
    /// Its exit code, 0 for a healthy app; `None` when it was killed at its
    /// time limit or could not be started.
    pub exit_code: Option<i32>,
    /// What it wrote, cut to 4096 bytes, or why it has no exit code.
    pub output: String,
}

/// Whether an app is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Not known yet.
    Starting,
    /// The last check succeeded.
    Healthy,
    /// As many checks in a row failed as the limit says.
    Unhealthy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_containers_honour_is_named() {
        assert_eq!(InstanceOptions::default().container_only(), None);
        let asked = InstanceOptions { network: NetworkChoice::None, ..Default::default() };
        assert_eq!(asked.container_only(), Some("--network"));
        let networks = vec![Membership { name: "back".to_owned(), aliases: Vec::new() }];
        let asked = InstanceOptions { networks, ..Default::default() };
        assert_eq!(asked.container_only(), Some("a further --network, or network connect"));
        let all: Vec<_> = asked.all_networks().collect();
        assert_eq!(all, [NetworkChoice::Bridge, NetworkChoice::Named("back".to_owned())]);
        let mut asked = InstanceOptions::default();
        asked.security.read_only = true;
        assert_eq!(asked.container_only(), Some("--read-only"));
        let asked = InstanceOptions { template: true, ..Default::default() };
        assert_eq!((asked.container_only(), asked.machine_only()), (None, Some("--template")));
    }

    #[test]
    fn records_of_earlier_versions_read_as_plain() {
        assert_eq!(
            serde_json::from_str::<InstanceOptions>("{}").unwrap(),
            InstanceOptions::default()
        );
    }
}
