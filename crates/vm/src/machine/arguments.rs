use std::{
    ffi::OsString,
    fmt::Write as _,
    os::{
        fd::RawFd,
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tandem_guest::wire::{BOOT_ITEM, PORT_NAME};
use tandem_model::{Accelerator, PortMap};

use super::{
    BLOCK, Qemu, Shape,
    kernel_line::kernel_command_line,
    nodes::{disk_node, file_node, node_name, volume_name},
};
use crate::share::{Share, share_tag};

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
    /// The raw disk beneath; none when it came from elsewhere.
    pub(crate) base: Option<&'a Path>,
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
    /// As before, by an operating system that knows nothing of us: with devices
    /// that every one has drivers for.
    Foreign {
        /// UEFI in the place of a BIOS, with the machine's own variables.
        uefi: Option<(&'a Path, &'a Path)>,
    },
}

impl Boot<'_> {
    fn is_foreign(self) -> bool {
        matches!(self, Self::Foreign { .. })
    }

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
    /// Folders of the host.
    pub(crate) shares: &'a [Share],
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
        line.flag("-nodefaults").flag("-no-user-config").flag("-S");
        if !self.boot.is_foreign() {
            // A new life is the supervisor's matter.
            line.flag("-no-reboot");
        }
        line.option("-display", "none").option("-name", self.name);
        line.option(
            "-sandbox",
            "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        );
        self.board(&mut line);
        self.boot(&mut line);
        self.disk(&mut line);
        self.shares(&mut line);
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
        let without = if self.boot.is_foreign() { "" } else { "i8042=off,sata=off,smbus=off," };
        let mut board = format!("q35,vmport=off,smm=off,{without}usb=off,memory-backend=pc.ram");
        if let Boot::Foreign { uefi: Some((code, variables)) } = self.boot {
            let parts = [("uefi-code", code, true), ("uefi-variables", variables, false)];
            for (at, (name, path, read_only)) in parts.into_iter().enumerate() {
                let node = json!({
                    "driver": "raw", "node-name": name, "read-only": read_only,
                    "file": file_node(path),
                });
                line.option("-blockdev", node.to_string());
                let _ = write!(board, ",pflash{at}={name}");
            }
        }
        line.option("-machine", board);
        match self.accelerator {
            Accelerator::Kvm => line.option("-accel", "kvm").option("-cpu", "host"),
            Accelerator::Tcg => line.option("-accel", "tcg,thread=multi").option("-cpu", "max"),
        };
        line.option("-object", self.ram().to_string());
        let Shape { memory, cpus, .. } = self.shape;
        let places = self.shape.places(self.accelerator);
        line.option("-smp", format!("cpus={cpus},maxcpus={places}"));
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
            // A system may wait for a screen, though nobody sees it.
            Boot::Foreign { .. } => drop(line.option("-device", "VGA")),
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
        let kind = if self.boot.is_foreign() { "ide-hd,bus=ide.0" } else { "virtio-blk-pci" };
        let device = format!("{kind},drive={top},rerror=report,werror=report");
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

    fn shares(&self, line: &mut Line) {
        for (at, share) in self.shares.iter().enumerate() {
            let tag = share_tag(at);
            // What a guest makes is to be read on the host, and no more.
            let mut option = OsString::from(format!(
                "local,id={tag},security_model=mapped-xattr,fmode=0644,dmode=0755,multidevs=remap,path="
            ));
            option.push(escaped(&share.path));
            if share.read_only {
                option.push(",readonly=on");
            }
            line.option("-fsdev", option);
            line.option("-device", format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"));
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
        let kind = if self.boot.is_foreign() { "e1000" } else { "virtio-net-pci" };
        line.option("-device", format!("{kind},netdev=net,romfile=,mac={}", self.mac));
    }

    fn talk(&self, line: &mut Line) {
        let Descriptors { qmp, debug, console, channel } = self.descriptors;
        let mut socket = |id: &str, fd: RawFd| {
            line.option("-chardev", format!("socket,id={id},fd={fd}"));
        };
        socket("qmp", qmp);
        socket("debug", debug);
        socket("console", console);
        if self.disk.is_some() && !self.boot.is_foreign() {
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
            shares: &[],
            memory: Memory::Own,
            mac: "52:54:00:00:00:01",
            ports,
            network: disk.is_some(),
            descriptors: Descriptors { qmp: 5, debug: 6, console: 7, channel: 8 },
        };
        arguments.to_vec().into_iter().map(|one| one.into_string().unwrap()).collect()
    }

    fn line_of(line: &[OsString]) -> Vec<String> {
        line.iter().filter_map(|one| one.to_str().map(str::to_owned)).collect()
    }

    fn after<'a>(line: &'a [String], option: &str) -> Vec<&'a str> {
        line.windows(2).filter(|two| two[0] == option).map(|two| two[1].as_str()).collect()
    }

    #[test]
    fn formats_are_explicit_and_paths_are_only_paths() {
        let odd = Path::new("/home/a,b:c=\"d\"/disk.qcow2");
        let layers = [odd.to_owned(), "/home/disk-1.qcow2".into()];
        let volumes = [PathBuf::from("/v,1/disk.raw")];
        let disk = Disk { base: Some(Path::new("/base.ext4")), layers: &layers, volumes: &volumes };
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
            line(Some(Disk { base: Some(Path::new("/b")), layers: &layers, volumes: &[] }), &ports);
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
            disk: Some(Disk { base: Some(Path::new("/b")), layers: &layers, volumes: &[] }),
            shares: &[],
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

        // A disk from elsewhere: with devices that all know, and no agent.
        arguments.boot = Boot::Foreign { uefi: None };
        arguments.disk = Some(Disk { base: None, layers: &layers, volumes: &[] });
        let line = arguments.to_vec();
        assert!(!has(line.clone(), "-incoming") && !has(line.clone(), "-no-reboot"));
        let all: Vec<_> = line.iter().filter_map(|one| one.to_str()).collect();
        assert!(all.iter().any(|one| one.starts_with("ide-hd,bus=ide.0,drive=d")));
        assert!(!all.iter().any(|one| one.contains("virtserialport") || one.contains("sata=off")));
        assert!(!all.iter().any(|one| one.contains("pflash")));
        let disk = all.iter().find(|one| one.contains("qcow2")).unwrap();
        assert!(disk.contains("\"backing\":null"), "QEMU believes no name in a header: {disk}");
        arguments.boot = Boot::Foreign { uefi: Some((Path::new("/c,1"), Path::new("/v"))) };
        let line = arguments.to_vec();
        let all: Vec<_> = line.iter().filter_map(|one| one.to_str()).collect();
        assert!(
            after(&line_of(&line), "-machine")[0]
                .ends_with(",pflash0=uefi-code,pflash1=uefi-variables")
        );
        let code =
            all.iter().find(|one| one.contains("uefi-code") && one.starts_with('{')).unwrap();
        assert!(code.contains("\"read-only\":true") && code.contains("/c,1"), "{code}");
    }

    #[test]
    fn a_folder_of_the_host_gives_no_privileges() {
        let mut line = Line::default();
        let shares = [
            Share { path: "/a,b".into(), read_only: true },
            Share { path: "/c".into(), read_only: false },
        ];
        let qemu = Qemu { program: "qemu".into(), firmware: "/fw/qboot.rom".into() };
        let arguments = Arguments {
            qemu: &qemu,
            accelerator: Accelerator::Tcg,
            shape: Shape { memory: 256 << 20, cpus: 1, ..Shape::default() },
            name: "tandem-0123",
            boot: Boot::Loader { item: None },
            disk: None,
            shares: &shares,
            memory: Memory::Own,
            mac: "",
            ports: &[],
            network: false,
            descriptors: Descriptors { qmp: 5, debug: 6, console: 7, channel: 8 },
        };
        arguments.shares(&mut line);
        let first = line.0[1].to_str().unwrap();
        assert!(first.contains("security_model=mapped-xattr"), "{first}");
        assert!(first.ends_with("path=/a,,b,readonly=on"), "{first}");
        assert_eq!(line.0[3], "virtio-9p-pci,fsdev=share0,mount_tag=share0");
        assert!(line.0[5].to_str().unwrap().ends_with("path=/c"));
    }

    #[test]
    fn a_probe_has_neither_disk_nor_network() {
        let line = line(None, &[]);
        assert!(after(&line, "-blockdev").is_empty() && after(&line, "-netdev").is_empty());
    }
}
