//! Docker as Debian packages it: a daemon of our own beside whatever the
//! machine has, with the defaults of the package.

use std::{
    cell::Cell,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{Engine, network::Namespace};
use crate::{
    bench::ground::{Ground, IMAGE, tool},
    poll,
};

/// Its name in the tables.
pub(crate) const NAME: &str = "docker";

/// A private daemon: own data, own socket, own network namespace.
#[derive(Debug)]
pub(crate) struct Docker {
    daemon: Child,
    socket: String,
    folder: PathBuf,
    network: Option<Namespace>,
    cgroups_before: Vec<PathBuf>,
    next_port: Cell<u16>,
}

impl Docker {
    pub(crate) fn prepare(ground: &Ground) -> Result<Self> {
        let folder = ground.scratch().join(NAME);
        fs::create_dir(&folder)?;
        let cgroups_before = cgroups();
        let network = Namespace::make()?;
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let socket = format!("unix://{}", path("docker.sock"));
        let log = fs::File::create(folder.join("dockerd.log"))?;
        let daemon = network
            .command("dockerd")
            .args(["--host", &socket, "--data-root", &path("data")])
            .args(["--exec-root", &path("exec"), "--pidfile", &path("docker.pid")])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start dockerd")?;
        let archive = path("image.tar");
        let (network, next_port) = (Some(network), Cell::new(18_080));
        let mut own = Self { daemon, socket, folder, network, cgroups_before, next_port };
        // From here on dropping it ends the daemon.
        own.wait_until_up()?;
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

    fn wait_until_up(&mut self) -> Result<()> {
        let up = poll::until("dockerd", Duration::from_mins(1), || match self.daemon.try_wait() {
            Ok(Some(status)) => Some(Err(status)),
            _ => self.call(&["version"]).ok().map(|_| Ok(())),
        });
        match up {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => bail!("dockerd ended with {status}: {}", self.log()),
            Err(error) => Err(error.context(self.log())),
        }
    }

    /// The daemon's last lines.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("dockerd.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    fn end(&mut self) -> Result<()> {
        let daemon = &mut self.daemon;
        if matches!(daemon.try_wait(), Ok(None)) {
            kill(Pid::from_raw(i32::try_from(daemon.id())?), Signal::SIGTERM)?;
            let ended = poll::until("the end of dockerd", Duration::from_secs(30), || {
                daemon.try_wait().ok()?
            });
            if ended.is_err() {
                daemon.kill()?;
                daemon.wait()?;
            }
        }
        self.network = None;
        unmount_below(&self.folder)?;
        // dockerd leaves its empty parent folder behind.
        for folder in cgroups().iter().filter(|it| !self.cgroups_before.contains(it)) {
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }
}

impl Engine for Docker {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(client());
        command.args(["--host", &self.socket]).args(words).stdin(Stdio::null());
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
        if let Err(error) = self.end() {
            eprintln!("dockerd was not cleaned up: {error:#}");
        }
    }
}

/// The client of the same package, not another one earlier on PATH.
fn client() -> &'static str {
    if Path::new("/usr/bin/docker").exists() { "/usr/bin/docker" } else { "docker" }
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

/// Folders named `docker` at the top of each hierarchy.
fn cgroups() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten().map(|it| it.path());
    hierarchies
        .chain([root.to_path_buf()])
        .map(|it| it.join("docker"))
        .filter(|it| it.is_dir())
        .collect()
}

/// Unmounts what a peer keeps mounted below its folder.
pub(super) fn unmount_below(folder: &Path) -> Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let folder = folder.to_string_lossy();
    let points: Vec<&str> = table.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    for point in points.iter().rev().filter(|point| point.starts_with(&*folder)) {
        tool("umount", &["--lazy", point])?;
    }
    Ok(())
}
