//! Podman as Debian packages it, with folders and a network namespace of its
//! own. It has no daemon.

use std::{
    cell::Cell,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

use super::{Engine, network::Namespace};
use crate::{
    bench::ground::{Ground, IMAGE, tool},
    docker_peer::unmount_below,
};

/// Its name in the tables.
pub(crate) const NAME: &str = "podman";

/// A Podman with nothing of the machine's own.
#[derive(Debug)]
pub(crate) struct Podman {
    folder: PathBuf,
    network: Namespace,
    next_port: Cell<u16>,
}

impl Podman {
    pub(crate) fn prepare(ground: &Ground) -> Result<Self> {
        let folder = ground.scratch().join(NAME);
        fs::create_dir(&folder)?;
        let own = Self { folder, network: Namespace::make()?, next_port: Cell::new(18_080) };
        let archive = own.folder.join("image.tar").to_string_lossy().into_owned();
        let target = format!("docker-archive:{archive}:{IMAGE}:latest");
        tool("skopeo", &["copy", "-q", &ground.layout_name(IMAGE)?, &target])?;
        own.call(&["load", "--input", &archive])?;
        fs::remove_file(archive)?;
        Ok(own)
    }
}

impl Engine for Podman {
    /// The package's defaults want systemd for the control groups, and its
    /// runtime refuses machines with both versions of them: so the other
    /// driver, and runc as Docker has it.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.network.command("podman");
        for (option, name) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            command.arg(option).arg(self.folder.join(name));
        }
        command.args(["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs"]);
        command.args(["--runtime", "runc"]).args(words).stdin(Stdio::null());
        command
    }

    /// Its default limits on files and processes lie above what the machine
    /// may give; then nothing would start.
    fn lane(&self) -> &'static [&'static str] {
        &["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
    }

    fn publish(&self) -> Result<(String, SocketAddr)> {
        let port = self.next_port.get();
        self.next_port.set(port + 1);
        Ok((format!("{port}:8080"), SocketAddr::from((self.network.address(), port))))
    }

    fn keepers(&self, _: &str) -> Result<Vec<u32>> {
        bail!("Podman's processes are not measured")
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.call(&["rm", "-af", "-t", "0"]);
        if let Err(error) = unmount_below(&self.folder) {
            eprintln!("Podman was not cleaned up: {error:#}");
        }
    }
}
