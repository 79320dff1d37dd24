//! A bare OCI runtime: no image store, no network of its own, no ports. What
//! it takes is the floor for anything that isolates this way.

use std::{
    fs,
    net::Ipv4Addr,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::bench::{
    ground::{Ground, IMAGE, tool},
    measures::Launcher,
};

const CONTAINER: &str = "tandem-bench";

/// The port of the app itself: the network is the host's.
const PORT: u16 = 8080;

/// `runc run` or `crun run` of an unpacked bundle.
#[derive(Debug)]
pub(crate) struct Runtime {
    program: &'static str,
    bundle: PathBuf,
    state: PathBuf,
}

impl Runtime {
    pub(crate) fn prepare(ground: &Ground, program: &'static str) -> Result<Self> {
        let folder = ground.scratch().join(program);
        let layout = folder.join("layout").display().to_string();
        let own = Self { program, bundle: folder.join("bundle"), state: folder.join("state") };
        fs::create_dir_all(&own.state)?;
        tool("skopeo", &["copy", "-q", &ground.layout_name(IMAGE)?, &format!("oci:{layout}:app")])?;
        let bundle = own.bundle.to_string_lossy().into_owned();
        tool("umoci", &["unpack", "--image", &format!("{layout}:app"), &bundle])?;
        let path = own.bundle.join("config.json");
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        adapt(&mut config)?;
        fs::write(&path, serde_json::to_vec(&config)?)?;
        Ok(own)
    }

    fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let state = self.state.to_str().unwrap_or_default();
        [&["--root", state][..], arguments].concat()
    }
}

/// The host's network, no terminal; the rest as umoci made it.
fn adapt(config: &mut Value) -> Result<()> {
    config["process"]["terminal"] = false.into();
    let spaces = config["linux"]["namespaces"].as_array_mut().context("no namespaces")?;
    spaces.retain(|space| space["type"] != "network");
    Ok(())
}

impl Launcher for Runtime {
    fn launch(&mut self) -> Result<(Command, SocketAddr)> {
        let bundle = self.bundle.to_str().context("an odd path")?;
        let mut command = Command::new(self.program);
        command.args(self.arguments(&["run", "--bundle", bundle, CONTAINER]));
        Ok((command, SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))))
    }

    fn stop(&mut self, _command: &mut Child) -> Result<()> {
        tool(self.program, &self.arguments(&["delete", "--force", CONTAINER]))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_bundle_loses_its_network_and_its_terminal() {
        let mut config = json!({
            "process": { "terminal": true },
            "linux": { "namespaces": [{ "type": "pid" }, { "type": "network" }] },
        });
        adapt(&mut config).unwrap();
        assert_eq!(config["process"]["terminal"], false);
        assert_eq!(config["linux"]["namespaces"], json!([{ "type": "pid" }]));
    }
}
