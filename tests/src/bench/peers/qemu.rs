//! QEMU as an expert starts it by hand: the same kernel, the same disk, one
//! script as init, nothing that supervises, records or confines.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command},
    rc::Rc,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    newc,
    same::{Same, ends_in},
};
use crate::bench::{
    ground::{Ground, tool},
    measures::Launcher,
};

/// Its name in the table.
pub(crate) const NAME: &str = "qemu";

/// `qemu-system-x86_64 -M q35 -accel tcg,thread=multi -kernel …`.
#[derive(Debug)]
pub(crate) struct Qemu {
    folder: PathBuf,
    same: Rc<Same>,
    initrd: PathBuf,
}

impl Qemu {
    /// `name` is that of its folder.
    pub(crate) fn prepare(ground: &Ground, same: Rc<Same>, name: &str) -> Result<Self> {
        let folder = ground.scratch().join(name);
        fs::create_dir(&folder)?;
        let (tree, boot) = unpacked(&folder, &same.initrd)?;
        let initrd = initrd(&folder, &tree, &boot)?;
        Ok(Self { folder, same, initrd })
    }

    /// A command that boots it with a fresh disk, and where the app answers.
    pub(super) fn boot(&self) -> Result<(Command, SocketAddr)> {
        let disk = self.disk();
        let _ = fs::remove_file(&disk);
        self.same.make_overlay(&disk)?;
        let (mut command, address) = self.again()?;
        command.arg("-initrd").arg(&self.initrd);
        Ok((command, address))
    }

    /// The same machine with the disk of the last boot and nothing to boot.
    pub(super) fn again(&self) -> Result<(Command, SocketAddr)> {
        let (mut command, address) = self.same.command(&self.disk())?;
        command.args(["-serial", "none", "-append", &self.same.append]);
        command.arg("-kernel").arg(&self.same.kernel);
        Ok((command, address))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn disk(&self) -> PathBuf {
        self.folder.join("run.qcow2")
    }
}

/// The files of our initial RAM disk in a folder, and what they say is to be
/// booted.
pub(super) fn unpacked(folder: &Path, ours: &Path) -> Result<(PathBuf, Value)> {
    let tree = folder.join("initrd");
    fs::create_dir(&tree)?;
    for (name, bytes) in newc::files(&fs::read(ours)?)? {
        let path = tree.join(name.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap_or(&tree))?;
        fs::write(path, bytes)?;
    }
    let boot = files_below(&tree)?
        .iter()
        .filter(|path| !ends_in(&path.to_string_lossy(), "ko"))
        .filter_map(|path| serde_json::from_str(&fs::read_to_string(path).ok()?).ok())
        .find(|value: &Value| value["modules"].is_object());
    let boot = boot.context("our initial RAM disk says nothing of what to boot")?;
    ensure!(!texts(&boot["app"]["args"]).is_empty(), "our initial RAM disk names no app: {boot}");
    Ok((tree, boot))
}

/// Our initial RAM disk with another init: a shell script that loads the same
/// modules, mounts the disk, sets the same address and executes the app.
fn initrd(folder: &Path, tree: &Path, boot: &Value) -> Result<PathBuf> {
    let modules: Vec<(String, String)> = files_below(tree)?
        .iter()
        .filter(|path| ends_in(&path.to_string_lossy(), "ko"))
        .filter_map(|path| {
            let inside = path.strip_prefix(tree).ok()?.to_string_lossy().into_owned();
            Some((path.file_name()?.to_string_lossy().into_owned(), inside))
        })
        .collect();
    fs::create_dir_all(tree.join("bin"))?;
    for dir in ["dev", "root", "proc"] {
        fs::create_dir_all(tree.join(dir))?;
    }
    fs::copy(BUSYBOX, tree.join("bin/busybox")).context("busybox-static is needed")?;
    let init = tree.join("init");
    let _ = fs::remove_file(&init);
    fs::write(&init, script(boot, &modules))?;
    tool("chmod", &["0755", &init.to_string_lossy()])?;
    let packed = folder.join("initrd.cpio");
    fs::write(&packed, newc::pack(tree)?)?;
    Ok(packed)
}

/// The static one of the host.
pub(super) const BUSYBOX: &str = "/bin/busybox";

fn files_below(tree: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![tree.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)?.flatten() {
            let list = if entry.file_type()?.is_dir() { &mut folders } else { &mut files };
            list.push(entry.path());
        }
    }
    Ok(files)
}

