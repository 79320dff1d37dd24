//! `runc run` with the isolation that our containers have, and nothing else:
//! no image store, no records, no supervision, no network but loopback.
//!
//! The bundle is ours, read off a container that Tandem has started, with
//! Docker's system call filter as dockerd hands it to runc. The root file
//! system is an overlay of the same layers, mounted and taken away within the
//! timed part, as ours is.

use std::{
    fmt::Write as _,
    fs,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tandem_probe::now;

use super::{Docker, Engine as _, Tandem};
use crate::bench::{
    ground::{Ground, IMAGE, tool},
    measure::{Contender, Reading},
    stage::Stage,
};

const CONTAINER: &str = "tandem-bench-true";
const MODEL: &str = "model";

/// `runc run` of the bundle.
#[derive(Debug)]
pub(crate) struct BareRunc {
    name: &'static str,
    folder: PathBuf,
    layers: Vec<PathBuf>,
}

impl BareRunc {
    pub(crate) fn prepare(
        name: &'static str,
        ground: &Ground,
        docker: &Docker,
        folder: PathBuf,
    ) -> Result<Self> {
        tool(name, &["--version"])?;
        let layers = layers(ground)?;
        let own = Self { name, folder, layers };
        for part in ["root", "state"] {
            fs::create_dir_all(own.folder.join(part))?;
        }
        let filter = docker.specification()?["linux"]["seccomp"].take();
        let ours = Tandem::new(ground, "container")?;
        let lane = ["run", "-d", "--network", "none", "--name", MODEL, "--entrypoint", "sleep"];
        let id = ours.call(&[&lane[..], &[IMAGE, "600"]].concat())?.line().to_owned();
        let bundle = ground.home().join("instances").join(id).join("bundle");
        let written = own.write_bundle(&bundle, filter);
        ours.call(&["rm", "-f", MODEL])?;
        written.map(|()| own)
    }

    fn write_bundle(&self, ours: &Path, filter: Value) -> Result<()> {
        let mut config: Value = serde_json::from_slice(&fs::read(ours.join("config.json"))?)?;
        adapt(&mut config, &self.folder.join("root"), filter)?;
        // The files that tell an app its name lie in our bundle.
        for mount in config["mounts"].as_array_mut().context("no mounts")? {
            let source = PathBuf::from(mount["source"].as_str().unwrap_or_default());
            if source.starts_with(ours) {
                let copy = self.folder.join(source.file_name().context("a mount of /")?);
                fs::copy(&source, &copy)?;
                mount["source"] = copy.to_string_lossy().into();
            }
        }
        Ok(fs::write(self.folder.join("config.json"), serde_json::to_vec(&config)?)?)
    }

    /// Mounts the layers with a fresh folder for changes on top.
    fn mount(&self) -> Result<Mounted<'_>> {
        for part in ["upper", "work"] {
            fs::create_dir(self.folder.join(part))?;
        }
        // Through descriptors: a page is all that options may take.
        let open = |layer: &PathBuf| fs::File::open(layer);
        let layers: Vec<fs::File> = self.layers.iter().map(open).collect::<Result<_, _>>()?;
        let lower: Vec<String> =
            layers.iter().rev().map(|fd| format!("/proc/self/fd/{}", fd.as_raw_fd())).collect();
        let part = |name: &str| self.folder.join(name).display().to_string();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.join(":"),
            part("upper"),
            part("work")
        );
        let flags = MsFlags::empty();
        mount(Some("overlay"), &self.folder.join("root"), Some("overlay"), flags, Some(&*options))?;
        Ok(Mounted(&self.folder))
    }
}

/// The mounted root; unmounted and emptied with the value.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = umount2(&self.0.join("root"), MntFlags::MNT_DETACH);
        for part in ["upper", "work"] {
            let _ = fs::remove_dir_all(self.0.join(part));
        }
    }
}

