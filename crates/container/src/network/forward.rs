//! The way past a firewall that drops what it does not know.
//!
//! Docker's daemon sets the policy of the FORWARD chain to DROP for the whole
//! host, also for bridges that are not its own. Two rules at that chain's end
//! let pass what nobody else has decided on, for one bridge of ours; they go
//! with the bridge. What may come in from outside is decided by our own table
//! before. No rule of anybody else's is touched.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    namespace,
    nat::{self, Nft},
};

/// A chain that drops packets on their way through the host.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Barrier {
    family: String,
    table: String,
    chain: String,
}

/// What iptables calls its chain, in nftables and before.
const FORWARD: &str = "FORWARD";

/// Opens a way for a bridge. `chains` is what `nft list chains` said. Returns
/// what stays closed, and why.
pub(super) fn open(bridge: &str, chains: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for barrier in barriers(chains) {
        let Barrier { family, table, chain } = &barrier;
        // The chain of iptables is open to all programs by custom; any other
        // belongs to somebody.
        if (family.as_str(), table.as_str(), chain.as_str()) != ("ip", "filter", FORWARD) {
            problems.push(closed(bridge, &barrier, "a firewall of this host drops their packets"));
        } else if let Err(e) = open_nft(bridge) {
            problems.push(closed(bridge, &barrier, &e.to_string()));
        }
    }
    if let Err(e) = open_legacy(bridge) {
        problems.push(format!(
            "containers cannot reach other networks: {e}; mend it with `iptables-legacy -A \
             {FORWARD} -i {bridge} -j ACCEPT; iptables-legacy -A {FORWARD} -o {bridge} -j ACCEPT`"
        ));
    }
    problems
}

fn closed(bridge: &str, barrier: &Barrier, why: &str) -> String {
    let Barrier { family, table, chain } = barrier;
    format!(
        "containers cannot reach other networks: {why}; mend it with `nft insert rule {family} \
         {table} {chain} iifname {bridge} accept; nft insert rule {family} {table} {chain} \
         oifname {bridge} accept`"
    )
}

/// Closes the ways that [`open`] opened.
pub(super) fn close(bridge: &str) -> io::Result<()> {
    let note = note(bridge)?;
    if !note.exists() {
        return Ok(());
    }
    if let Some(nft) = nat::find() {
        let listed =
            Command::new(nft).args(["-a", "list", "chain", "ip", "filter", FORWARD]).output()?;
        let script: Vec<String> = handles(bridge, &String::from_utf8_lossy(&listed.stdout))
            .map(|handle| format!("delete rule ip filter {FORWARD} handle {handle}\n"))
            .collect();
        if !script.is_empty() {
            Nft::start(&script.concat())?.finish()?;
        }
    }
    if let Some(program) = legacy() {
        for rule in rules(bridge) {
            // Absent when that table was not the closed one.
            Command::new(&program).args(["-w", "-D"]).args(rule).output()?;
        }
    }
    fs::remove_file(note)
}

fn open_nft(bridge: &str) -> io::Result<()> {
    fs::write(note(bridge)?, "")?;
    // In the words of iptables, which must be able to list them.
    let rules = ["iifname", "oifname"]
        .map(|end| format!("add rule ip filter {FORWARD} {end} \"{bridge}\" counter accept\n"));
    Nft::start(&rules.concat())?.finish().map(drop)
}

/// The same for a kernel's older tables, when the filter table is in use.
fn open_legacy(bridge: &str) -> io::Result<()> {
    let tables = fs::read_to_string("/proc/thread-self/net/ip_tables_names").unwrap_or_default();
    let (true, Some(program)) = (tables.lines().any(|table| table == "filter"), legacy()) else {
        return Ok(());
    };
    let listed = Command::new(&program).args(["-w", "-S", FORWARD]).output()?;
    let policy = format!("-P {FORWARD} DROP");
    if !String::from_utf8_lossy(&listed.stdout).lines().any(|line| line == policy) {
        return Ok(());
    }
    fs::write(note(bridge)?, "")?;
    for rule in rules(bridge) {
        let output = Command::new(&program).args(["-w", "-A"]).args(rule).output()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(io::Error::other(format!("iptables-legacy: {text}")));
        }
    }
    Ok(())
}

fn rules(bridge: &str) -> [[&str; 5]; 2] {
    [[FORWARD, "-i", bridge, "-j", "ACCEPT"], [FORWARD, "-o", bridge, "-j", "ACCEPT"]]
}

fn legacy() -> Option<PathBuf> {
    ["/usr/sbin/iptables-legacy", "/sbin/iptables-legacy"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
}

/// Present while rules of ours are in a chain of iptables.
fn note(bridge: &str) -> io::Result<PathBuf> {
    let name = format!("tandem-forward-{bridge}-{}", namespace::number()?);
    Ok(Path::new("/run").join(name))
}

/// Chains that drop what no rule of theirs has accepted.
fn barriers(chains: &str) -> Vec<Barrier> {
    let (mut table, mut chain) = (None, None);
    let mut found = Vec::new();
    for line in chains.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["table", family, name, "{"] => table = Some((family.to_owned(), name.to_owned())),
            ["chain", name, "{"] => chain = Some(name.to_owned()),
            ["type", "filter", "hook", "forward", ..] if line.contains("policy drop;") => {
                if let (Some((family, table)), Some(chain)) = (table.clone(), chain.clone())
                    && matches!(family.as_str(), "ip" | "inet")
                {
                    found.push(Barrier { family, table, chain });
                }
            }
            _ => {}
        }
    }
    found
}

/// Handles of the rules in a listed chain that [`open_nft`] made.
fn handles<'a>(bridge: &str, chain: &'a str) -> impl Iterator<Item = &'a str> {
    let marks = ["iifname", "oifname"].map(|end| format!("{end} \"{bridge}\" counter "));
    chain.lines().filter_map(move |line| {
        let line = line.trim();
        let (rule, handle) = line.rsplit_once(" # handle ")?;
        let ours = marks.iter().any(|mark| rule.starts_with(mark.as_str()));
        (ours && rule.ends_with(" accept")).then_some(handle)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_that_drop_are_found() {
        let chains = "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority \
            filter; policy drop;\n\t}\n\tchain DOCKER-USER {\n\t}\n}\ntable inet wall {\n\tchain way \
            {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\ntable ip tandem \
            {\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n\t}\n}\n\
            table ip6 filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; \
            policy drop;\n\t}\n}\n";
        let found: Vec<_> = barriers(chains)
            .into_iter()
            .map(|it| format!("{} {} {}", it.family, it.table, it.chain))
            .collect();
        assert_eq!(found, ["ip filter FORWARD", "inet wall way"]);
        assert!(barriers("").is_empty());
    }

    #[test]
    fn only_rules_of_the_bridge_are_ours() {
        let chain = "table ip filter {\n\tchain FORWARD { # handle 1\n\
            \t\tcounter packets 0 bytes 0 jump DOCKER-USER # handle 3\n\
            \t\tiifname \"tandem0\" counter packets 1 bytes 60 accept # handle 4\n\
            \t\tiifname \"docker0\" counter packets 0 bytes 0 accept # handle 5\n\
            \t\toifname \"tandem0\" counter packets 0 bytes 0 accept # handle 6\n\
            \t\tiifname \"tandem0\" counter packets 0 bytes 0 drop # handle 7\n\t}\n}\n";
        assert_eq!(handles("tandem0", chain).collect::<Vec<_>>(), ["4", "6"]);
        assert_eq!(handles("tandem", chain).count(), 0);
    }
}
