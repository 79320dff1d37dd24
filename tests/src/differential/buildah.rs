use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Builder;
use crate::{Output, World, process};

/// Buildah with a store of its own.
pub(super) struct Buildah {
    folder: PathBuf,
}

impl Buildah {
    pub(super) fn in_folder(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder.join("tmp"))?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("buildah");
        let place = |name: &str| self.folder.join(name);
        command.args(["--storage-driver", "vfs", "--root"]).arg(place("store"));
        command.arg("--runroot").arg(place("run"));
        // What it keeps for cache mounts.
        command.env("TMPDIR", place("tmp"));
        command
    }
}

impl Builder for Buildah {
    fn name(&self) -> &'static str {
        "buildah"
    }

    /// It leaves what it mounts on.
    fn base(&self) -> &'static str {
        "COPY hollow/inner /dev/\nCOPY hollow/inner /proc/\nCOPY hollow/inner /sys/\n\
         COPY hollow/inner /run/\nCOPY empty /etc/hosts\nCOPY empty /etc/hostname\n\
         COPY empty /etc/resolv.conf\n"
    }

    fn build(&self, world: &World, arguments: &[String]) -> Result<Output> {
        let mut command = self.command();
        world.prepare(&mut command);
        command.env("TMPDIR", self.folder.join("tmp"));
        command.args(arguments.iter().take(1)).args(["--isolation", "chroot"]);
        command.args(arguments.iter().skip(1)).env("FROM_HOST", "of the host");
        process::run(command, Duration::from_mins(2)).context("buildah does not end")
    }

    fn settings(&self, tag: &str) -> Result<Value> {
        let mut command = self.command();
        command.args(["inspect", "--type", "image", tag]);
        let mut found = process::run(command, Duration::from_mins(1))?.ok()?.json()?;
        let mut config = found["OCIv1"]["config"].take();
        if let Some(labels) = config["Labels"].as_object_mut() {
            // Who built it.
            labels.remove("io.buildah.version");
        }
        // What everybody takes it for.
        if config["WorkingDir"].is_null() {
            config["WorkingDir"] = "/".into();
        }
        Ok(config)
    }
}
