use std::net::Ipv4Addr;

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
    /// Memory may come and go while the machine runs.
    pub has_room: bool,
    /// The app; its working directory is made when it is not there.
    pub app: Execute,
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
    /// Name server.
    pub dns: Ipv4Addr,
}
