//! The way out: address translation by nftables, and forwarding.

use std::{
    fs, io,
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tandem_model::Subnet;

use super::{BRIDGE, table};

/// The table of a bridge, one of our own; nothing of anybody else's is
/// touched.
fn table_of(bridge: &str) -> String {
    if bridge == BRIDGE { "tandem".to_owned() } else { format!("tandem_{bridge}") }
}

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// A run of `nft` that goes on while other things are set up. Dropping it
/// waits for its end, so that what it does never happens later.
#[derive(Debug)]
pub(crate) struct Nft(Option<Child>);

impl Drop for Nft {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            let _ = child.wait_with_output();
        }
    }
}

impl Nft {
    /// Begins to make the table for a bridge's network: what leaves the host
    /// gets its address, and from outside nobody gets at the containers but
    /// with answers. It prints what chains there are, also others'. Out of an `internal` network nothing gets either.
    pub(crate) fn add(bridge: &str, subnet: Subnet, internal: bool) -> io::Result<Self> {
        let table = table_of(bridge);
        let out = if internal {
            format!("iifname \"{bridge}\" oifname != \"{bridge}\" drop")
        } else {
            String::new()
        };
        // One that a crash left would keep its rules. Only then: having removed
        // anything, `nft` waits ten milliseconds for the kernel to forget it
        // (rcu_barrier in nft_rcv_nl_event, net/netfilter/nf_tables_api.c).
        let anew = match table::exists(&table) {
            Ok(false) => String::new(),
            Ok(true) | Err(_) => format!("table ip {table}\ndelete table ip {table}"),
        };
        Self::start(&format!(
            "{anew}
             table ip {table} {{
               chain postrouting {{
                 type nat hook postrouting priority 100; policy accept;
                 ip saddr {subnet} oifname != \"{bridge}\" masquerade
               }}
               chain forward {{
                 type filter hook forward priority 0; policy accept;
                 iifname != \"{bridge}\" oifname \"{bridge}\" ct state new drop
                 {out}
               }}
             }}
             list chains
             "
        ))
    }

    /// Begins to remove the table. It is made first, so that this cannot fail
    /// for want of it.
    pub(crate) fn remove(bridge: &str) -> io::Result<Self> {
        let table = table_of(bridge);
        Self::start(&format!("table ip {table}\ndelete table ip {table}\n"))
    }

    /// Begins to execute a script in the present network namespace.
    pub(super) fn start(script: &str) -> io::Result<Self> {
        let program = find().ok_or_else(not_installed)?;
        let mut child = Command::new(program)
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // When it ended early its error output says why.
            let _ = stdin.write_all(script.as_bytes());
        }
        Ok(Self(Some(child)))
    }

    /// Waits for its end; returns what it printed.
    pub(crate) fn finish(mut self) -> io::Result<String> {
        let Some(child) = self.0.take() else { return Ok(String::new()) };
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
        Err(io::Error::other(format!("nft: {}", line.trim())))
    }
}

/// What is said where there is no `nft`.
pub(super) fn missing() -> Option<io::Error> {
    find().is_none().then(not_installed)
}

fn not_installed() -> io::Error {
    let text = format!("{NOT_INSTALLED}: `sudo apt-get install nftables`");
    io::Error::new(io::ErrorKind::NotFound, text)
}

pub(super) const NOT_INSTALLED: &str = "the program `nft` is not installed";

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

/// Undoes [`enable_forwarding`].
pub(crate) fn disable_forwarding() -> io::Result<()> {
    fs::write(FORWARDING, "0")
}
