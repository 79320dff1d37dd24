//! The way out: address translation by nftables, and forwarding.

use std::{
    fs, io,
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use super::{BRIDGE, Subnet};

/// Our table; nothing of anybody else's is touched.
const TABLE: &str = "tandem";

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// A run of `nft` that goes on while other things are set up.
#[derive(Debug)]
pub(crate) struct Nft(Child);

impl Nft {
    /// Begins to make the table for a bridge's network: what leaves the host
    /// gets its address, and from outside nobody gets at the containers but
    /// with answers.
    pub(crate) fn add(subnet: Subnet) -> io::Result<Self> {
        Self::start(&format!(
            "table ip {TABLE} {{
               chain postrouting {{
                 type nat hook postrouting priority 100; policy accept;
                 ip saddr {subnet} oifname != \"{BRIDGE}\" masquerade
               }}
               chain forward {{
                 type filter hook forward priority 0; policy accept;
                 iifname != \"{BRIDGE}\" oifname \"{BRIDGE}\" ct state new drop
               }}
             }}"
        ))
    }

    /// Begins to remove the table. It is made first, so that this cannot fail
    /// for want of it.
    pub(crate) fn remove() -> io::Result<Self> {
        Self::start(&format!("table ip {TABLE}\ndelete table ip {TABLE}\n"))
    }

    fn start(script: &str) -> io::Result<Self> {
        let program = find().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "the program `nft` is not installed")
        })?;
        let mut child = Command::new(program)
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // When it ended early its error output says why.
            let _ = stdin.write_all(script.as_bytes());
        }
        Ok(Self(child))
    }

    /// Waits for its end.
    pub(crate) fn finish(self) -> io::Result<()> {
        let output = self.0.wait_with_output()?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
        Err(io::Error::other(format!("nft: {}", line.trim())))
    }
}

/// `nft`, also where `PATH` lacks the administrator's folders.
pub(crate) fn find() -> Option<PathBuf> {
    ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
}

/// Lets the host pass packets on between its networks. Returns whether that
/// had to be changed.
pub(crate) fn enable_forwarding() -> io::Result<bool> {
    if fs::read_to_string(FORWARDING)?.trim() == "1" {
        return Ok(false);
    }
    fs::write(FORWARDING, "1")?;
    Ok(true)
}

/// Whether the host passes packets on between its networks.
pub(crate) fn forwards() -> bool {
    fs::read_to_string(FORWARDING).is_ok_and(|text| text.trim() == "1")
}

/// Whether anybody else has a bridge on this host.
pub(crate) fn other_bridges() -> bool {
    let links = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    links.filter(|link| link.file_name() != BRIDGE).any(|link| link.path().join("bridge").is_dir())
}

/// Undoes [`enable_forwarding`].
pub(crate) fn disable_forwarding() -> io::Result<()> {
    fs::write(FORWARDING, "0")
}
