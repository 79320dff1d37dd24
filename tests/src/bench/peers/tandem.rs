use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::Engine;
use crate::bench::ground::{Ground, tandem_in};

/// One of our own lanes.
#[derive(Debug)]
pub(crate) struct Tandem {
    home: PathBuf,
    lane: &'static [&'static str],
}

impl Tandem {
    /// The container engine; the baseline without isolation; the micro and the
    /// full machine under emulation, as the one started by hand is.
    pub(crate) fn new(ground: &Ground, lane: &str) -> Result<Self> {
        let lane: &[&str] = match lane {
            "container" => &["--backend", "container"],
            "process" => &["--backend", "process"],
            "vm" => &["--backend", "vm", "--accelerator", "tcg"],
            "vm-full" => &["--backend", "vm", "--profile", "full", "--accelerator", "tcg"],
            other => bail!("{other} is no lane of ours"),
        };
        Ok(Self { home: ground.home().to_owned(), lane })
    }

    /// The same lane in another home.
    pub(crate) fn at(self, home: PathBuf) -> Self {
        Self { home, ..self }
    }
}

impl Engine for Tandem {
    fn command(&self, words: &[&str]) -> Command {
        tandem_in(&self.home, words)
    }

    fn lane(&self) -> &'static [&'static str] {
        self.lane
    }

    fn publish(&self) -> Result<(String, SocketAddr)> {
        let port = free_port()?;
        Ok((format!("{port}:8080"), SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
    }

    fn keepers(&self, container: &str) -> Result<Vec<u32>> {
        let record = self.call(&["inspect", container])?.json()?;
        let pid = record[0]["runtime"]["supervisor"]["pid"].as_u64();
        Ok(vec![pid.context("our instance has no supervisor")?.try_into()?])
    }

    fn is_machine(&self) -> bool {
        self.lane.contains(&"vm")
    }
}

/// The phases of an instance's last launch, in nanoseconds.
pub(crate) fn phases(engine: &dyn Engine, name: &str) -> Result<BTreeMap<String, f64>> {
    let record = engine.call(&["inspect", name])?.json()?;
    let phases = record[0]["phases"].as_array().context("our instance has no phases")?;
    let length = |phase: &serde_json::Value| {
        let (start, end) = (phase["start"].as_u64()?, phase["end"].as_u64()?);
        Some((phase["name"].as_str()?.to_owned(), end.checked_sub(start)? as f64))
    };
    phases.iter().map(|phase| length(phase).context("a phase is odd")).collect()
}

/// A port of loopback that nobody listens on now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
