//! What a machine of ours is made of, copied for those who are started by
//! hand: the same kernel, disk and size. It is read off a machine that Tandem
//! has started, so that the peers stay fair when ours changes.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::tandem::free_port;
use crate::bench::ground::{Ground, IMAGE, tool};

const MODEL: &str = "model";

/// What all machines have in common, in a folder of the bench.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Same {
    /// `-cpu`, `-m`, `-smp` with their values, as far as ours has them.
    size: Vec<String>,
    pub(super) kernel: PathBuf,
    /// Our own initial RAM disk, with what is to be booted.
    pub(super) initrd: PathBuf,
    pub(super) append: String,
    /// The disk that nobody writes to.
    pub(super) base: PathBuf,
    format: String,
}

impl Same {
    /// Starts a machine, copies what it is made of, and removes it.
    pub(crate) fn of_ours(ground: &Ground) -> Result<Self> {
        let folder = ground.scratch().join(MODEL);
        fs::create_dir(&folder)?;
        let publish = format!("{}:8080", free_port()?);
        let run = ["run", "-d", "--backend", "vm", "--accelerator", "tcg", "--name", MODEL];
        ground.tandem(&[&run[..], &["-p", &publish, IMAGE]].concat())?;
        let made = Self::copied(ground, &folder);
        ground.tandem(&["rm", "-f", MODEL])?;
        made
    }

    fn copied(ground: &Ground, folder: &Path) -> Result<Self> {
        let record = ground.tandem(&["ps", "--json"])?.json()?;
        let pid = record[0]["pid"].as_u64().context("our machine has no process id")?;
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline"))?;
        // It has its files open and names them as its own.
        let line = line.replace("/proc/self/fd/", &format!("/proc/{pid}/fd/"));
        let mut same = Self::read(&line.split('\0').collect::<Vec<_>>())?;
        // Copies: the instance's own files go with it.
        for (file, name) in [(&mut same.kernel, "kernel"), (&mut same.initrd, "initrd")] {
            fs::copy(&*file, folder.join(name))?;
            *file = folder.join(name);
        }
        let overlay = same.base.to_string_lossy().into_owned();
        let info =
            tool("qemu-img", &["info", "--force-share", "--output=json", &overlay])?.json()?;
        let base = info["full-backing-filename"].as_str().or(info["backing-filename"].as_str());
        let base = base.context("our disk has no backing file")?;
        let format = info["backing-filename-format"].as_str().unwrap_or("raw");
        format.clone_into(&mut same.format);
        same.base = folder.join("base.img");
        tool("cp", &["--sparse=always", base, &same.base.to_string_lossy()])?;
        Ok(same)
    }

    /// Reads the arguments of a running QEMU; `base` is its overlay then.
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
            base: overlay.context("our machine has no qcow2 disk")?.into(),
            format: String::new(),
        })
    }

    /// An empty layer on the disk, in the new file `path`.
    pub(super) fn make_overlay(&self, path: &Path) -> Result<()> {
        let (base, path) = (self.base.to_string_lossy(), path.to_string_lossy());
        tool("qemu-img", &["create", "-q", "-f", "qcow2", "-b", &base, "-F", &self.format, &path])?;
        Ok(())
    }

    /// A QEMU of this size with this disk and the app's port; what it boots
    /// is to be added.
    pub(super) fn command(&self, disk: &Path) -> Result<(Command, SocketAddr)> {
        let port = free_port()?;
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(["-M", "q35", "-accel", "tcg,thread=multi", "-nodefaults", "-no-user-config"])
            .args(["-display", "none"])
            .args(&self.size)
            .args(["-drive", &format!("file={},format=qcow2,if=virtio", disk.display())])
            .args(["-netdev", &format!("user,id=n,hostfwd=tcp:127.0.0.1:{port}-:8080")])
            .args(["-device", "virtio-net-pci,netdev=n"]);
        Ok((command, SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
    }
}

/// Whether a path has this ending.
pub(super) fn ends_in(path: &str, ending: &str) -> bool {
    Path::new(path).extension().is_some_and(|own| own == ending)
}

#[cfg(test)]
mod tests {
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
            "{\"driver\":\"qcow2\",\"file\":{\"filename\":\"/dev/fdset/1\"}}",
            "-add-fd",
            "fd=9,set=1,opaque=/h/instances/1/disk.qcow2",
        ];
        let same = Same::read(&words).unwrap();
        assert_eq!(same.size, ["-m", "512M", "-smp", "2"]);
        assert_eq!(same.base, Path::new("/h/instances/1/disk.qcow2"));
        assert_eq!(same.append, "quiet x=1");
        assert!(Same::read(&words[..5]).is_err());
    }
}
