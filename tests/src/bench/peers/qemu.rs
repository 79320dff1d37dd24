//! QEMU as an expert starts it by hand: the same kernel, the same disk, one
//! script as init, nothing that supervises, records or confines.
//!
//! What is the same is read off a machine that Tandem has started, so that
//! this stays a fair peer when ours changes.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{newc, tandem::free_port};
use crate::bench::{
    ground::{Ground, IMAGE, tool},
    measures::Launcher,
};

/// Its name in the table.
pub(crate) const NAME: &str = "qemu";

const MODEL: &str = "model";

/// `qemu-system-x86_64 -M q35 -accel tcg,thread=multi -kernel …`.
#[derive(Debug)]
pub(crate) struct Qemu {
    folder: PathBuf,
    same: Same,
}

/// What both machines have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Same {
    /// `-cpu`, `-m`, `-smp` with their values, as far as ours has them.
    size: Vec<String>,
    kernel: PathBuf,
    initrd: PathBuf,
    append: String,
    overlay: PathBuf,
}

impl Qemu {
    pub(crate) fn prepare(ground: &Ground) -> Result<Self> {
        let folder = ground.scratch().join(NAME);
        fs::create_dir(&folder)?;
        let publish = format!("{}:8080", free_port()?);
        let run = ["run", "-d", "--backend", "vm", "--accelerator", "tcg", "--name", MODEL];
        ground.tandem(&[&run[..], &["-p", &publish, IMAGE]].concat())?;
        let made = Self::from_model(ground, folder);
        ground.tandem(&["rm", "-f", MODEL])?;
        made
    }

    fn from_model(ground: &Ground, folder: PathBuf) -> Result<Self> {
        let record = ground.tandem(&["ps", "--json"])?.json()?;
        let pid = record[0]["pid"].as_u64().context("our machine has no process id")?;
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline"))?;
        let words: Vec<&str> = line.split('\0').collect();
        let ours = Same::read(&words)?;
        // Copies: the instance's own files go with it.
        let kernel = folder.join("kernel");
        fs::copy(&ours.kernel, &kernel)?;
        let overlay = ours.overlay.to_string_lossy().into_owned();
        let info =
            tool("qemu-img", &["info", "--force-share", "--output=json", &overlay])?.json()?;
        let base = info["full-backing-filename"].as_str().or(info["backing-filename"].as_str());
        let disk = folder.join("base.img");
        let base = base.context("our disk has no backing file")?;
        tool("cp", &["--sparse=always", base, &disk.to_string_lossy()])?;
        let format = info["backing-filename-format"].as_str().unwrap_or("raw").to_owned();
        let initrd = initrd(&folder, &ours.initrd)?;
        let own = Self { folder, same: Same { kernel, initrd, ..ours } };
        own.make_overlay(&format)?;
        Ok(own)
    }

    /// A fresh overlay; the base stays as it is.
    fn make_overlay(&self, format: &str) -> Result<()> {
        let (base, fresh) = (self.folder.join("base.img"), self.folder.join("fresh.qcow2"));
        let (base, fresh) = (base.to_string_lossy(), fresh.to_string_lossy());
        tool("qemu-img", &["create", "-q", "-f", "qcow2", "-b", &base, "-F", format, &fresh])?;
        Ok(())
    }
}

impl Same {
    /// Reads the arguments of a running QEMU.
    fn read(words: &[&str]) -> Result<Self> {
        let value = |name: &str| {
            let at = words.iter().position(|word| *word == name);
            at.and_then(|at| words.get(at + 1)).map(|value| (*value).to_owned())
        };
        let needed = |name: &str| {
            value(name).with_context(|| format!("our machine was started without {name}"))
        };
        let size = ["-cpu", "-m", "-smp"]
            .into_iter()
            .filter_map(|name| Some([name.to_owned(), value(name)?]))
            .flatten()
            .collect();
        let overlay = words
            .iter()
            .flat_map(|word| word.split(['=', ',', '"']))
            .find(|part| part.starts_with('/') && ends_in(part, "qcow2"));
        Ok(Self {
            size,
            kernel: needed("-kernel")?.into(),
            initrd: needed("-initrd")?.into(),
            append: needed("-append")?,
            overlay: overlay.context("our machine has no qcow2 disk")?.into(),
        })
    }
}

fn ends_in(path: &str, ending: &str) -> bool {
    Path::new(path).extension().is_some_and(|own| own == ending)
}

