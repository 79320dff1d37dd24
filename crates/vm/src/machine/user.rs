//! Who QEMU is when root starts it: a user of its own for each machine, who has
//! no files, no capabilities and no other process. An ordinary user's QEMU is
//! that user.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use tandem_model::{Accelerator, InstanceId, PortMap};

use super::Qemu;

/// The first of the numbers for machines. Nobody gives out those of this
/// region: it is above what user namespaces of persons and of containers have
/// (systemd, "Users, Groups, UIDs and GIDs on systemd Systems").
const FIRST: u32 = 0x7000_0000;

/// As many as there are.
const COUNT: u32 = 1 << 24;

/// What root needs to look after another user's process and files:
/// `CAP_CHOWN`, `CAP_DAC_OVERRIDE`, `CAP_FOWNER`, `CAP_KILL`, `CAP_SETGID`,
/// `CAP_SETUID`, `CAP_SYS_PTRACE` of `<linux/capability.h>`.
const NEEDED: u64 = 1 | 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 19;

const NET_BIND_SERVICE: u32 = 10;

/// A user without a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    id: u32,
    /// The one of `/dev/kvm`.
    groups: Vec<u32>,
    /// It may bind ports that are root's.
    low_ports: bool,
}

impl User {
    /// The user for a machine. `None` is whoever starts it: one who is not
    /// root, or may not do as root does, or has QEMU or `/dev/kvm` for root
    /// alone.
    pub(crate) fn of(
        id: &InstanceId,
        qemu: &Qemu,
        accelerator: Accelerator,
        ports: &[PortMap],
    ) -> Option<Self> {
        let number = u32::from_str_radix(id.as_str().get(..6)?, 16).ok()?;
        Self::numbered(number, qemu, accelerator, ports)
    }

    /// The user for a machine that only shows that it boots.
    pub(crate) fn of_probe(qemu: &Qemu, accelerator: Accelerator) -> Option<Self> {
        Self::numbered(COUNT - 1, qemu, accelerator, &[])
    }

    fn numbered(
        number: u32,
        qemu: &Qemu,
        accelerator: Accelerator,
        ports: &[PortMap],
    ) -> Option<Self> {
        let id = FIRST + number % COUNT;
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let has =
            ["uid", "gid"].iter().all(|kind| maps(&text(&format!("/proc/self/{kind}_map")), id));
        let is_everybodys = [&qemu.program, &qemu.firmware].into_iter().all(|it| is_reached(it));
        if !has || !is_able(&text("/proc/self/status")) || !is_everybodys {
            return None;
        }
        let groups = match accelerator {
            Accelerator::Tcg => Vec::new(),
            Accelerator::Kvm => groups_for_kvm()?,
        };
        let lowest = text("/proc/sys/net/ipv4/ip_unprivileged_port_start");
        let lowest = lowest.trim().parse().unwrap_or(1024);
        let low_ports = ports.iter().any(|port| (1..lowest).contains(&port.host_port));
        Some(Self { id, groups, low_ports })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Makes this process, which is root's and about to execute QEMU, that
    /// user's. Makes system calls only and allocates nothing.
    pub(super) fn assume(&self) -> io::Result<()> {
        if self.low_ports {
            // SAFETY: takes numbers and touches no memory.
            done(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) }.into())?;
        }
        let id = self.id;
        // The library's own calls would look for other threads first.
        // SAFETY: the first reads as many numbers as it is told; the others
        // take numbers and touch no memory.
        unsafe {
            done(libc::syscall(libc::SYS_setgroups, self.groups.len(), self.groups.as_ptr()))?;
            done(libc::syscall(libc::SYS_setresgid, id, id, id))?;
            done(libc::syscall(libc::SYS_setresuid, id, id, id))?;
        }
        if self.low_ports { keep(NET_BIND_SERVICE) } else { Ok(()) }
    }
}

fn done(result: libc::c_long) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `struct __user_cap_header_struct` of `<linux/capability.h>`.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: libc::c_int,
}

/// `struct __user_cap_data_struct`.
#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Keeps one capability, and for what is executed as well (capabilities(7)).
fn keep(capability: u32) -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = CapabilityHeader { version: VERSION_3, pid: 0 };
    let mask = 1 << capability;
    let one = CapabilityData { effective: mask, permitted: mask, inheritable: mask };
    let none = CapabilityData { effective: 0, permitted: 0, inheritable: 0 };
    let data = [one, none];
    // SAFETY: both structures are valid and as version 3 has them.
    done(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })?;
    let raise = libc::c_ulong::try_from(libc::PR_CAP_AMBIENT_RAISE).unwrap_or_default();
    let capability = libc::c_ulong::from(capability);
    // SAFETY: takes numbers and touches no memory.
    done(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, raise, capability, 0, 0) }.into())
}

/// Whether a user namespace has this number (user_namespaces(7)).
fn maps(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map_while(|it| it.parse::<u64>().ok());
        let (Some(first), Some(_), Some(count)) = (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        (first..first.saturating_add(count)).contains(&u64::from(id))
    })
}

/// Whether a process is root with all that is needed (proc_pid_status(5)).
fn is_able(status: &str) -> bool {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let user = field("Uid:").and_then(|line| line.split_whitespace().nth(1));
    let capabilities = field("CapEff:").and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    user == Some("0") && capabilities.is_some_and(|mask| mask & NEEDED == NEEDED)
}

/// Whether a file is everybody's to read, and the way to it to go.
fn is_reached(path: &Path) -> bool {
    let Ok(path) = fs::canonicalize(path) else { return false };
    let has =
        |path: &Path, right: u32| fs::metadata(path).is_ok_and(|it| it.mode() & right == right);
    has(&path, 0o004) && path.ancestors().skip(1).all(|folder| has(folder, 0o001))
}

/// The groups without which the user may not open `/dev/kvm`; `None` when none
/// helps.
fn groups_for_kvm() -> Option<Vec<u32>> {
    let device = fs::metadata("/dev/kvm").ok()?;
    match (device.mode() & 0o777, device.gid()) {
        (mode, _) if mode & 0o006 == 0o006 => Some(Vec::new()),
        (mode, group @ 1..) if mode & 0o060 == 0o060 => Some(vec![group]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_lies_in_a_private_folder_is_nobody_elses() {
        assert!(is_reached(Path::new("/usr/bin/env")) && !is_reached(Path::new("/no/such")));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!is_reached(&file));
    }

    #[test]
    fn only_root_of_the_machine_has_others_run_qemu() {
        let all = "         0          0 4294967295\n";
        let person = "         0       1000          1\n         1     100000      65536\n";
        assert!(maps(all, FIRST) && maps(person, 65536) && maps(person, 0));
        assert!(!maps(person, 65537) && !maps(person, FIRST) && !maps("", 0));
        let status =
            |user: u32, mask: &str| format!("Name:\tx\nUid:\t0\t{user}\t0\t0\nCapEff:\t{mask}\n");
        assert!(is_able(&status(0, "000001ffffffffff")));
        assert!(!is_able(&status(1000, "000001ffffffffff")));
        assert!(!is_able(&status(0, "00000000a80425fb")), "as in a container: no CAP_SYS_PTRACE");
        assert!(!is_able(""));
    }
}
