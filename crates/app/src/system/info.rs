use std::path::PathBuf;

use serde::Serialize;
use tandem_model::{Capability, Machine};

use super::Outside;
use crate::{App, AppError};

/// What Tandem is here.
#[derive(Debug, Clone, Serialize)]
pub struct SystemInfo {
    /// Tandem's version.
    pub version: &'static str,
    /// The folder that holds everything.
    pub home: PathBuf,
    /// Bytes free for it.
    pub free_bytes: Option<u64>,
    /// The user it runs as is root.
    pub root: bool,
    /// Instances by state.
    pub instances: Instances,
    /// Local images.
    pub images: usize,
    /// Volumes.
    pub volumes: usize,
    /// Networks that a person made.
    pub networks: usize,
    /// The machine.
    pub machine: Machine,
    /// What it can do, as `tandem doctor` says.
    pub capabilities: Vec<Capability>,
    /// What registries, proxies and certificates are set from outside.
    pub outside: Outside,
}

/// Numbers of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Instances {
    /// All of them.
    pub all: usize,
    /// Those that run or are paused.
    pub up: usize,
}

impl App {
    /// Everything about this home and this machine in one place.
    pub async fn info(&self) -> Result<SystemInfo, AppError> {
        let records = self.instances.list()?;
        let networks = self.networks().await?;
        Ok(SystemInfo {
            version: env!("CARGO_PKG_VERSION"),
            home: self.home.root().to_owned(),
            free_bytes: tandem_probe::free_bytes(self.home.root()).ok(),
            root: rustix::process::geteuid().is_root(),
            instances: Instances {
                all: records.len(),
                up: records.iter().filter(|record| record.state.is_up()).count(),
            },
            images: self.images.list(false)?.len(),
            volumes: self.volumes()?.len(),
            networks: networks.iter().filter(|it| it.created_at.is_some()).count(),
            machine: self.machine(),
            capabilities: self.doctor().await,
            outside: self.outside(),
        })
    }
}
