use std::{ffi::OsString, fmt::Write as _, os::fd::RawFd, path::Path};

use serde_json::json;
use tandem_guest::wire::PORT_NAME;
use tandem_model::{Accelerator, PortMap, Resources};

use super::Qemu;

/// Memory of a machine without a limit of its own, bytes.
const DEFAULT_MEMORY: u64 = 512 << 20;

/// The least that the kernel and our init come up with, bytes.
const LEAST_MEMORY: u64 = 128 << 20;

/// The largest number of virtual processors.
const MOST_CPUS: u32 = 64;

/// How large a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Memory in bytes, whole MiB.
    pub(crate) memory: u64,
    /// Virtual processors.
    pub(crate) cpus: u32,
}

impl Shape {
    /// The machine for these limits. A part of a processor needs a whole one.
    ///
    /// # Errors
    /// A sentence when no machine is so small or so large.
    pub(crate) fn of(resources: &Resources) -> Result<Self, String> {
        let memory = resources.memory_bytes.unwrap_or(DEFAULT_MEMORY);
        if memory < LEAST_MEMORY {
            return Err(format!(
                "a virtual machine needs {} MB of memory at least",
                LEAST_MEMORY >> 20
            ));
        }
        let cpus = resources.milli_cpus.unwrap_or(1000).div_ceil(1000);
        if cpus > MOST_CPUS {
            return Err(format!("a virtual machine has {MOST_CPUS} processors at most"));
        }
        Ok(Self { memory: memory & !((1 << 20) - 1), cpus })
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

/// Everything that a QEMU command line is made of.
#[derive(Debug, Clone)]
pub(crate) struct Arguments<'a> {
    pub(crate) qemu: &'a Qemu,
    pub(crate) accelerator: Accelerator,
    pub(crate) shape: Shape,
    pub(crate) name: &'a str,
    pub(crate) kernel: &'a Path,
    pub(crate) initrd: &'a Path,
    /// The instance's overlay and the base beneath it; `None` for a probe.
    pub(crate) disk: Option<(&'a Path, &'a Path)>,
    /// Ports to forward.
    pub(crate) ports: &'a [PortMap],
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
        line.0
    }

    fn board(&self, line: &mut Line) {
        // What no guest of ours looks at is not built in.
        line.option("-machine", "q35,vmport=off,smm=off,i8042=off,sata=off,smbus=off,usb=off");
        match self.accelerator {
            Accelerator::Kvm => line.option("-accel", "kvm").option("-cpu", "host"),
            Accelerator::Tcg => line.option("-accel", "tcg,thread=multi").option("-cpu", "max"),
        };
        line.option("-m", format!("{}M", self.shape.memory >> 20));
        line.option("-smp", self.shape.cpus.to_string());
    }

    fn boot(&self, line: &mut Line) {
        line.option("-bios", &self.qemu.firmware);
        line.option("-kernel", self.kernel).option("-initrd", self.initrd);
        line.option("-append", kernel_command_line(self.accelerator));
    }

    fn disk(&self, line: &mut Line) {
        let Some((overlay, base)) = self.disk else { return };
        // The paths go in as JSON: no character in them has a meaning. So do
        // the formats: QEMU guesses none from what a guest wrote.
        let file = |path: &Path| json!({"driver": "file", "filename": path, "aio": "threads"});
        let node = json!({
            "node-name": "disk",
            "driver": "qcow2",
            "file": file(overlay),
            "backing": {"driver": "raw", "read-only": true, "file": file(base)},
        });
        line.option("-blockdev", node.to_string());
        // A full disk of the host is an error to the app, as in a container;
        // QEMU's way, a machine that stops without a word, helps nobody.
        line.option("-device", "virtio-blk-pci,drive=disk,rerror=report,werror=report");
    }

    fn network(&self, line: &mut Line) {
        if self.disk.is_none() {
            return;
        }
        let mut user = String::from("user,id=net,ipv6=off");
        for port in self.ports {
            let PortMap { host_ip, host_port, port, protocol } = port;
            let _ = write!(user, ",hostfwd={protocol}:{host_ip}:{host_port}-10.0.2.15:{port}");
        }
        line.option("-netdev", user);
        line.option("-device", "virtio-net-pci,netdev=net,romfile=");
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

/// What the guest's kernel is told (Linux,
/// `Documentation/admin-guide/kernel-parameters.rst`).
fn kernel_command_line(accelerator: Accelerator) -> String {
    let mut line = vec![
        // Warnings and worse go to the console; a panic ends the machine.
        "console=ttyS0 quiet loglevel=4 8250.nr_uarts=1 panic=-1 reboot=t",
        // The host's memory is fresh, and its random numbers are good.
        "init_on_alloc=0 random.trust_cpu=on random.trust_bootloader=on",
        // Self-tests of drivers that nobody changed, and locks for more
        // processors than there are.
        "cryptomgr.notests nokaslr",
        "audit=0 ipv6.disable_ipv6=1",
    ];
    match accelerator {
        // Software emulation gives no isolation that mitigations could save,
        // and its time stamp counter is the host's.
        Accelerator::Tcg => line.push("mitigations=off tsc=reliable"),
        Accelerator::Kvm => {}
    }
    line.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(disk: Option<(&Path, &Path)>, ports: &[PortMap]) -> Vec<String> {
        let qemu = Qemu { program: "qemu".into(), firmware: "/fw/qboot.rom".into() };
        let arguments = Arguments {
            qemu: &qemu,
            accelerator: Accelerator::Tcg,
            shape: Shape { memory: 256 << 20, cpus: 2 },
            name: "tandem-0123",
            kernel: Path::new("/k/vmlinux"),
            initrd: Path::new("/i/initrd"),
            disk,
            ports,
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
        let line = line(Some((odd, Path::new("/base.ext4"))), &[]);
        let node: serde_json::Value = serde_json::from_str(after(&line, "-blockdev")[0]).unwrap();
        assert_eq!(node["driver"], "qcow2");
        assert_eq!(node["file"]["filename"], odd.to_str().unwrap());
        assert_eq!(node["backing"]["driver"], "raw");
        assert_eq!(node["backing"]["read-only"], true);
        assert!(!line.iter().any(|one| one == "-drive" || one == "-hda"));
    }

    #[test]
    fn nothing_listens_but_the_published_ports() {
        let ports = ["8080:80".parse().unwrap(), "0.0.0.0:90:91/udp".parse().unwrap()];
        let line = line(Some((Path::new("/d"), Path::new("/b"))), &ports);
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
    fn a_probe_has_neither_disk_nor_network() {
        let line = line(None, &[]);
        assert!(after(&line, "-blockdev").is_empty() && after(&line, "-netdev").is_empty());
    }

    #[test]
    fn limits_become_a_machine() {
        let of = |memory_bytes, milli_cpus| {
            Shape::of(&Resources { memory_bytes, milli_cpus, pids: None })
        };
        assert_eq!(of(None, None), Ok(Shape { memory: 512 << 20, cpus: 1 }));
        assert_eq!(of(Some((256 << 20) + 5), Some(1500)), Ok(Shape { memory: 256 << 20, cpus: 2 }));
        assert!(of(Some(64 << 20), None).is_err());
        assert!(of(None, Some(1_000_000)).is_err());
    }
}
