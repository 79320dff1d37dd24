use std::{
    ffi::OsString,
    fmt::Write as _,
    os::{
        fd::RawFd,
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tandem_guest::wire::{BOOT_ITEM, PORT_NAME};
use tandem_model::{Accelerator, PortMap, Resources};

use super::{
    Qemu,
    kernel_line::kernel_command_line,
    nodes::{disk_node, file_node, node_name, volume_name},
};

/// Memory of a machine without a limit of its own, bytes.
const DEFAULT_MEMORY: u64 = 512 << 20;

/// The least that the kernel and our init come up with, bytes.
pub(crate) const LEAST_MEMORY: u64 = 128 << 20;

/// The least with which a whole operating system comes up, bytes.
pub(crate) const LEAST_FOR_SYSTEM: u64 = 256 << 20;

/// The largest number of virtual processors.
const MOST_CPUS: u32 = 64;

/// How large a machine is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    /// Memory in bytes, whole MiB.
    pub(crate) memory: u64,
    /// Virtual processors.
    pub(crate) cpus: u32,
    /// Memory that may come to it while it runs, bytes.
    #[serde(default)]
    pub(crate) room: u64,
    /// How much of that it has now, bytes.
    #[serde(default)]
    pub(crate) plugged: u64,
    /// The most processors that it may have; at least `cpus`.
    #[serde(default)]
    pub(crate) most_cpus: u32,
}

/// Memory comes and goes in such pieces: the kernel's own, bytes.
pub(crate) const BLOCK: u64 = 2 << 20;

impl Shape {
    /// The machine for these limits. A part of a processor needs a whole one.
    ///
    /// # Errors
    /// A sentence when no machine is so small or so large.
    pub(crate) fn of(resources: &Resources, room: &Resources, least: u64) -> Result<Self, String> {
        let memory = resources.memory_bytes.unwrap_or(DEFAULT_MEMORY);
        if memory < least {
            let least = least >> 20;
            return Err(format!("such a virtual machine needs {least} MB of memory at least"));
        }
        let cpus = resources.milli_cpus.unwrap_or(1000).div_ceil(1000);
        let most_cpus = room.milli_cpus.map_or(cpus, |milli| milli.div_ceil(1000));
        if cpus.max(most_cpus) > MOST_CPUS {
            return Err(format!("a virtual machine has {MOST_CPUS} processors at most"));
        }
        let most = room.memory_bytes.unwrap_or(memory);
        if most_cpus < cpus || most < memory {
            return Err("it has more at its start than it may grow to".to_owned());
        }
        let memory = memory & !((1 << 20) - 1);
        // With room for nothing it may still shrink: the devices are there.
        let bytes = (most.saturating_sub(memory)).next_multiple_of(BLOCK).max(BLOCK);
        let room = if room.memory_bytes.is_some() { bytes } else { 0 };
        Ok(Self { memory, cpus, room, plugged: 0, most_cpus })
    }
}

/// Sockets that QEMU inherits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Descriptors {
    pub(crate) qmp: RawFd,
    pub(crate) debug: RawFd,
    pub(crate) console: RawFd,
    pub(crate) channel: RawFd,
}

/// An instance's disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk<'a> {
    /// The raw disk beneath.
    pub(crate) base: &'a Path,
    /// The layers on it, the lowest first.
    pub(crate) layers: &'a [PathBuf],
    /// Raw disks of volumes.
    pub(crate) volumes: &'a [PathBuf],
}

/// What the guest's memory is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Memory<'a> {
    /// Memory of the process.
    Own,
    /// A file that follows what the guest writes: the making of a template.
    Shared(&'a Path),
    /// A file's pages until the guest writes to them: a start from a template.
    CopyOnWrite(&'a Path),
}

/// How a machine comes up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Boot<'a> {
    /// The firmware enters a kernel of the host's at once.
    Kernel {
        kernel: &'a Path,
        /// `None` when the guest has booted already.
        initrd: Option<&'a Path>,
    },
    /// The disk's own boot loader does it.
    Loader {
        /// The boot file, which the guest reads from QEMU; `None` when it has
        /// booted already.
        item: Option<&'a Path>,
    },
}

impl Boot<'_> {
    /// Whether the guest has booted already, and its state is to come.
    fn is_over(self) -> bool {
        matches!(self, Self::Kernel { initrd: None, .. } | Self::Loader { item: None })
    }
}

