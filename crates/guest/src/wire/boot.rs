use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use super::Execute;

/// What the guest is to do, as it lies in the initial RAM disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// Kernel modules to load, by file name, in order.
    pub modules: Modules,
    /// The disk with the image's files, e.g. `/dev/vda`.
    pub disk: String,
    /// The network; `None` leaves only loopback.
    pub network: Option<Network>,
    /// Host name.
    pub hostname: String,
    /// Further names that it knows, with their addresses.
    pub hosts: Vec<(IpAddr, String)>,
    /// Memory may come and go while the machine runs.
    pub has_room: bool,
    /// The app; its working directory is made when it is not there.
    pub app: Execute,
    /// What the app and later commands may do.
    pub confinement: Confinement,
    /// What is mounted over the image's files.
    pub mounts: Vec<Mount>,
    /// The image's files cannot be changed.
    pub read_only: bool,
}

/// The app as a service of a system with a first process of its own: a file in
/// `full` machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The app.
    pub app: Execute,
    /// What it may do.
    pub confinement: Confinement,
}

/// What a program may do. The default is everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Programs gain no privileges by being executed (prctl(2)).
    pub no_new_privileges: bool,
    /// Capabilities at most, a bit each (capabilities(7)); `None` is all.
    pub capabilities: Option<u64>,
    /// Limits of setrlimit(2).
    pub limits: Vec<Limit>,
    /// Processes at most, all together.
    pub pids: Option<u64>,
}

/// A limit of setrlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Its number, `RLIMIT_…`.
    pub resource: u32,
    /// What is enforced; `u64::MAX` is no limit.
    pub soft: u64,
    /// How far a program may raise it.
    pub hard: u64,
}

/// What is mounted over the image's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mount {
    /// Memory.
    Memory(MemoryMount),
    /// A disk of its own.
    Volume(VolumeMount),
    /// A folder of the host.
    Shared(SharedMount),
}

impl Mount {
    /// Absolute path.
    pub fn target(&self) -> &str {
        match self {
            Self::Memory(memory) => &memory.target,
            Self::Volume(volume) => &volume.target,
            Self::Shared(shared) => &shared.target,
        }
    }
}

/// A disk with files that outlive the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeMount {
    /// The disk's serial number.
    pub serial: String,
    /// Absolute path.
    pub target: String,
    /// Nothing can be written to it.
    pub read_only: bool,
    /// An empty one stays so; otherwise it begins with the image's files.
    pub no_copy: bool,
}

/// A folder of the host, which QEMU serves (9P2000.L).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedMount {
    /// The device's tag.
    pub tag: String,
    /// Absolute path.
    pub target: String,
    /// Nothing can be written to it.
    pub read_only: bool,
}

/// A file system in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryMount {
    /// Absolute path.
    pub target: String,
    /// Largest size in bytes; the kernel's default when `None`.
    pub size_bytes: Option<u64>,
    /// Permissions of its root; 0o1777 when `None`.
    pub mode: Option<u32>,
    /// Who owns its root; root when `None`.
    #[serde(default)]
    pub uid: Option<u32>,
    /// The group of its root; root's when `None`.
    #[serde(default)]
    pub gid: Option<u32>,
    /// Programs on it may be executed.
    pub exec: bool,
    /// Nothing can be written to it.
    pub read_only: bool,
}

/// Kernel modules by what needs them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modules {
    /// For the disk.
    pub disk: Vec<String>,
    /// For the network device.
    pub network: Vec<String>,
    /// For the channel to the host.
    pub channel: Vec<String>,
    /// For memory that comes and goes; loaded where there is room for more.
    #[serde(default)]
    pub memory: Vec<String>,
    /// For folders of the host; loaded where there are some.
    #[serde(default)]
    pub shares: Vec<String>,
}

/// A network device's fixed address: nobody waits for DHCP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The device, e.g. `eth0`.
    pub device: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its network mask.
    pub mask: Ipv4Addr,
    /// The way out.
    pub gateway: Ipv4Addr,
    /// Name servers.
    pub dns: Vec<IpAddr>,
}
