//! Podman with a storage of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Result;

use crate::{Output, docker_peer::unmount_below, process};

const LIMIT: Duration = Duration::from_mins(5);

/// Podman below a folder; what it made goes with the value.
#[derive(Debug)]
pub struct PodmanPeer {
    folder: PathBuf,
    cgroups_before: Vec<PathBuf>,
}

impl PodmanPeer {
    /// Nothing yet.
    pub fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), cgroups_before: cgroups() })
    }

    /// Runs it.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Self::command(&self.folder);
        command.args(arguments).stdin(Stdio::null());
        process::run(command, LIMIT)
    }

    /// Podman over the storage below a folder.
    pub fn command(folder: &Path) -> Command {
        Self::options(Command::new("podman"), folder)
    }

    /// The same of a command that may enter a namespace first. crun refuses
    /// hybrid cgroups, and without systemd nobody makes its slices.
    pub fn options(mut command: Command, folder: &Path) -> Command {
        for (option, name) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            command.arg(option).arg(folder.join(name));
        }
        command.args(["--cgroup-manager=cgroupfs", "--events-backend=file", "--runtime=runc"]);
        command.arg("--storage-driver=overlay");
        command.arg("--network-config-dir").arg(folder.join("networks"));
        command
    }

    /// Runs a command in a new container without a network.
    pub fn run_container(&self, image: &str, command: &[&str]) -> Result<Output> {
        // Its own defaults are more than a test machine may give.
        let limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"];
        self.run(&[&["run", "--rm", "--network=none"], &limits[..], &[image], command].concat())
    }
}

impl Drop for PodmanPeer {
    fn drop(&mut self) {
        let _ = self.run(&["rm", "--all", "--force", "--time=0"]);
        if let Err(error) = unmount_below(&self.folder) {
            eprintln!("podman was not cleaned up: {error:#}");
        }
        for folder in cgroups().iter().filter(|it| !self.cgroups_before.contains(it)) {
            for below in fs::read_dir(folder).into_iter().flatten().flatten() {
                let _ = fs::remove_dir(below.path());
            }
            let _ = fs::remove_dir(folder);
        }
    }
}

/// The folders that it makes at the top of each hierarchy.
fn cgroups() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten().map(|it| it.path());
    hierarchies
        .chain([root.to_path_buf()])
        .map(|it| it.join("libpod_parent"))
        .filter(|it| it.is_dir())
        .collect()
}