/// Everything that a QEMU command line is made of.
#[derive(Debug, Clone)]
pub(crate) struct Arguments<'a> {
    pub(crate) qemu: &'a Qemu,
    pub(crate) accelerator: Accelerator,
    pub(crate) shape: Shape,
    pub(crate) name: &'a str,
    pub(crate) boot: Boot<'a>,
    /// `None` for a probe.
    pub(crate) disk: Option<Disk<'a>>,
    pub(crate) memory: Memory<'a>,
    /// Address of the network device, e.g. `52:54:00:12:34:56`.
    pub(crate) mac: &'a str,
    /// Ports to forward.
    pub(crate) ports: &'a [PortMap],
    /// Whether it has a network device.
    pub(crate) network: bool,
    pub(crate) descriptors: Descriptors,
}

impl Arguments<'_> {
    /// The command line without the program.
    pub(crate) fn to_vec(&self) -> Vec<OsString> {
        let mut line = Line::default();
        line.flag("-nodefaults").flag("-no-user-config").flag("-no-reboot").flag("-S");
        line.option("-display", "none").option("-name", self.name);
        line.option(
            "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        );
        self.board(&mut line);
        self.boot(&mut line);
        self.disk(&mut line);
        self.network(&mut line);
        self.talk(&mut line);
        if self.boot.is_over() {
            // The state comes over the monitor.
            line.option("-incoming", "defer");
        }
        line.0
    }

    fn board(&self, line: &mut Line) {
        // What no guest of ours looks at is not built in.
        line.option(
            "-machine",
            "q35,vmport=off,smm=off,i8042=off,sata=off,smbus=off,usb=off,memory-backend=pc.ram",
        );
        match self.accelerator {
            Accelerator::Kvm => line.option("-accel", "kvm").option("-cpu", "host"),
            Accelerator::Tcg => line.option("-accel", "tcg,thread=multi").option("-cpu", "max"),
        };
        line.option("-object", self.ram().to_string());
        let Shape { memory, cpus, most_cpus, .. } = self.shape;
        line.option("-smp", format!("cpus={cpus},maxcpus={}", most_cpus.max(cpus)));
        if self.shape.room == 0 {
            line.option("-m", format!("{}M", memory >> 20));
        } else {
            self.room(line);
        }
    }

    /// Memory that comes (virtio-mem) and goes (virtio-mem, and the balloon
    /// below what the machine began with).
    fn room(&self, line: &mut Line) {
        let Shape { memory, room, plugged, .. } = self.shape;
        line.option("-m", format!("size={}M,maxmem={}M", memory >> 20, (memory + room) >> 20));
        let more = json!({
            "qom-type": "memory-backend-ram", "id": "more", "size": room, "reserve": false,
        });
        line.option("-object", more.to_string());
        let device = json!({
            "driver": "virtio-mem-pci",
            "id": MORE,
            "memdev": "more",
            "block-size": BLOCK,
            "requested-size": plugged,
        });
        line.option("-device", device.to_string());
        line.option("-device", "virtio-balloon-pci,id=balloon");
    }

    /// The guest's memory. Its name is the one that it has without a word about
    /// it, so that a saved state fits whatever the memory is.
    fn ram(&self) -> Value {
        let size = self.shape.memory;
        match self.memory {
            Memory::Own => json!({"qom-type": "memory-backend-ram", "id": "pc.ram", "size": size}),
            Memory::Shared(file) | Memory::CopyOnWrite(file) => json!({
                "qom-type": "memory-backend-file",
                "id": "pc.ram",
                "size": size,
                "mem-path": file,
                "share": matches!(self.memory, Memory::Shared(_)),
            }),
        }
    }

    fn boot(&self, line: &mut Line) {
        match self.boot {
            Boot::Kernel { kernel, initrd } => {
                line.option("-bios", &self.qemu.firmware);
                line.option("-kernel", kernel);
                if let Some(initrd) = initrd {
                    line.option("-initrd", initrd);
                }
                let text = kernel_command_line(self.accelerator, self.shape.room > 0);
                line.option("-append", text);
            }
            // QEMU's own firmware boots the first disk.
            Boot::Loader { item } => {
                if let Some(item) = item {
                    let mut option = OsString::from(format!("name={BOOT_ITEM},file="));
                    option.push(escaped(item));
                    line.option("-fw_cfg", option);
                }
            }
        }
    }

    fn disk(&self, line: &mut Line) {
        let Some(disk) = self.disk else { return };
        let mut node = disk_node(disk.base, disk.layers);
        if let Some(top) = disk.layers.last() {
            node["node-name"] = node_name(top).into();
        }
        line.option("-blockdev", node.to_string());
        // A full disk of the host is an error to the app, as in a container;
        // QEMU's way, a machine that stops without a word, helps nobody.
        let top = disk.layers.last().map(|layer| node_name(layer)).unwrap_or_default();
        let device = format!("virtio-blk-pci,drive={top},rerror=report,werror=report");
        line.option("-device", device);
        for (at, volume) in disk.volumes.iter().enumerate() {
            let name = volume_name(at);
            let node = json!({"driver": "raw", "node-name": name, "file": file_node(volume)});
            line.option("-blockdev", node.to_string());
            let device =
                format!("virtio-blk-pci,drive={name},serial={name},rerror=report,werror=report");
            line.option("-device", device);
        }
    }

    fn network(&self, line: &mut Line) {
        if !self.network {
            return;
        }
        let mut user = String::from("user,id=net,ipv6=off");
        for port in self.ports {
            let PortMap { host_ip, host_port, port, protocol } = port;
            let _ = write!(user, ",hostfwd={protocol}:{host_ip}:{host_port}-10.0.2.15:{port}");
        }
        line.option("-netdev", user);
        line.option("-device", format!("virtio-net-pci,netdev=net,romfile=,mac={}", self.mac));
    }

    fn talk(&self, line: &mut Line) {
        let Descriptors { qmp, debug, console, channel } = self.descriptors;
        let mut socket = |id: &str, fd: RawFd| {
            line.option("-chardev", format!("socket,id={id},fd={fd}"));
        };
        socket("qmp", qmp);
        socket("debug", debug);
        socket("console", console);
        if self.disk.is_some() {
            socket("channel", channel);
            line.option("-device", "virtio-serial-pci,max_ports=2");
            let port = format!("virtserialport,nr=1,chardev=channel,name={PORT_NAME}");
            line.option("-device", port);
        }
        line.option("-mon", "chardev=qmp,mode=control");
        line.option("-device", "isa-debugcon,iobase=0xe9,chardev=debug");
        line.option("-serial", "chardev:console");
    }
}

