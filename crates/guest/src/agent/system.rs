//! What concerns the whole machine.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    net::UdpSocket,
    os::{fd::AsRawFd as _, unix::fs::FileExt as _},
    path::Path,
    time::Duration,
};

use nix::{
    sys::{statvfs::statvfs, time::TimeSpec},
    time::{ClockId, clock_settime},
};
use tandem_guest::wire::{Failure, FromGuest, GuestStats};

use super::step;

/// The most entropy that is taken at once, in bytes.
const MOST_ENTROPY: usize = 512;

/// Brings processors and memory online that were plugged in (Linux,
/// `Documentation/core-api/cpu_hotplug.rst`,
/// `Documentation/admin-guide/mm/memory-hotplug.rst`).
pub(super) fn online() -> FromGuest {
    for folder in ["/sys/devices/system/cpu", "/sys/devices/system/memory"] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let switch = entry.path().join("online");
            if fs::read_to_string(&switch).is_ok_and(|text| text.trim() == "0") {
                // What the kernel does not bring up is seen in the counts.
                let _ = fs::write(&switch, "1");
            }
        }
    }
    let stats = stats();
    FromGuest::Online { cpus: stats.cpus, memory_bytes: stats.memory_total }
}

/// What a machine needs to become its own again, opened before its state was
/// saved: whoever waits for one that goes on waits for none of it.
pub(super) struct Renewal {
    random: File,
    /// The file with the host's name, where there is one.
    hostname: Option<File>,
    /// The file with the addresses of names, its own among them.
    hosts: Option<File>,
    /// A socket, and a request that names the network device.
    device: Option<(UdpSocket, libc::ifreq)>,
}

impl Renewal {
    /// Opens it.
    pub(super) fn prepare() -> io::Result<Self> {
        // A network device whose state was brought back announces itself, and
        // that may be with the former address: whoever has heard it sends
        // there until it hears the new one.
        let _ = fs::write(ANNOUNCE, "1");
        let random = OpenOptions::new().write(true).open("/dev/urandom")?;
        let hostname = OpenOptions::new().write(true).open(HOSTNAME).ok();
        let hosts = OpenOptions::new().read(true).write(true).open(HOSTS).ok();
        Ok(Self { random, hostname, hosts, device: network_device()? })
    }

    /// Makes the machine its own again: time, random numbers, name, address.
    pub(super) fn renew(
        &mut self,
        clock_ns: u64,
        entropy: &str,
        hostname: Option<&str>,
        mac: Option<[u8; 6]>,
    ) -> Result<(), Failure> {
        let time = TimeSpec::from_duration(Duration::from_nanos(clock_ns));
        clock_settime(ClockId::CLOCK_REALTIME, time)
            .map_err(|e| step("setting the clock")(e.into()))?;
        reseed(&mut self.random, entropy).map_err(step("reseeding the random numbers"))?;
        if let Some(name) = hostname {
            let former = nix::unistd::gethostname().unwrap_or_default();
            if let (Some(file), Some(former)) = (&mut self.hosts, former.to_str()) {
                // An app that asks for the address of its own name goes on.
                let _ = rename_in(file, former, name);
            }
            nix::unistd::sethostname(name).map_err(|e| step("setting the host name")(e.into()))?;
            let text = format!("{name}\n");
            let _ = match &self.hostname {
                Some(file) => replace(file, &text),
                None => fs::write(HOSTNAME, text),
            };
        }
        match (mac, &mut self.device) {
            (Some(mac), Some((socket, request))) => {
                set_mac(socket, request, mac).map_err(step("setting the network address"))
            }
            _ => Ok(()),
        }
    }
}

/// Gives the addresses of one name to another.
fn rename_in(hosts: &mut File, former: &str, name: &str) -> io::Result<()> {
    let mut text = String::new();
    hosts.seek(SeekFrom::Start(0))?;
    hosts.take(LONGEST_HOSTS).read_to_string(&mut text)?;
    let fresh = renamed(&text, former, name);
    if fresh == text || text.len() as u64 == LONGEST_HOSTS {
        return Ok(());
    }
    replace(hosts, &fresh)
}

/// More than any list of names that was not made to do harm, bytes.
const LONGEST_HOSTS: u64 = 1 << 20;

/// A list of names with one of them replaced, unless it is everybody's; nothing
/// else changes.
fn renamed(hosts: &str, former: &str, name: &str) -> String {
    if former == "localhost" {
        return hosts.to_owned();
    }
    let pieces = hosts.split_inclusive(char::is_whitespace).map(|piece| {
        let word = piece.trim_end_matches(char::is_whitespace);
        if word == former { piece.replacen(former, name, 1) } else { piece.to_owned() }
    });
    pieces.collect()
}

/// Replaces what a file holds.
fn replace(file: &File, text: &str) -> io::Result<()> {
    file.write_all_at(text.as_bytes(), 0)?;
    file.set_len(text.len() as u64)
}

const HOSTNAME: &str = "/etc/hostname";
const HOSTS: &str = "/etc/hosts";

/// Has the kernel tell of another hardware address (Linux,
/// `Documentation/networking/ip-sysctl.rst`, `arp_notify`).
const ANNOUNCE: &str = "/proc/sys/net/ipv4/conf/all/arp_notify";

/// The first network device, as netdevice(7) wants it named.
fn network_device() -> io::Result<Option<(UdpSocket, libc::ifreq)>> {
    let devices = fs::read_dir("/sys/class/net")?.flatten().map(|entry| entry.file_name());
    let mut names: Vec<_> = devices.filter(|name| name != "lo").collect();
    names.sort();
    let Some(name) = names.first() else { return Ok(None) };
    // SAFETY: an all-zero `ifreq` is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(name.as_encoded_bytes()) {
        *place = byte.cast_signed();
    }
    Ok(Some((UdpSocket::bind("127.0.0.1:0")?, request)))
}

