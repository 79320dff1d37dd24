//! Docker as Debian packages it: a daemon of our own beside whatever the
//! machine has, with the defaults of the package.

use std::{
    cell::Cell,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{Engine, network::Namespace};
use crate::{
    bench::ground::{Ground, IMAGE, tool},
    docker_peer::{DockerPeer, client},
};

/// Its name in the tables.
pub(crate) const NAME: &str = "docker";

/// A private daemon in a network namespace of its own.
#[derive(Debug)]
pub(crate) struct Docker {
    daemon: DockerPeer,
    folder: PathBuf,
    network: Option<Namespace>,
    next_port: Cell<u16>,
}

impl Docker {
    pub(crate) fn prepare(ground: &Ground) -> Result<Self> {
        let folder = ground.scratch().join(NAME);
        let network = Namespace::make()?;
        let daemon = DockerPeer::start(&folder, network.command("dockerd"), &[])?;
        let archive = folder.join("image.tar").to_string_lossy().into_owned();
        let (network, next_port) = (Some(network), Cell::new(18_080));
        let own = Self { daemon, folder, network, next_port };
        let target = format!("docker-archive:{archive}:{IMAGE}:latest");
        tool("skopeo", &["copy", "-q", &ground.layout_name(IMAGE)?, &target])?;
        own.call(&["load", "--input", &archive])?;
        fs::remove_file(archive)?;
        Ok(own)
    }

    /// The namespace in which it finds other hosts.
    pub(crate) fn network(&self) -> Result<&Namespace> {
        self.network.as_ref().context("dockerd has ended")
    }

    /// The runtime specification that a container with its defaults has.
    pub(crate) fn specification(&self) -> Result<Value> {
        const MODEL: &str = "model";
        let words = ["run", "-d", "--name", MODEL, "--entrypoint", "sleep", IMAGE, "600"];
        let id = self.call(&words)?.line().to_owned();
        let bundle =
            format!("containerd/daemon/io.containerd.runtime.v2.task/moby/{id}/config.json");
        let text = fs::read(self.folder.join("exec").join(bundle));
        self.call(&["rm", "-f", MODEL])?;
        Ok(serde_json::from_slice(&text.context("dockerd keeps its bundles elsewhere")?)?)
    }
}

impl Engine for Docker {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(client());
        command.args(["--host", self.daemon.socket()]).args(words).stdin(Stdio::null());
        command
    }

    fn publish(&self) -> Result<(String, SocketAddr)> {
        // One after the other: a port is free again a moment late.
        let port = self.next_port.get();
        self.next_port.set(port + 1);
        Ok((format!("{port}:8080"), SocketAddr::from((self.network()?.address(), port))))
    }

    /// containerd and the shim, which are what a container needs beside the
    /// client; dockerd itself is not counted.
    fn keepers(&self, _: &str) -> Result<Vec<u32>> {
        let exec = self.folder.join("exec").to_string_lossy().into_owned();
        let found = processes_with(&exec, "containerd");
        if found.len() != 2 {
            bail!("expected containerd and one shim, found the processes {found:?}");
        }
        Ok(found)
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if let Err(error) = self.daemon.end() {
            eprintln!("dockerd was not cleaned up: {error:#}");
        }
        self.network = None;
    }
}

/// Processes whose program's name begins so and whose arguments name a path.
fn processes_with(path: &str, program: &str) -> Vec<u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            let name = line.split('\0').next().unwrap_or_default();
            let name = name.rsplit('/').next().unwrap_or_default();
            name.starts_with(program) && line.contains(path)
        })
        .collect()
}
