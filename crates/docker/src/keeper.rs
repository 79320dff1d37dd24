//! The processes of an engine that are there for one container only: the one
//! that watches it (containerd-shim, conmon), and a proxy for each published
//! port.

use std::fs;

use tandem_model::{InstanceRecord, Ledger};
use tandem_probe::{memory_of, processes};

/// What they are called.
const WATCHERS: [&str; 2] = ["containerd-shim", "conmon"];

/// Adds their memory to a container's.
pub(crate) fn push(ledger: &mut Ledger, record: &InstanceRecord) {
    let found = memory_of(&of(record));
    ledger.push("engine, for this container alone", found.anonymous + found.shmem);
    ledger.push("engine's program and libraries", found.file);
}

/// Their numbers.
pub(crate) fn of(record: &InstanceRecord) -> Vec<u32> {
    let Some(process) = record.runtime.process else { return Vec::new() };
    // Their first process may have been given to another parent.
    let parent = processes(process.pid, &[])
        .first()
        .map(|row| row.parent)
        .filter(|parent| words_of(*parent).first().is_some_and(|it| is_watcher(it)));
    let ports: Vec<String> = record.ports.iter().map(|it| it.host_port.to_string()).collect();
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let proxies = all.filter(|pid| !ports.is_empty() && is_proxy(&words_of(*pid), &ports));
    parent.into_iter().chain(proxies).collect()
}

fn words_of(pid: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).split('\0').map(str::to_owned).collect()
}

fn name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or_default()
}

fn is_watcher(program: &str) -> bool {
    WATCHERS.iter().any(|watcher| name(program).starts_with(watcher))
}

/// `docker-proxy … -host-port PORT …`.
fn is_proxy(words: &[String], ports: &[String]) -> bool {
    words.first().is_some_and(|program| name(program) == "docker-proxy")
        && words.windows(2).any(|pair| pair[0] == "-host-port" && ports.contains(&pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn only_what_is_there_for_this_container_counts() {
        let ports = ["8080".to_owned()];
        let proxy = "/usr/sbin/docker-proxy -proto tcp -host-ip 127.0.0.1 -host-port 8080 -container-ip 172.17.0.2 -container-port 80";
        assert!(is_proxy(&words(proxy), &ports));
        assert!(!is_proxy(&words(&proxy.replace("8080", "8081")), &ports));
        assert!(!is_proxy(&words("dockerd -host-port 8080"), &ports));
        assert!(is_watcher("/usr/bin/containerd-shim-runc-v2") && is_watcher("/usr/bin/conmon"));
        assert!(!is_watcher("/usr/bin/dockerd") && !is_watcher(""));
    }
}