/// The device that brings memory.
pub(crate) const MORE: &str = "more0";

/// A path in an option that is no JSON: there a comma separates, and two are
/// one.
fn escaped(path: &Path) -> OsString {
    let bytes = path.as_os_str().as_bytes();
    let doubled = |byte: &u8| if *byte == b',' { vec![b',', b','] } else { vec![*byte] };
    OsString::from_vec(bytes.iter().flat_map(doubled).collect())
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn flag(&mut self, flag: &str) -> &mut Self {
        self.0.push(flag.into());
        self
    }

    fn option(&mut self, option: &str, value: impl Into<OsString>) -> &mut Self {
        self.0.push(option.into());
        self.0.push(value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(disk: Option<Disk<'_>>, ports: &[PortMap]) -> Vec<String> {
        let qemu = Qemu { program: "qemu".into(), firmware: "/fw/qboot.rom".into() };
        let arguments = Arguments {
            qemu: &qemu,
            accelerator: Accelerator::Tcg,
            shape: Shape { memory: 256 << 20, cpus: 2, ..Shape::default() },
            name: "tandem-0123",
            boot: Boot::Kernel {
                kernel: Path::new("/k/vmlinux"),
                initrd: Some(Path::new("/i/initrd")),
            },
            disk,
            memory: Memory::Own,
            mac: "52:54:00:00:00:01",
            ports,
            network: disk.is_some(),
            descriptors: Descriptors { qmp: 5, debug: 6, console: 7, channel: 8 },
        };
        arguments.to_vec().into_iter().map(|one| one.into_string().unwrap()).collect()
    }

    fn after<'a>(line: &'a [String], option: &str) -> Vec<&'a str> {
        line.windows(2).filter(|two| two[0] == option).map(|two| two[1].as_str()).collect()
    }

    #[test]
    fn formats_are_explicit_and_paths_are_only_paths() {
        let odd = Path::new("/home/a,b:c=\"d\"/disk.qcow2");
        let layers = [odd.to_owned(), "/home/disk-1.qcow2".into()];
        let volumes = [PathBuf::from("/v,1/disk.raw")];
        let disk = Disk { base: Path::new("/base.ext4"), layers: &layers, volumes: &volumes };
        let line = line(Some(disk), &[]);
        let node: serde_json::Value = serde_json::from_str(after(&line, "-blockdev")[0]).unwrap();
        assert_eq!(node["driver"], "qcow2");
        assert_eq!((&node["node-name"], &node["read-only"]), (&json!("disk-1"), &Value::Null));
        let below = &node["backing"];
        assert_eq!(below["file"]["filename"], odd.to_str().unwrap());
        assert_eq!((&below["driver"], &below["read-only"]), (&json!("qcow2"), &json!(true)));
        assert_eq!(below["backing"]["driver"], "raw");
        assert_eq!(below["backing"]["read-only"], true);
        let volume: Value = serde_json::from_str(after(&line, "-blockdev")[1]).unwrap();
        assert_eq!((&volume["driver"], &volume["node-name"]), (&json!("raw"), &json!("volume0")));
        assert_eq!(volume["file"]["filename"], "/v,1/disk.raw");
        assert!(!line.iter().any(|one| one == "-drive" || one == "-hda"));
    }

    #[test]
    fn nothing_listens_but_the_published_ports() {
        let ports = ["8080:80".parse().unwrap(), "0.0.0.0:90:91/udp".parse().unwrap()];
        let layers = ["/d".into()];
        let line =
            line(Some(Disk { base: Path::new("/b"), layers: &layers, volumes: &[] }), &ports);
        assert_eq!(
            after(&line, "-netdev"),
            [
                "user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:8080-10.0.2.15:80,hostfwd=udp:0.0.0.0:90-10.0.2.15:91"
            ]
        );
        assert!(after(&line, "-chardev").iter().all(|one| one.contains(",fd=")), "{line:?}");
        assert!(line.contains(&"-nodefaults".to_owned()) && line.contains(&"-S".to_owned()));
        assert!(after(&line, "-sandbox")[0].starts_with("on,"));
    }

    #[test]
    fn a_disk_that_boots_itself_gets_no_kernel_and_its_boot_file_by_name() {
        let mut text = Line::default();
        let qemu = Qemu { program: "qemu".into(), firmware: "/fw/qboot.rom".into() };
        let layers = ["/d".into()];
        let mut arguments = Arguments {
            qemu: &qemu,
            accelerator: Accelerator::Tcg,
            shape: Shape { memory: 256 << 20, cpus: 1, ..Shape::default() },
            name: "tandem-0123",
            boot: Boot::Loader { item: Some(Path::new("/h,1/boot")) },
            disk: Some(Disk { base: Path::new("/b"), layers: &layers, volumes: &[] }),
            memory: Memory::Own,
            mac: "52:54:00:00:00:01",
            ports: &[],
            network: true,
            descriptors: Descriptors { qmp: 5, debug: 6, console: 7, channel: 8 },
        };
        arguments.boot(&mut text);
        assert_eq!(text.0, ["-fw_cfg", "name=opt/tandem/boot,file=/h,,1/boot"]);
        let has = |line: Vec<OsString>, word: &str| line.iter().any(|one| one == word);
        assert!(!has(arguments.to_vec(), "-incoming") && !has(arguments.to_vec(), "-kernel"));
        arguments.boot = Boot::Loader { item: None };
        assert!(has(arguments.to_vec(), "-incoming") && !has(arguments.to_vec(), "-fw_cfg"));
    }

    #[test]
    fn a_probe_has_neither_disk_nor_network() {
        let line = line(None, &[]);
        assert!(after(&line, "-blockdev").is_empty() && after(&line, "-netdev").is_empty());
    }

    #[test]
    fn limits_become_a_machine() {
        let of = |memory_bytes, milli_cpus| {
            Shape::of(
                &Resources { memory_bytes, milli_cpus, pids: None },
                &Resources::default(),
                LEAST_MEMORY,
            )
        };
        let shape = |memory, cpus| Shape { memory, cpus, most_cpus: cpus, ..Shape::default() };
        assert_eq!(of(None, None), Ok(shape(512 << 20, 1)));
        assert_eq!(of(Some((256 << 20) + 5), Some(1500)), Ok(shape(256 << 20, 2)));
        assert!(of(Some(64 << 20), None).is_err());
        assert!(of(None, Some(1_000_000)).is_err());

        let room = |memory, cpus| Resources {
            memory_bytes: Some(memory),
            milli_cpus: Some(cpus),
            pids: None,
        };
        let plain = Resources::default();
        let grown = Shape::of(&plain, &room(1 << 30, 4000), LEAST_MEMORY).unwrap();
        assert_eq!((grown.room, grown.most_cpus), (512 << 20, 4));
        let less = Shape::of(&plain, &room(256 << 20, 4000), LEAST_MEMORY);
        assert!(less.is_err(), "less than it begins with");
        let only_down = Shape::of(&plain, &room(512 << 20, 1000), LEAST_MEMORY).unwrap();
        assert_eq!(only_down.room, BLOCK, "the balloon needs no room");
    }
}
