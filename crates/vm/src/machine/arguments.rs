use std::{
    ffi::OsString,
    fmt::Write as _,
    os::fd::RawFd,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tandem_backend::BackendError;
use tandem_guest::wire::{BOOT_ITEM, PORT_NAME};
use tandem_model::{Accelerator, PortMap};

use super::{
    Access, BLOCK, Board, Handed, Qemu, Shape,
    kernel_line::kernel_command_line,
    nodes::{
        disk_node, escaped, file_node, layer_set, node_name, part_node, unlocked, volume_name,
    },
};
use crate::{
    disk::Place,
    share::{Share, share_tag},
};

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
    /// Where each of several disks lies in it; without, it is one.
    pub(crate) parts: &'a [Place],
    /// QEMU locks its layers. An older one stands in its own way with that: it
    /// keeps its lock for writing on a layer that it has left for as long as
    /// its machine stands still. An instance has one machine at a time anyway.
    pub(crate) locks: bool,
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
    /// The same of a file that is this machine's alone, for a QEMU that opens it
    /// for writing.
    Copy(&'a Path),
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
    pub(crate) board: Board,
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
    /// The command line without the program. What QEMU opens is handed to it.
    ///
    /// # Errors
    /// When one of the files cannot be opened.
    pub(crate) fn to_vec(&self, handed: &mut Handed) -> Result<Vec<OsString>, BackendError> {
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
        self.board(&mut line, handed)?;
        self.boot(&mut line, handed)?;
        self.disk(&mut line, handed)?;
        self.shares(&mut line);
        self.network(&mut line);
        self.talk(&mut line);
        if self.boot.is_over() {
            // The state comes over the monitor.
            line.option("-incoming", "defer");
        }
        for option in handed.options() {
            line.option("-add-fd", option);
        }
        Ok(line.0)
    }

    fn board(&self, line: &mut Line, handed: &mut Handed) -> Result<(), BackendError> {
        // What no guest of ours looks at is not built in.
        let without = if self.boot.is_foreign() { "" } else { "i8042=off,sata=off,smbus=off," };
        let mut board = match self.board {
            Board::Q35 => format!("q35,vmport=off,smm=off,{without}usb=off"),
            // The kernel finds the devices by ACPI. What hangs on a second
            // interrupt controller is not heard under software emulation.
            Board::Microvm => {
                "microvm,acpi=on,ioapic2=off,x-option-roms=off,auto-kernel-cmdline=off".to_owned()
            }
        };
        board += ",memory-backend=pc.ram";
        if let Boot::Foreign { uefi: Some((code, variables)) } = self.boot {
            let parts =
                [("uefi-code", code, Access::Read), ("uefi-variables", variables, Access::Write)];
            for (at, (name, path, access)) in parts.into_iter().enumerate() {
                let node = json!({
                    "driver": "raw", "node-name": name, "read-only": access == Access::Read,
                    "file": file_node(&handed.disk(path, access)?),
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
        line.option("-object", self.ram(handed)?.to_string());
        let Shape { memory, cpus, .. } = self.shape;
        let places = self.shape.places(self.accelerator);
        line.option("-smp", format!("cpus={cpus},maxcpus={places}"));
        if self.shape.room == 0 {
            line.option("-m", format!("{}M", memory >> 20));
        } else {
            self.room(line);
        }
        Ok(())
    }

    /// Memory that comes (virtio-mem) and goes (virtio-mem, and the balloon
    /// below what the machine began with).
    fn room(&self, line: &mut Line) {
        let Shape { memory, plugged, .. } = self.shape;
        let room = self.shape.device();
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
    fn ram(&self, handed: &mut Handed) -> Result<Value, BackendError> {
        let size = self.shape.memory;
        let file = |path: PathBuf, share: bool| {
            json!({
                "qom-type": "memory-backend-file", "id": "pc.ram", "size": size,
                "mem-path": path, "share": share,
            })
        };
        Ok(match self.memory {
            Memory::Own => json!({"qom-type": "memory-backend-ram", "id": "pc.ram", "size": size}),
            Memory::Shared(path) => file(handed.given(path)?, true),
            Memory::Copy(path) => file(handed.given(path)?, false),
            Memory::CopyOnWrite(path) => {
                let mut ram = file(handed.shown(path)?, false);
                // The file is for reading; what the guest writes is its own.
                ram["readonly"] = true.into();
                ram["rom"] = "off".into();
                ram
            }
        })
    }

    fn boot(&self, line: &mut Line, handed: &mut Handed) -> Result<(), BackendError> {
        match self.boot {
            Boot::Kernel { kernel, initrd } => {
                line.option("-bios", &self.qemu.firmware);
                line.option("-kernel", handed.shown(kernel)?);
                if let Some(initrd) = initrd {
                    line.option("-initrd", handed.given(initrd)?);
                }
                let mut text = kernel_command_line(self.accelerator, self.shape.room > 0);
                if let Some(clock) = self.board.trial_clock(self.accelerator) {
                    let _ = write!(text, " tsc_early_khz={clock}");
                }
                line.option("-append", text);
            }
            Boot::Foreign { .. } => {
                // A system may wait for a screen, though nobody sees it.
                line.option("-device", "VGA");
                // Where its kernel has a driver for this, it tells that it gives
                // up; waiting for somebody to look helps nobody.
                line.option("-device", "pvpanic").option("-action", "panic=exit-failure");
            }
            // QEMU's own firmware boots the first disk.
            Boot::Loader { item } => {
                if let Some(item) = item {
                    let mut option = OsString::from(format!("name={BOOT_ITEM},file="));
                    option.push(handed.given(item)?);
                    line.option("-fw_cfg", option);
                }
            }
        }
        Ok(())
    }

    fn disk(&self, line: &mut Line, handed: &mut Handed) -> Result<(), BackendError> {
        let Some(disk) = self.disk else { return Ok(()) };
        let base = disk.base.map(|base| handed.disk(base, Access::Read)).transpose()?;
        let mut layers = Vec::new();
        for (at, layer) in disk.layers.iter().enumerate() {
            let is_top = at + 1 == disk.layers.len();
            let access = if is_top { Access::Write } else { Access::Read };
            layers.push(handed.set(layer_set(layer), layer, access)?);
        }
        let mut node = disk_node(base.as_deref(), &layers);
        if !disk.locks {
            unlocked(&mut node);
        }
        if let Some(top) = disk.layers.last() {
            node["node-name"] = node_name(top).into();
        }
        line.option("-blockdev", node.to_string());
        let top = disk.layers.last().map(|layer| node_name(layer)).unwrap_or_default();
        if disk.parts.is_empty() {
            let virtio = self.board.device("virtio-blk", 0);
            let kind = if self.boot.is_foreign() { "ide-hd,bus=ide.0" } else { virtio.as_str() };
            let queues = if self.boot.is_foreign() { String::new() } else { self.queues() };
            line.option("-device", format!("{kind},drive={top}{queues},{ERRORS}"));
        }
        for (at, place) in disk.parts.iter().enumerate() {
            let mut node = part_node(top.as_str(), *place);
            node["node-name"] = format!("part{at}").into();
            line.option("-blockdev", node.to_string());
            // Each writes to the same file, to a place of its own.
            let device = format!("ide-hd,bus=ide.{at},drive=part{at},share-rw=on,{ERRORS}");
            line.option("-device", device);
        }
        for (at, volume) in disk.volumes.iter().enumerate() {
            let name = volume_name(at);
            let file = file_node(&handed.disk(volume, Access::Write)?);
            let node = json!({"driver": "raw", "node-name": name, "file": file});
            line.option("-blockdev", node.to_string());
            let kind = self.board.device("virtio-blk", FIRST_OF_VOLUMES + at);
            let queues = self.queues();
            let device = format!("{kind},drive={name},serial={name}{queues},{ERRORS}");
            line.option("-device", device);
        }
        Ok(())
    }

    /// A queue for each processor that may come. QEMU's own number is that of
    /// the processors at the start, which is another one when the machine goes
    /// on from its saved memory with those that came.
    fn queues(&self) -> String {
        let Shape { cpus, most_cpus, .. } = self.shape;
        format!(",num-queues={}", most_cpus.max(cpus))
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
            let PortMap { host_ip, host_port, port, protocol, .. } = port;
            let _ = write!(user, ",hostfwd={protocol}:{host_ip}:{host_port}-10.0.2.15:{port}");
        }
        line.option("-netdev", user);
        let (kind, rom) = match self.board {
            _ if self.boot.is_foreign() => ("e1000".to_owned(), ",romfile="),
            Board::Q35 => (self.board.device("virtio-net", 1), ",romfile="),
            Board::Microvm => (self.board.device("virtio-net", 1), ""),
        };
        line.option("-device", format!("{kind},netdev=net{rom},mac={}", self.mac));
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
            let kind = self.board.device("virtio-serial", 2);
            line.option("-device", format!("{kind},max_ports=2"));
            let port = format!("virtserialport,nr=1,chardev=channel,name={PORT_NAME}");
            line.option("-device", port);
        }
        line.option("-mon", "chardev=qmp,mode=control");
        line.option("-device", "isa-debugcon,iobase=0xe9,chardev=debug");
        line.option("-serial", "chardev:console");
    }
}

/// A full disk of the host is an error to the app, as in a container; QEMU's
/// way, a machine that stops without a word, helps nobody.
const ERRORS: &str = "rerror=report,werror=report";

/// The place of the first volume, after disk, network and channel.
const FIRST_OF_VOLUMES: usize = 3;

/// The device that brings memory.
pub(crate) const MORE: &str = "more0";

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
#[path = "arguments_tests.rs"]
mod tests;
