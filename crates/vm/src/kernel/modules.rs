//! Which kernel modules a guest needs, and in which order.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use tandem_guest::wire::Modules;

use super::{Flavour, elf};

/// What the guest's disk needs; what a kernel has built in is left out.
const DISK: [&str; 3] = ["virtio_pci", "virtio_blk", "ext4"];
/// What ext4 needs for its checksums. It asks for it by what it does and not by
/// its name, so that its dependencies do not tell.
const CHECKSUMS: &str = "crc32c_generic";
/// The driver of a board without PCI, where the kernel has it as a module.
pub(super) const WITHOUT_PCI: &str = "virtio_mmio";
/// What its network needs.
const NETWORK: [&str; 1] = ["virtio_net"];
/// What the channel to the host needs.
const CHANNEL: [&str; 1] = ["virtio_console"];
/// What memory that comes and goes needs.
const MEMORY: [&str; 2] = ["virtio_mem", "virtio_balloon"];
/// What folders of the host need.
const SHARES: [&str; 2] = ["9pnet_virtio", "9p"];

/// The modules of one kernel, `lib/modules/VERSION`.
pub(super) struct ModuleTree {
    /// File of each module by name, with `_` for `-`.
    files: BTreeMap<String, PathBuf>,
    /// Names of what the kernel has built in.
    builtin: BTreeSet<String>,
}

/// A module ready to be loaded: file name and content.
pub(super) type Loaded = (String, Vec<u8>);

impl ModuleTree {
    /// Reads the tree at `lib/modules/VERSION`.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let builtin = fs::read_to_string(dir.join("modules.builtin"))?;
        let builtin = builtin.lines().filter_map(|line| name_of(Path::new(line))).collect();
        let mut files = BTreeMap::new();
        let mut pending = vec![dir.join("kernel")];
        while let Some(dir) = pending.pop() {
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    pending.push(entry.path());
                } else if let Some(name) = name_of(&entry.path()) {
                    files.insert(name, entry.path());
                }
            }
        }
        Ok(Self { files, builtin })
    }

    /// The modules that a guest needs, each after those that it needs itself.
    pub(super) fn for_guest(&self, flavour: Flavour) -> io::Result<(Modules, Vec<Loaded>)> {
        let mut loaded = Vec::new();
        let there = |name| Some(name).filter(|name| self.files.contains_key(*name));
        let optional = there(CHECKSUMS).into_iter().chain(there(WITHOUT_PCI));
        let disk = optional.chain(DISK).collect::<Vec<_>>();
        let shares: &[&str] = if flavour == Flavour::Generic { &SHARES } else { &[] };
        let modules = Modules {
            disk: self.load(&disk, &mut loaded)?,
            network: self.load(&NETWORK, &mut loaded)?,
            channel: self.load(&CHANNEL, &mut loaded)?,
            memory: self.load(&MEMORY, &mut loaded)?,
            shares: self.load(shares, &mut loaded)?,
        };
        Ok((modules, loaded))
    }

    fn load(&self, wanted: &[&str], loaded: &mut Vec<Loaded>) -> io::Result<Vec<String>> {
        let before = loaded.len();
        for name in wanted {
            self.add(name, loaded)?;
        }
        Ok(loaded[before..].iter().map(|(file, _)| file.clone()).collect())
    }

    fn add(&self, name: &str, loaded: &mut Vec<Loaded>) -> io::Result<()> {
        let file = format!("{name}.ko");
        if self.builtin.contains(name) || loaded.iter().any(|(other, _)| *other == file) {
            return Ok(());
        }
        let path = self.files.get(name).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("the kernel has no module {name}"))
        })?;
        let content = read_module(path)?;
        for needed in dependencies(&content) {
            self.add(&needed, loaded)?;
        }
        loaded.push((file, without_signature(content)));
        Ok(())
    }
}

