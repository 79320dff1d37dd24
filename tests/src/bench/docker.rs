//! Docker as Debian packages it: a daemon of our own beside whatever the
//! machine has, with the defaults of the package.

use std::{
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

use super::{
    Ground,
    contender::Contender,
    network::{INSIDE, Namespace},
    tool,
};
use crate::poll;

/// Its name in the table.
pub(crate) const NAME: &str = "docker";

const CONTAINER: &str = "bench";
const PORT: &str = "18080";

/// A private daemon: own data, own socket, own network namespace.
#[derive(Debug)]
pub(crate) struct Docker {
    daemon: Child,
    socket: String,
    folder: PathBuf,
    network: Option<Namespace>,
    cgroups_before: Vec<PathBuf>,
}

impl Docker {
    pub(crate) fn prepare(ground: &Ground) -> Result<Self> {
        let folder = ground.scratch.path().join("docker");
        fs::create_dir(&folder)?;
        let cgroups_before = cgroups();
        let network = Namespace::make()?;
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let socket = format!("unix://{}", path("docker.sock"));
        let log = fs::File::create(folder.join("dockerd.log"))?;
        let daemon = Command::new("nsenter")
            .arg(format!("--net={}", network.file()))
            .args(["dockerd", "--host", &socket, "--data-root", &path("data")])
            .args(["--exec-root", &path("exec"), "--pidfile", &path("docker.pid")])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start dockerd")?;
        let archive = path("image.tar");
        let mut own = Self { daemon, socket, folder, network: Some(network), cgroups_before };
        // From here on dropping it ends the daemon.
        own.wait_until_up()?;
        let target = format!("docker-archive:{archive}:hello-flask:latest");
        tool("skopeo", &["copy", "-q", &ground.image()?, &target])?;
        own.docker(&["load", "--input", &archive])?;
        fs::remove_file(archive)?;
        Ok(own)
    }

    fn wait_until_up(&mut self) -> Result<()> {
        let up = poll::until("dockerd", Duration::from_mins(1), || match self.daemon.try_wait() {
            Ok(Some(status)) => Some(Err(status)),
            _ => self.docker(&["version"]).ok().map(|_| Ok(())),
        });
        match up {
            Ok(Ok(())) => Ok(()),
            Ok(Err(status)) => bail!("dockerd ended with {status}: {}", self.log()),
            Err(error) => Err(error.context(self.log())),
        }
    }

    fn docker(&self, arguments: &[&str]) -> Result<crate::Output> {
        tool(client(), &[&["--host", &self.socket][..], arguments].concat())
    }

    /// The daemon's last lines.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("dockerd.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    fn end(&mut self) -> Result<()> {
        if matches!(self.daemon.try_wait(), Ok(None)) {
            let _ = self.docker(&["rm", "-f", CONTAINER]);
            kill(Pid::from_raw(i32::try_from(self.daemon.id())?), Signal::SIGTERM)?;
            let ended = poll::until("the end of dockerd", Duration::from_secs(30), || {
                self.daemon.try_wait().ok()?
            });
            if ended.is_err() {
                self.daemon.kill()?;
                self.daemon.wait()?;
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

impl Contender for Docker {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_machine(&self) -> bool {
        false
    }

    fn launch(&mut self) -> Result<(Command, SocketAddr)> {
        let mut command = Command::new(client());
        command.args(["--host", &self.socket, "run", "-d", "--name", CONTAINER]);
        command.args(["-p", &format!("{PORT}:8080"), "hello-flask"]);
        Ok((command, SocketAddr::from((INSIDE, PORT.parse()?))))
    }

    fn stop(&mut self, _command: &mut Child) -> Result<()> {
        self.docker(&["rm", "-f", CONTAINER])?;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.end()
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

/// The daemon keeps a mount for its network namespaces.
fn unmount_below(folder: &Path) -> Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let folder = folder.to_string_lossy();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    for point in points.filter(|point| point.starts_with(&*folder)) {
        tool("umount", &["--lazy", point])?;
    }
    Ok(())
}