impl Contender for BareRunc {
    fn trial(&mut self, stage: &Stage) -> Result<Vec<Reading>> {
        let mut command = Command::new(self.name);
        command.arg("--root").arg(self.folder.join("state"));
        command.args(["run", "--bundle"]).arg(&self.folder).arg(CONTAINER).stdin(Stdio::null());
        let begin = now();
        let mounted = self.mount()?;
        let ran = stage.time(command);
        drop(mounted);
        let elapsed = now().since(begin);
        ran.map(|_| vec![(self.name, elapsed as f64)])
    }
}

/// Our bundle for another runtime.
fn adapt(config: &mut Value, root: &Path, filter: Value) -> Result<()> {
    config["root"]["path"] = root.to_string_lossy().into();
    config["process"]["args"] = json!(["true"]);
    config["linux"]["seccomp"] = filter;
    config["linux"]["cgroupsPath"] = format!("/{CONTAINER}").into();
    for space in config["linux"]["namespaces"].as_array_mut().context("no namespaces")? {
        // Ours joins one that its supervisor has made.
        if space["type"] == "network" {
            space.as_object_mut().context("an odd namespace")?.remove("path");
        }
    }
    // Each of our groups is bound by its path; runc finds its own.
    let mounts = config["mounts"].as_array_mut().context("no mounts")?;
    let is_group = |mount: &Value| {
        mount["destination"].as_str().is_some_and(|place| place.starts_with("/sys/fs/cgroup"))
    };
    mounts.retain(|mount| !is_group(mount));
    mounts.push(json!({
        "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": ["ro", "nosuid", "noexec", "nodev"],
    }));
    Ok(())
}

/// The unpacked layers of the image, bottom first, by their chain ids (OCI
/// image specification, config.md).
fn layers(ground: &Ground) -> Result<Vec<PathBuf>> {
    let config = ground.tandem(&["image", "inspect", IMAGE])?.json()?;
    let config = if config.is_array() { &config[0] } else { &config };
    let ids = config["rootfs"]["diff_ids"].as_array().context("an image without layers")?;
    let mut chain: Option<String> = None;
    let mut found = Vec::new();
    for id in ids.iter().filter_map(Value::as_str) {
        let next = match &chain {
            None => id.to_owned(),
            Some(below) => {
                let mut text = "sha256:".to_owned();
                for byte in Sha256::digest(format!("{below} {id}")) {
                    let _ = write!(text, "{byte:02x}");
                }
                text
            }
        };
        let name = next.trim_start_matches("sha256:");
        let folder = ground.home().join("layers").join(name);
        found.push(fs::canonicalize(&folder).with_context(|| folder.display().to_string())?);
        chain = Some(next);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_keeps_its_isolation() {
        let mut config = json!({
            "root": { "path": "/ours" },
            "process": { "args": ["sleep"], "capabilities": { "bounding": ["CAP_KILL"] } },
            "mounts": [
                { "destination": "/proc", "type": "proc" },
                { "destination": "/sys/fs/cgroup", "type": "tmpfs" },
                { "destination": "/sys/fs/cgroup/pids", "type": "bind" },
            ],
            "linux": {
                "cgroupsPath": "/tandem-1",
                "namespaces": [{ "type": "pid" }, { "type": "network", "path": "/proc/7/fd/3" }],
            },
        });
        adapt(&mut config, Path::new("/theirs"), json!({ "defaultAction": "SCMP_ACT_ERRNO" }))
            .unwrap();
        let spaces = json!([{ "type": "pid" }, { "type": "network" }]);
        assert_eq!(config["linux"]["namespaces"], spaces);
        assert_eq!(config["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
        assert_eq!(config["process"]["capabilities"]["bounding"][0], "CAP_KILL");
        let places: Vec<_> =
            config["mounts"].as_array().unwrap().iter().map(|m| &m["destination"]).collect();
        assert_eq!(places, ["/proc", "/sys/fs/cgroup"]);
    }
}
