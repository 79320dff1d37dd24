use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Builder;
use crate::{
    Output, World,
    docker_peer::{DockerPeer, client},
    process,
};

/// Docker's builder in a daemon of our own.
pub(super) struct Docker(DockerPeer);

impl Docker {
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let options = ["--bridge=none", "--iptables=false"];
        Ok(Self(DockerPeer::start(folder, Command::new("dockerd"), &options)?))
    }
}

impl Builder for Docker {
    fn name(&self) -> &'static str {
        "Docker"
    }

    fn build(&self, world: &World, arguments: &[String]) -> Result<Output> {
        let mut command = Command::new(client());
        command.args(["--host", self.0.socket()]).args(arguments);
        world.prepare(&mut command);
        command.args(["--network", "none"]).env("DOCKER_BUILDKIT", "1");
        command.env("FROM_HOST", "of the host");
        process::run(command, Duration::from_mins(2)).context("docker build does not end")
    }

    fn settings(&self, tag: &str) -> Result<Value> {
        let mut found = self.0.run(&["image", "inspect", tag])?.ok()?.json()?;
        Ok(found[0]["Config"].take())
    }

    fn is_ill(&self, refusal: &Output) -> Result<()> {
        ensure!(!refusal.stderr.contains("connect to the Docker daemon"), "{}", self.0.log());
        Ok(())
    }
}