/// Our initial RAM disk with another init: a shell script that loads the same
/// modules, mounts the disk, sets the same address and executes the app.
fn initrd(folder: &Path, ours: &Path) -> Result<PathBuf> {
    let tree = folder.join("initrd");
    fs::create_dir(&tree)?;
    for (name, bytes) in newc::files(&fs::read(ours)?)? {
        let path = tree.join(name.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap_or(&tree))?;
        fs::write(path, bytes)?;
    }
    let (boot, modules) = boot_of(&tree)?;
    fs::create_dir_all(tree.join("bin"))?;
    for dir in ["dev", "root", "proc"] {
        fs::create_dir_all(tree.join(dir))?;
    }
    fs::copy("/bin/busybox", tree.join("bin/busybox")).context("busybox-static is needed")?;
    let init = tree.join("init");
    let _ = fs::remove_file(&init);
    fs::write(&init, script(&boot, &modules))?;
    tool("chmod", &["0755", &init.to_string_lossy()])?;
    let packed = folder.join("initrd.cpio");
    let text = "cd \"$1\" && find . | cpio -o -H newc --quiet > \"$2\"";
    tool("sh", &["-c", text, "sh", &tree.to_string_lossy(), &packed.to_string_lossy()])?;
    Ok(packed)
}

/// The file in the archive that says what to boot, and where the modules lie
/// inside, by name.
fn boot_of(tree: &Path) -> Result<(Value, Vec<(String, String)>)> {
    let mut boot = None;
    let mut modules = Vec::new();
    let mut folders = vec![tree.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)?.flatten() {
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if ends_in(&name, "ko") {
                let inside = path.strip_prefix(tree)?.to_string_lossy().into_owned();
                modules.push((name, inside));
            } else if let Ok(text) = fs::read_to_string(&path)
                && let Ok(value) = serde_json::from_str::<Value>(&text)
                && value["modules"].is_object()
            {
                boot = Some(value);
            }
        }
    }
    Ok((boot.context("our initial RAM disk says nothing of what to boot")?, modules))
}

fn script(boot: &Value, modules: &[(String, String)]) -> String {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect()
    };
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
    let network = &boot["network"];
    let device = text(&network["device"]);
    lines.push("$b ip link set lo up".to_owned());
    lines.push(format!(
        "$b ifconfig {device} {} netmask {} up",
        text(&network["address"]),
        text(&network["mask"])
    ));
    lines.push(format!("$b route add default gw {}", text(&network["gateway"])));
    lines.push("$b mount -t proc proc /root/proc; $b mount -t sysfs sys /root/sys; $b mount -t devtmpfs dev /root/dev; $b mkdir -p /root/dev/shm; $b mount -t tmpfs shm /root/dev/shm".to_owned());
    let env: Vec<String> = texts(&boot["env"]).iter().map(|entry| quoted(entry)).collect();
    let args: Vec<String> = texts(&boot["args"]).iter().map(|word| quoted(word)).collect();
    let inner = format!("cd {} && exec {}", quoted(&text(&boot["cwd"])), args.join(" "));
    lines.push(format!(
        "exec $b env -i {} $b chroot /root /bin/sh -c {}",
        env.join(" "),
        quoted(&inner)
    ));
    lines.join("\n") + "\n"
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
        let port = free_port()?;
        let disk = self.folder.join("run.qcow2");
        fs::copy(self.folder.join("fresh.qcow2"), &disk)?;
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(["-M", "q35", "-accel", "tcg,thread=multi", "-nodefaults", "-no-user-config"])
            .args(["-display", "none", "-serial", "none"])
            .args(&self.same.size)
            .arg("-kernel")
            .arg(&self.same.kernel)
            .arg("-initrd")
            .arg(&self.same.initrd)
            .args(["-append", &self.same.append])
            .args(["-drive", &format!("file={},format=qcow2,if=virtio", disk.display())])
            .args(["-netdev", &format!("user,id=n,hostfwd=tcp:127.0.0.1:{port}-:8080")])
            .args(["-device", "virtio-net-pci,netdev=n"]);
        Ok((command, SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
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
    fn what_is_common_is_read_off_the_arguments() {
        let words = [
            "qemu-system-x86_64",
            "-M",
            "q35",
            "-m",
            "512M",
            "-smp",
            "2",
            "-kernel",
            "/k",
            "-initrd",
            "/i",
            "-append",
            "quiet x=1",
            "-blockdev",
            "driver=qcow2,file.driver=file,file.filename=/h/instances/1/disk.qcow2",
        ];
        let same = Same::read(&words).unwrap();
        assert_eq!(same.size, ["-m", "512M", "-smp", "2"]);
        assert_eq!(same.overlay, Path::new("/h/instances/1/disk.qcow2"));
        assert_eq!(same.append, "quiet x=1");
        assert!(Same::read(&words[..5]).is_err());
    }

    #[test]
    fn the_script_boots_what_ours_boots() {
        let boot = json!({
            "modules": { "disk": ["virtio_blk.ko"], "network": [], "channel": ["other.ko"] },
            "disk": "/dev/vda", "env": ["A=it's"], "args": ["python", "app.py"], "cwd": "/app",
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
