//! The OCI bundle that libcontainer is given: `config.json` made from an
//! instance's record (OCI runtime specification, config.md).

mod mounts;
mod resources;

use std::{
    collections::{HashMap, hash_map::Entry},
    path::{Path, PathBuf},
};

use oci_spec::{
    OciSpecError,
    runtime::{
        Capabilities, LinuxBuilder, LinuxCapabilitiesBuilder, LinuxNamespace,
        LinuxNamespaceBuilder, LinuxNamespaceType, ProcessBuilder, RootBuilder, Spec, SpecBuilder,
        UserBuilder,
    },
};
use tandem_model::InstanceSpec;
use tandem_rootless::Standing;

use crate::{
    cgroup::Layout,
    confine::{DEFAULT_PATH, MASKED, READ_ONLY, User, set_of, variable},
    storage::LateMount,
};

/// What a bundle is made of.
#[derive(Debug)]
pub(crate) struct Bundle<'a> {
    pub(crate) spec: &'a InstanceSpec,
    pub(crate) rootfs: &'a Path,
    pub(crate) user: &'a User,
    pub(crate) env: &'a [String],
    pub(crate) hostname: &'a str,
    /// Files bound over places inside.
    pub(crate) files: &'a [(PathBuf, &'static str)],
    /// What is mounted last.
    pub(crate) late: &'a [LateMount],
    /// What the app and its children may ever have.
    pub(crate) capabilities: u64,
    /// What our last steps before the app need beyond that.
    pub(crate) lent: u64,
    /// The network namespace to join; `None` for the host's.
    pub(crate) network: Option<&'a Path>,
    /// Name of the control group, straight below each hierarchy's root.
    pub(crate) group: &'a str,
    pub(crate) layout: &'a Layout,
}

impl Bundle<'_> {
    /// The runtime specification. The system call filter is not in it: the
    /// executor installs it ready-made, last of all.
    pub(crate) fn to_spec(&self) -> Result<Spec, OciSpecError> {
        let process = ProcessBuilder::default()
            .terminal(self.spec.options.terminal)
            .args(self.spec.args.clone())
            .env(self.env.to_vec())
            .cwd(&self.spec.cwd)
            .user(
                UserBuilder::default()
                    .uid(self.user.uid)
                    .gid(self.user.gid)
                    .additional_gids(self.user.groups.clone())
                    .build()?,
            )
            .capabilities(self.capabilities()?)
            .no_new_privileges(self.spec.options.security.no_new_privileges)
            .build()?;
        let mut process = process;
        if Standing::of_process().is_machine_root() {
            // Others may only raise what their session began with.
            process.set_oom_score_adj(Some(0));
        }
        process.set_rlimits(resources::rlimits(&self.spec.options.ulimits)?);
        let mut linux = LinuxBuilder::default()
            .namespaces(self.namespaces()?)
            .cgroups_path(self.layout.path_of(self.group))
            .masked_paths(MASKED.map(str::to_owned).to_vec())
            .readonly_paths(self.read_only_paths())
            .build()?;
        if !self.layout.is_ours_to_make() {
            let resources = resources::resources(self.layout, &self.spec.resources)?;
            linux.set_resources(Some(resources));
        }
        let mut spec = SpecBuilder::default()
            .root(
                RootBuilder::default()
                    .path(self.rootfs)
                    .readonly(self.spec.options.security.read_only)
                    .build()?,
            )
            .process(process)
            .hostname(self.hostname)
            .mounts(mounts::mounts(self)?)
            .linux(linux)
            .build()?;
        spec.set_version("1.0.2".to_owned());
        Ok(spec)
    }

    fn read_only_paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = READ_ONLY.map(str::to_owned).to_vec();
        // The folder of the version 1 mounts has to be written to first.
        if matches!(self.layout, Layout::Split { .. }) {
            paths.push(mounts::CGROUPS.to_owned());
        }
        paths
    }

    fn capabilities(&self) -> Result<oci_spec::runtime::LinuxCapabilities, OciSpecError> {
        // As in Docker: a user other than root has none, but may get them
        // back within the bounding set.
        let held = if self.user.uid == 0 { self.capabilities } else { 0 };
        let held = set_of(held | self.lent);
        LinuxCapabilitiesBuilder::default()
            .bounding(set_of(self.capabilities | self.lent))
            .effective(held.clone())
            .permitted(held)
            .inheritable(Capabilities::new())
            .ambient(Capabilities::new())
            .build()
    }

    fn namespaces(&self) -> Result<Vec<LinuxNamespace>, OciSpecError> {
        let mut kinds = vec![
            LinuxNamespaceType::Pid,
            LinuxNamespaceType::Mount,
            LinuxNamespaceType::Uts,
            LinuxNamespaceType::Ipc,
        ];
        if Path::new("/proc/self/ns/cgroup").exists() {
            kinds.push(LinuxNamespaceType::Cgroup);
        }
        let mut namespaces = kinds
            .into_iter()
            .map(|kind| LinuxNamespaceBuilder::default().typ(kind).build())
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(network) = self.network {
            namespaces.push(
                LinuxNamespaceBuilder::default()
                    .typ(LinuxNamespaceType::Network)
                    .path(network)
                    .build()?,
            );
        }
        Ok(namespaces)
    }
}

/// The app's environment: the image's and the person's, a later entry
/// replacing an earlier one, with `PATH`, `HOME` and `HOSTNAME` filled in.
pub(crate) fn environment(env: &[String], user: &User, hostname: Option<&str>) -> Vec<String> {
    let mut merged: Vec<String> = Vec::with_capacity(env.len() + 3);
    // An image may have a million of them.
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(env.len());
    for entry in env {
        // One without a name or a value is none, as in a machine.
        let Some((name, _)) = entry.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            continue;
        };
        match places.entry(name) {
            Entry::Occupied(place) => merged[*place.get()].clone_from(entry),
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(entry.clone());
            }
        }
    }
    let defaults =
        [("PATH", Some(DEFAULT_PATH)), ("HOME", Some(user.home.as_str())), ("HOSTNAME", hostname)];
    for (name, value) in defaults {
        if let (None, Some(value)) = (variable(&merged, name), value) {
            merged.push(format!("{name}={value}"));
        }
    }
    merged
}

#[cfg(test)]
mod tests;