fn set_mac(socket: &UdpSocket, request: &mut libc::ifreq, mac: [u8; 6]) -> io::Result<()> {
    let mut address = libc::sockaddr { sa_family: libc::ARPHRD_ETHER, sa_data: [0; 14] };
    for (place, byte) in address.sa_data.iter_mut().zip(mac) {
        *place = byte.cast_signed();
    }
    request.ifr_ifru.ifru_hwaddr = address;
    // SAFETY: the operation takes the structure that is passed.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFHWADDR, request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `RNDRESEEDCRNG` of `<linux/random.h>`.
const RESEED: libc::c_ulong = 0x5207;

/// Mixes bytes in and makes the kernel use them from now on (random(4)).
fn reseed(device: &mut File, digits: &str) -> io::Result<()> {
    let bytes = from_hex(digits).ok_or(io::ErrorKind::InvalidData)?;
    device.write_all(&bytes)?;
    // SAFETY: the operation takes no argument.
    match unsafe { libc::ioctl(device.as_raw_fd(), RESEED) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let bytes = digits.as_bytes();
    if !bytes.len().is_multiple_of(2) || bytes.len() > 2 * MOST_ENTROPY {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    bytes.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Brings files to rest on the disk.
pub(super) fn sync() {
    nix::unistd::sync();
}

/// `uname -r`.
pub(super) fn kernel() -> String {
    let release = nix::sys::utsname::uname().map(|name| name.release().to_os_string());
    release.unwrap_or_default().to_string_lossy().into_owned()
}

/// What the machine uses; what cannot be read is zero.
pub(crate) fn stats() -> GuestStats {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let memory = text("/proc/meminfo");
    let kib = |name: &str| {
        let line = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        value.unwrap_or_default() << 10
    };
    let (net_received, net_sent) = network(&text("/proc/net/dev"));
    let disk = statvfs(Path::new("/")).ok();
    let size = |blocks: u64| disk.map_or(0, |disk| blocks * disk.fragment_size());
    let is_process = |name: &std::ffi::OsStr| name.as_encoded_bytes()[0].is_ascii_digit();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = processes.filter(|entry| is_process(&entry.file_name())).count();
    GuestStats {
        memory_total: kib("MemTotal"),
        memory_available: kib("MemAvailable"),
        memory_cached: kib("Cached"),
        cpus: cpus(&text("/sys/devices/system/cpu/online")),
        cpu_ns: busy(&text("/proc/stat")),
        processes: u32::try_from(processes).unwrap_or_default(),
        net_received,
        net_sent,
        disk_total: disk.map_or(0, |disk| size(disk.blocks())),
        disk_used: disk.map_or(0, |disk| size(disk.blocks().saturating_sub(disk.blocks_free()))),
    }
}

/// How many a list such as `0-2,5` names (cputopology.rst).
fn cpus(list: &str) -> u32 {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        Some(last.checked_sub(first)?.saturating_add(1))
    };
    list.trim().split(',').filter_map(range).fold(0, u32::saturating_add)
}

/// Ticks of everything but idling and waiting (proc_stat(5)), as nanoseconds.
fn busy(stat: &str) -> u64 {
    let Some(line) = stat.lines().find_map(|line| line.strip_prefix("cpu ")) else { return 0 };
    let fields = line.split_whitespace().map(|field| field.parse::<u64>().unwrap_or_default());
    let ticks: u64 =
        fields.take(8).enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, one)| one).sum();
    // A tick is 10 ms in everything that the kernel shows.
    ticks.saturating_mul(10_000_000)
}

/// Received and sent bytes of all devices but loopback.
fn network(text: &str) -> (u64, u64) {
    let device = |line: &str| {
        let (name, counts) = line.split_once(':')?;
        let counts: Vec<u64> =
            counts.split_whitespace().map_while(|one| one.parse().ok()).collect();
        (name.trim() != "lo").then(|| Some((*counts.first()?, *counts.get(8)?)))?
    };
    let devices = text.lines().filter_map(device);
    devices.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        assert_eq!(cpus("0-2,5\n"), 4);
        assert_eq!(cpus("nonsense"), 0);
        assert_eq!(busy("cpu  1 2 3 400 500 6 7 8 9 9\ncpu0 1\n"), 270_000_000);
        let text =
            "Inter-| x\n face |bytes\n    lo: 5 0 0 0 0 0 0 0 6 0\n  eth0: 7 0 0 0 0 0 0 0 8 0\n";
        assert_eq!(network(text), (7, 8));
        assert!(stats().memory_total > 0);
    }

    #[test]
    fn only_the_former_name_gets_another() {
        let hosts = "127.0.0.1\tlocalhost\n10.0.2.15\told old.example\n# old\n10.0.0.1 older\n";
        let expected = "127.0.0.1\tlocalhost\n10.0.2.15\tnew old.example\n# new\n10.0.0.1 older\n";
        assert_eq!(renamed(hosts, "old", "new"), expected);
        assert_eq!(renamed("127.0.1.1 old", "old", "a-longer-name"), "127.0.1.1 a-longer-name");
        assert_eq!(renamed("", "old", "new"), "");
        assert_eq!(renamed(hosts, "localhost", "new"), hosts);
    }

    #[test]
    fn digits_become_bytes_or_nothing() {
        assert_eq!(from_hex("00ffA1"), Some(vec![0, 255, 0xa1]));
        for bad in ["0", "0g", &"00".repeat(MOST_ENTROPY + 1)] {
            assert_eq!(from_hex(bad), None);
        }
    }
}