/// `virtio_pci` from `…/virtio-pci.ko.xz`.
fn name_of(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    Some(file.split_once(".ko")?.0.replace('-', "_"))
}

fn read_module(path: &Path) -> io::Result<Vec<u8>> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => {
            let output =
                Command::new("xz").args(["--decompress", "--stdout"]).arg(path).output()?;
            if output.status.success() {
                Ok(output.stdout)
            } else {
                Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
            }
        }
        Some("zst") => zstd::decode_all(fs::File::open(path)?),
        Some("gz") => {
            let mut content = Vec::new();
            let mut source = flate2::read::GzDecoder::new(fs::File::open(path)?);
            io::Read::read_to_end(&mut source, &mut content)?;
            Ok(content)
        }
        _ => fs::read(path),
    }
}

/// The `depends=` entry of a module's `.modinfo`.
pub(super) fn dependencies(module: &[u8]) -> Vec<String> {
    let info = elf::section(module, b".modinfo").unwrap_or_default();
    let depends = info.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"depends="));
    let text = String::from_utf8_lossy(depends.unwrap_or_default());
    text.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

/// Takes the signature off a module (Linux, `scripts/sign-file.c`). Its package
/// was verified when it was downloaded; checking it again in the guest costs
/// time in every boot.
pub(super) fn without_signature(mut module: Vec<u8>) -> Vec<u8> {
    const MAGIC: &[u8] = b"~Module signature appended~\n";
    /// `struct module_signature`, whose last four bytes are the length.
    const INFO: usize = 12;
    let Some(end) = module.strip_suffix(MAGIC).map(<[u8]>::len) else { return module };
    let length = end.checked_sub(4).and_then(|at| module[at..end].first_chunk().copied());
    let length = length.map_or(usize::MAX, |bytes| u32::from_be_bytes(bytes) as usize);
    if let Some(kept) = end.checked_sub(INFO).and_then(|at| at.checked_sub(length)) {
        module.truncate(kept);
    }
    module
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one section, `.modinfo`.
    fn module(info: &[u8]) -> Vec<u8> {
        let names = b"\0.modinfo\0.shstrtab\0";
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let info_at = file.len();
        file.extend(info);
        let names_at = file.len();
        file.extend(names);
        let headers = file.len() as u64;
        let mut header = |name: u32, at: usize, size: usize| {
            let mut header = vec![0; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[0x18..0x20].copy_from_slice(&(at as u64).to_le_bytes());
            header[0x20..0x28].copy_from_slice(&(size as u64).to_le_bytes());
            file.extend(header);
        };
        header(1, info_at, info.len());
        header(10, names_at, names.len());
        file[0x28..0x30].copy_from_slice(&headers.to_le_bytes());
        file[0x3a..0x3c].copy_from_slice(&64_u16.to_le_bytes());
        file[0x3c..0x3e].copy_from_slice(&2_u16.to_le_bytes());
        file[0x3e..0x40].copy_from_slice(&1_u16.to_le_bytes());
        file
    }

    fn tree(modules: &[(&str, &str)], builtin: &str) -> (tempfile::TempDir, ModuleTree) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("kernel/drivers")).unwrap();
        for (name, depends) in modules {
            let info = format!("license=GPL\0depends={depends}\0name=x\0");
            fs::write(dir.path().join("kernel/drivers").join(name), module(info.as_bytes()))
                .unwrap();
        }
        fs::write(dir.path().join("modules.builtin"), builtin).unwrap();
        let tree = ModuleTree::open(dir.path()).unwrap();
        (dir, tree)
    }

    #[test]
    fn modules_come_after_what_they_need_and_once() {
        let (_dir, tree) = tree(
            &[
                ("virtio.ko", "virtio_ring"),
                ("virtio_ring.ko", ""),
                ("virtio-pci.ko", "virtio_ring,virtio"),
                ("virtio_blk.ko", "virtio,virtio-ring"),
                ("virtio_net.ko", "net_failover,virtio"),
                ("net_failover.ko", ""),
                ("virtio_console.ko", "virtio"),
                ("virtio_mem.ko", "virtio"),
                ("virtio_balloon.ko", "virtio"),
                ("9p.ko", "9pnet,netfs"),
                ("9pnet.ko", ""),
                ("9pnet_virtio.ko", "virtio,9pnet"),
                ("netfs.ko", ""),
            ],
            "kernel/fs/ext4/ext4.ko\n",
        );
        let (modules, loaded) = tree.for_guest(Flavour::Cloud).unwrap();
        assert_eq!(modules.disk, ["virtio_ring.ko", "virtio.ko", "virtio_pci.ko", "virtio_blk.ko"]);
        assert_eq!(modules.network, ["net_failover.ko", "virtio_net.ko"]);
        assert_eq!(modules.channel, ["virtio_console.ko"]);
        assert_eq!(modules.memory, ["virtio_mem.ko", "virtio_balloon.ko"]);
        assert!(modules.shares.is_empty(), "the one for clouds has none");
        assert_eq!(loaded.len(), 9);
        let (modules, _) = tree.for_guest(Flavour::Generic).unwrap();
        assert_eq!(modules.shares, ["9pnet.ko", "9pnet_virtio.ko", "netfs.ko", "9p.ko"]);
    }

    #[test]
    fn checksums_come_before_the_disk_where_they_are_a_module() {
        let named = [DISK[0], DISK[1], "virtio_net", "virtio_console", "virtio_mem"];
        let files = named.map(|name| format!("{name}.ko"));
        let mut modules: Vec<_> = files.iter().map(|file| (file.as_str(), "")).collect();
        modules.extend([("virtio_balloon.ko", ""), ("crc32c_generic.ko", "")]);
        let (_dir, tree) = tree(&modules, "kernel/fs/ext4/ext4.ko\n");
        let (modules, _) = tree.for_guest(Flavour::Cloud).unwrap();
        assert_eq!(modules.disk[0], "crc32c_generic.ko");
    }

    #[test]
    fn a_board_without_pci_has_its_driver_where_there_is_one() {
        let named = ["virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio_mem"];
        let files = named.map(|name| format!("{name}.ko"));
        let mut modules: Vec<_> = files.iter().map(|file| (file.as_str(), "virtio")).collect();
        modules.extend([("virtio_balloon.ko", ""), ("virtio.ko", "")]);
        let builtin = "kernel/fs/ext4/ext4.ko\n";
        let disk = |modules: &[(&str, &str)]| {
            let (_dir, tree) = tree(modules, builtin);
            tree.for_guest(Flavour::Cloud).unwrap().0.disk
        };
        assert_eq!(disk(&modules), ["virtio.ko", "virtio_pci.ko", "virtio_blk.ko"]);
        modules.push(("virtio_mmio.ko", "virtio"));
        let found = disk(&modules);
        assert_eq!(found, ["virtio.ko", "virtio_mmio.ko", "virtio_pci.ko", "virtio_blk.ko"]);
    }

    #[test]
    fn a_missing_module_is_named() {
        let (_dir, tree) = tree(&[("virtio_blk.ko", "")], "");
        assert!(tree.for_guest(Flavour::Cloud).err().unwrap().to_string().contains("virtio_pci"));
    }

    #[test]
    fn signatures_are_taken_off() {
        let mut signed = b"module".to_vec();
        signed.extend(b"signature");
        signed.extend([0; 8]);
        signed.extend(9_u32.to_be_bytes());
        signed.extend(b"~Module signature appended~\n");
        assert_eq!(without_signature(signed), b"module");
        assert_eq!(without_signature(b"module".to_vec()), b"module");
        let lying = [&[0xff; 4][..], b"~Module signature appended~\n"].concat();
        assert_eq!(without_signature(lying.clone()), lying);
    }
}
