//! Docker as Debian packages it: a daemon of our own beside whatever the
//! machine has.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{Output, poll, process};

/// How long one of its commands may take.
const LIMIT: Duration = Duration::from_mins(5);

/// A private daemon with its own data and socket, which ends with the value.
#[derive(Debug)]
pub struct DockerPeer {
    daemon: Child,
    socket: String,
    folder: PathBuf,
    cgroups_before: Vec<PathBuf>,
}

impl DockerPeer {
    /// Starts a daemon that keeps everything below a folder and makes no
    /// network.
    pub fn without_network(folder: &Path) -> Result<Self> {
        Self::start(folder, Command::new("dockerd"), &["--bridge=none", "--iptables=false"])
    }

    /// Starts a daemon by a command that may enter a namespace first; the
    /// daemon's own options come behind it.
    pub fn start(folder: &Path, mut command: Command, options: &[&str]) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let cgroups_before = cgroups();
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let socket = format!("unix://{}", path("docker.sock"));
        let log = fs::File::create(folder.join("dockerd.log"))?;
        let daemon = command
            .args(["--host", &socket, "--data-root", &path("data")])
            .args(["--exec-root", &path("exec"), "--pidfile", &path("docker.pid")])
            .args(options)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start dockerd")?;
        let mut own = Self { daemon, socket, folder: folder.to_owned(), cgroups_before };
        // From here on dropping it ends the daemon.
        own.wait_until_up()?;
        Ok(own)
    }

    fn wait_until_up(&mut self) -> Result<()> {
        let up = poll::until("dockerd", Duration::from_mins(1), || match self.daemon.try_wait() {
            Ok(Some(status)) => Some(Err(status)),
            _ => self.run(&["version"]).and_then(Output::ok).ok().map(|_| Ok(())),
        });
        match up {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => bail!("dockerd ended with {status}: {}", self.log()),
            Err(error) => Err(error.context(self.log())),
        }
    }

    /// Address of its API.
    pub fn socket(&self) -> &str {
        &self.socket
    }

    /// Runs the client.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(client());
        command.args(["--host", &self.socket]).args(arguments).stdin(Stdio::null());
        process::run(command, LIMIT)
    }

    /// The daemon's last lines.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("dockerd.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    /// Ends the daemon and takes away what it leaves behind.
    pub fn end(&mut self) -> Result<()> {
        if matches!(self.daemon.try_wait(), Ok(None)) {
            kill(Pid::from_raw(i32::try_from(self.daemon.id())?), Signal::SIGTERM)?;
            let ended = poll::until("the end of dockerd", Duration::from_secs(30), || {
                self.daemon.try_wait().ok()?
            });
            if ended.is_err() {
                self.daemon.kill()?;
                self.daemon.wait()?;
            }
        }
        unmount_below(&self.folder)?;
        // dockerd leaves its empty parent folder behind.
        for folder in cgroups().iter().filter(|it| !self.cgroups_before.contains(it)) {
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }
}

impl Drop for DockerPeer {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("dockerd was not cleaned up: {error:#}");
        }
    }
}

/// The client of the same package, not another one earlier on PATH.
pub fn client() -> &'static str {
    if Path::new("/usr/bin/docker").exists() { "/usr/bin/docker" } else { "docker" }
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

/// What is still mounted below a folder of a peer's.
pub(crate) fn unmount_below(folder: &Path) -> Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let prefix = format!("{}/", folder.display());
    let points: Vec<&str> = table.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    for point in points.iter().rev().filter(|point| point.starts_with(&prefix)) {
        let mut umount = Command::new("umount");
        umount.args(["--lazy", point]);
        process::run(umount, LIMIT)?.ok()?;
    }
    Ok(())
}
