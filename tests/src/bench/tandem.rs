use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command},
};

use anyhow::Result;

use super::{Ground, contender::Contender};
use crate::{process, world};

/// One of our own lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lane {
    /// Its name in the table.
    pub(crate) name: &'static str,
    options: &'static [&'static str],
    is_machine: bool,
}

/// The container engine.
pub(crate) const CONTAINER: Lane =
    Lane { name: "container", options: &["--backend", "container"], is_machine: false };
/// The baseline without isolation.
pub(crate) const PROCESS: Lane =
    Lane { name: "process", options: &["--backend", "process"], is_machine: false };
/// The micro machine under emulation, as the machine started by hand is.
pub(crate) const VM: Lane =
    Lane { name: "vm", options: &["--backend", "vm", "--accelerator", "tcg"], is_machine: true };

const INSTANCE: &str = "bench";

/// `tandem run -d`.
#[derive(Debug)]
pub(crate) struct Tandem {
    lane: Lane,
    home: PathBuf,
}

impl Tandem {
    pub(crate) fn new(ground: &Ground, lane: Lane) -> Self {
        Self { lane, home: ground.home.clone() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(world::programs().join("tandem"));
        command.env("TANDEM_HOME", &self.home).arg("--quiet").args(arguments);
        command
    }
}

impl Contender for Tandem {
    fn name(&self) -> &'static str {
        self.lane.name
    }

    fn is_machine(&self) -> bool {
        self.lane.is_machine
    }

    fn launch(&mut self) -> Result<(Command, SocketAddr)> {
        let port = free_port()?;
        let publish = format!("{port}:8080");
        let fixed = ["run", "-d", "--name", INSTANCE, "-p", &publish];
        let command = self.command(&[&fixed[..], self.lane.options, &["hello-flask"]].concat());
        Ok((command, SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
    }

    fn stop(&mut self, _command: &mut Child) -> Result<()> {
        let command = self.command(&["rm", "-f", INSTANCE]);
        process::run(command, std::time::Duration::from_mins(1))?.ok()?;
        Ok(())
    }
}

/// A port of loopback that nobody listens on now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
