use oci_spec::{
    OciSpecError,
    runtime::{Mount, MountBuilder},
};
use tandem_rootless::Standing;

use super::Bundle;
use crate::{cgroup::Layout, init::INIT};

/// Everything that is mounted over the image's files, in order.
pub(super) fn mounts(bundle: &Bundle<'_>) -> Result<Vec<Mount>, OciSpecError> {
    let Bundle { files, late, layout, group, network, .. } = *bundle;
    let standing = Standing::of_process();
    // The group that terminals belong to is not there where only root is.
    let terminals: &[&str] = &TERMINALS[..TERMINALS.len() - usize::from(standing.is_single())];
    let shared = bundle.spec.options.shm_bytes.unwrap_or(SHARED_MEMORY);
    let shared = format!("size={shared}");
    let mut mounts = vec![
        mount("proc", "proc", "/proc", &["nosuid", "noexec", "nodev"])?,
        mount("tmpfs", "tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"])?,
        mount("devpts", "devpts", "/dev/pts", terminals)?,
        match network {
            // Sysfs shows a network namespace, and only its owner may have it
            // mounted (kernel, fs/sysfs/mount.c).
            None if !standing.is_machine_root() => {
                mount("bind", "/sys", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"])?
            }
            _ => mount("sysfs", "sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"])?,
        },
        mount("mqueue", "mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"])?,
        mount(
            "tmpfs",
            "shm",
            "/dev/shm",
            &["nosuid", "noexec", "nodev", "mode=1777", shared.as_str()],
        )?,
    ];
    mounts.extend(cgroup_mounts(layout, group)?);
    for (source, target) in files {
        let source = source.to_string_lossy();
        let read_only = (*target == INIT).then_some("ro");
        let options: Vec<&str> = ["rbind", "rprivate"].into_iter().chain(read_only).collect();
        mounts.push(mount("bind", &source, target, &options)?);
    }
    for one in late {
        let options: Vec<&str> = one.options.iter().map(String::as_str).collect();
        mounts.push(mount(one.kind, &one.source, &one.target, &options)?);
    }
    Ok(mounts)
}

/// Bytes of `/dev/shm`, as in Docker.
const SHARED_MEMORY: u64 = 64 << 20;

/// How the terminals of an app are mounted; the group comes last.
const TERMINALS: [&str; 6] =
    ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];

/// Where an app finds its control groups.
pub(super) const CGROUPS: &str = "/sys/fs/cgroup";

/// The app sees its own groups and can change nothing in them. For version 1
/// each is bound read-only: a fresh mount in the cgroup namespace could be
/// written by root inside, and the limits with it.
fn cgroup_mounts(layout: &Layout, group: &str) -> Result<Vec<Mount>, OciSpecError> {
    const OPTIONS: [&str; 4] = ["ro", "nosuid", "noexec", "nodev"];
    if let Layout::Unified(_) = layout {
        return Ok(vec![mount("cgroup", "cgroup", CGROUPS, &OPTIONS)?]);
    }
    let base = ["nosuid", "noexec", "nodev", "mode=755", "size=64k"];
    if layout.is_ours_to_make() {
        // Nothing of the machine's, which an ordinary user cannot hide in part.
        return Ok(vec![mount("tmpfs", "tmpfs", CGROUPS, &base)?]);
    }
    let mut mounts = vec![mount("tmpfs", "tmpfs", CGROUPS, &base)?];
    for folder in layout.folders(group) {
        let name = folder.parent().and_then(|mount| mount.file_name()).unwrap_or_default();
        let target = format!("{CGROUPS}/{}", name.to_string_lossy());
        let options = ["bind", "ro", "nosuid", "noexec", "nodev"];
        mounts.push(mount("bind", &folder.to_string_lossy(), &target, &options)?);
    }
    Ok(mounts)
}

fn mount(kind: &str, source: &str, target: &str, options: &[&str]) -> Result<Mount, OciSpecError> {
    MountBuilder::default()
        .typ(kind)
        .source(source)
        .destination(target)
        .options(options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>())
        .build()
}