fn script(boot: &Value, modules: &[(String, String)]) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = vec!["#!/bin/busybox sh".to_owned(), "b=/bin/busybox".to_owned()];
    lines.push("$b mount -t devtmpfs dev /dev".to_owned());
    // The kernel found no console in the RAM disk: nothing is open yet, and an
    // app without the three standard descriptors fails oddly.
    lines.push("exec </dev/null >/dev/null 2>&1".to_owned());
    for kind in ["disk", "network"] {
        for name in texts(&boot["modules"][kind]) {
            let wanted = name.rsplit('/').next().unwrap_or(&name);
            if let Some((_, path)) = modules.iter().find(|(known, _)| known == wanted) {
                lines.push(format!("$b insmod /{path}"));
            }
        }
    }
    lines.push(format!("$b mount -t ext4 {} /root", text(&boot["disk"])));
    lines.push(network(boot));
    lines.push("$b mount -t proc proc /root/proc; $b mount -t sysfs sys /root/sys; $b mount -t devtmpfs dev /root/dev; $b mkdir -p /root/dev/shm; $b mount -t tmpfs shm /root/dev/shm".to_owned());
    let (env, inner) = app(boot);
    lines.push(format!("exec $b env -i {env} $b chroot /root /bin/sh -c {inner}"));
    lines.join("\n") + "\n"
}

/// What sets the address; `$b` is busybox.
pub(super) fn network(boot: &Value) -> String {
    let network = &boot["network"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let device = text(&network["device"]);
    let (address, mask) = (text(&network["address"]), text(&network["mask"]));
    let gateway = text(&network["gateway"]);
    format!(
        "$b ip link set lo up\n$b ifconfig {device} {address} netmask {mask} up\n$b route add default gw {gateway}"
    )
}

/// The app's environment, and the shell's words that execute it, quoted once
/// more.
pub(super) fn app(boot: &Value) -> (String, String) {
    let app = &boot["app"];
    let all = |value: &Value| texts(value).iter().map(|word| quoted(word)).collect::<Vec<_>>();
    let cwd = app["cwd"].as_str().unwrap_or_default();
    let inner = format!("cd {} && exec {}", quoted(cwd), all(&app["args"]).join(" "));
    (all(&app["env"]).join(" "), quoted(&inner))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect()
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl Launcher for Qemu {
    fn is_slow(&self) -> bool {
        true
    }

    fn launch(&mut self) -> Result<(Command, SocketAddr)> {
        self.boot()
    }

    fn stop(&mut self, child: &mut Child) -> Result<()> {
        Ok(child.kill()?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_script_boots_what_ours_boots() {
        let boot = json!({
            "modules": { "disk": ["virtio_blk.ko"], "network": [], "channel": ["other.ko"] },
            "disk": "/dev/vda",
            "app": { "env": ["A=it's"], "args": ["python", "app.py"], "cwd": "/app" },
            "network": { "device": "eth0", "address": "10.0.2.15", "mask": "255.255.255.0", "gateway": "10.0.2.2" },
        });
        let modules = [("virtio_blk.ko".to_owned(), "m/virtio_blk.ko".to_owned())];
        let script = script(&boot, &modules);
        assert!(script.contains("\n$b insmod /m/virtio_blk.ko\n"), "{script}");
        assert!(!script.contains("other.ko"), "{script}");
        assert!(script.ends_with(
            "exec $b env -i 'A=it'\\''s' $b chroot /root /bin/sh -c 'cd '\\''/app'\\'' && exec '\\''python'\\'' '\\''app.py'\\'''\n"
        ), "{script}");
    }
}
