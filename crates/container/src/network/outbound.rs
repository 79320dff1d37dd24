//! The way out of an ordinary user's network namespace: a program that carries
//! packets between a link in it and sockets of the machine's.
//!
//! Two programs do that: `pasta` (package passt), the quicker one, and
//! `slirp4netns`. One that is there may still not work (no `/dev/net/tun`, say),
//! so each is tried, once for each boot of the machine and each version of the
//! program.

use std::{
    ffi::OsString,
    fs,
    fs::File,
    io::{self, Read as _, Seek as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{fs::MetadataExt as _, process::CommandExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::{fs::MemfdFlags, io::FdFlags, process::Signal};
use serde::{Deserialize, Serialize};
use tandem_home::{Home, read_json, write_json};

use super::namespace;

/// Name of its link inside.
const LINK: &str = "out0";

/// The largest packet on that link, bytes: the same as on a container's. What
/// is larger could not be passed on, and neither program is told so.
const MTU: &str = "1500";

/// How long a program may take to make its link.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program that is a way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outbound {
    Pasta(PathBuf),
    Slirp(PathBuf),
}

/// A way out that is open as long as this lives.
#[derive(Debug)]
pub(super) struct WayOut(Child);

impl Drop for WayOut {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What was found out, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    /// `/proc/sys/kernel/random/boot_id`.
    boot: String,
    /// The programs that were there, with the times of their last change.
    programs: Vec<(PathBuf, i64)>,
    /// The one that works, or why none does.
    found: Result<PathBuf, String>,
}

/// Programs that are there, the better one first.
fn present() -> Vec<Outbound> {
    let find = |name: &str| {
        ["/usr/bin", "/bin", "/usr/local/bin"]
            .into_iter()
            .map(|dir| Path::new(dir).join(name))
            .find(|path| path.is_file())
    };
    let programs = [find("pasta").map(Outbound::Pasta), find("slirp4netns").map(Outbound::Slirp)];
    programs.into_iter().flatten().collect()
}

/// The program that works here, or why none does. The calling thread must be
/// in the machine's network namespace, and stays there.
pub(super) fn choose(home: &Home) -> Result<Outbound, String> {
    let present = present();
    let changed = |path: &Path| fs::metadata(path).map_or(0, |found| found.ctime());
    let programs: Vec<_> =
        present.iter().map(|one| (one.path().to_owned(), changed(one.path()))).collect();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let place = home.cache().join("outbound.json");
    let kept: Option<Answer> = read_json(&place).ok().flatten();
    let found = match kept {
        Some(kept) if kept.boot == boot && kept.programs == programs => kept.found,
        _ => {
            let found = try_all(&present).map(|program| program.path().to_owned());
            // It is found out anew where this cannot be written.
            let _ = write_json(&place, &Answer { boot, programs, found: found.clone() });
            found
        }
    };
    let path = found?;
    let program = present.into_iter().find(|one| one.path() == path);
    program.ok_or_else(|| "the program that was the way out is gone".to_owned())
}

fn try_all(programs: &[Outbound]) -> Result<&Outbound, String> {
    if programs.is_empty() {
        return Err(
            "neither `pasta` nor `slirp4netns` is installed; mend it with `sudo apt-get install \
             passt`"
                .to_owned(),
        );
    }
    let mut reasons = Vec::new();
    for program in programs {
        match program.works() {
            Ok(()) => return Ok(program),
            Err(e) => reasons.push(format!("{} does not work: {e}", program.name())),
        }
    }
    Err(reasons.join("; "))
}

impl Outbound {
    fn path(&self) -> &Path {
        match self {
            Self::Pasta(path) | Self::Slirp(path) => path,
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Pasta(_) => "pasta",
            Self::Slirp(_) => "slirp4netns",
        }
    }

    /// Connects from a namespace that goes away again to a port of the
    /// machine's loopback, which both lend out when asked to.
    fn works(&self) -> io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let namespace = namespace::make_empty()?;
        let _way = self.start(&namespace, true)?;
        namespace::visit(&namespace, || {
            let gateway = gateway().ok_or_else(|| io::Error::other("it sets no route"))?;
            TcpStream::connect_timeout(&SocketAddr::from((gateway, port)), PATIENCE).map(drop)
        })
    }

    /// Opens the way out of a network namespace to the calling thread's. The
    /// program ends with that thread. With `loopback` the gateway stands for
    /// the machine's loopback.
    pub(super) fn start(&self, namespace: &OwnedFd, loopback: bool) -> io::Result<WayOut> {
        let mut complaints =
            File::from(rustix::fs::memfd_create("complaints", MemfdFlags::CLOEXEC)?);
        let number = namespace.as_raw_fd();
        let mut command = Command::new(self.path());
        command
            .args(self.arguments(&format!("/proc/self/fd/{number}"), loopback))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(complaints.try_clone()?);
        // SAFETY: the closure makes two system calls and allocates nothing.
        unsafe {
            command.pre_exec(move || {
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
                let inherited = rustix::fd::BorrowedFd::borrow_raw(number);
                Ok(rustix::io::fcntl_setfd(inherited, FdFlags::empty())?)
            });
        }
        let mut way = WayOut(command.spawn()?);
        let begin = Instant::now();
        while namespace::visit(namespace, || Ok(gateway()))?.is_none() {
            let ended = way.0.try_wait()?;
            if ended.is_some() || begin.elapsed() > PATIENCE {
                let mut text = String::new();
                complaints.rewind()?;
                complaints.read_to_string(&mut text)?;
                let last = text.lines().rfind(|line| !line.contains("syslog"));
                let why = last.unwrap_or("it makes no link").trim();
                return Err(io::Error::other(why.to_owned()));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(way)
    }

    fn arguments(&self, namespace: &str, loopback: bool) -> Vec<OsString> {
        let words: Vec<&str> = match self {
            Self::Pasta(_) => {
                let mut words = vec!["-f", "-q", "-e", "-4", "--config-net", "--netns-only"];
                words.extend(["-t", "none", "-u", "none", "-T", "none", "-U", "none"]);
                words.extend(["--ns-ifname", LINK, "--mtu", MTU]);
                if !loopback {
                    words.push("--no-map-gw");
                }
                words.extend(["--netns", namespace]);
                words
            }
            Self::Slirp(_) => {
                let mut words = vec!["--configure", "--mtu", MTU, "--netns-type=path"];
                if !loopback {
                    words.push("--disable-host-loopback");
                }
                words.extend([namespace, LINK]);
                words
            }
        };
        words.into_iter().map(OsString::from).collect()
    }
}

/// The gateway of the default route in the thread's network namespace.
fn gateway() -> Option<Ipv4Addr> {
    default_gateway(&fs::read_to_string("/proc/thread-self/net/route").ok()?)
}

/// The same from a route table (proc(5): hexadecimal, the machine's order).
fn default_gateway(table: &str) -> Option<Ipv4Addr> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, destination, gateway, _, _, _, _, mask, ..] = fields[..] else { return None };
        let number = |text| u32::from_str_radix(text, 16).ok();
        let is_default = number(destination)? == 0 && number(mask)? == 0;
        is_default.then(|| number(gateway)).flatten().map(|it| Ipv4Addr::from(it.to_ne_bytes()))
    })
}

/// What an ordinary user's containers reach; `Err` says why nothing.
pub(crate) fn probe_outbound(home: &Home) -> Result<String, String> {
    choose(home)
        .map(|program| format!("containers reach other networks through {}", program.name()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_route_is_found() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n\
            out0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n\
            out0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\n";
        assert_eq!(default_gateway(table), Some(Ipv4Addr::new(10, 0, 2, 2)));
        assert_eq!(default_gateway("Iface\n"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_table_is_fatal(text in "(\\PC*\n)*") {
            let _ = default_gateway(&text);
        }
    }
}
