use std::{fs, path::PathBuf};

use crate::{
    process::stat,
    tree::{cpu_ns_of, family},
};

/// One process of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessRow {
    /// Its id on the host.
    pub pid: u32,
    /// Its id where it lives, the same outside of containers.
    pub inside: u32,
    /// Its parent's id on the host.
    pub parent: u32,
    /// Effective user, as the host numbers it.
    pub uid: u32,
    /// Processor time so far, nanoseconds.
    pub cpu_ns: u64,
    /// One letter: `R`unning, `S`leeping, `Z`ombie and so on (proc_pid_stat(5)).
    pub state: char,
    /// Program and arguments; the name in brackets when it has none.
    pub command: String,
}

/// The processes of an instance: `root` with its descendants and whoever else
/// is in `cgroups` or, without any, in a pid namespace of its own, by id. What
/// ends meanwhile is left out.
pub fn processes(root: u32, cgroups: &[PathBuf]) -> Vec<ProcessRow> {
    family(root, cgroups).into_iter().filter_map(row).collect()
}

fn row(pid: u32) -> Option<ProcessRow> {
    let stat = stat(pid)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let status = parse_status(&status)?;
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words).replace('\0', " ");
    let command = match words.trim() {
        "" => format!("[{}]", status.name),
        words => words.to_owned(),
    };
    Some(ProcessRow {
        pid,
        inside: status.inside.unwrap_or(pid),
        parent: stat.parent,
        uid: status.uid,
        cpu_ns: cpu_ns_of(&[pid]),
        state: stat.state,
        command,
    })
}

struct Status {
    name: String,
    uid: u32,
    inside: Option<u32>,
}

/// Reads `/proc/PID/status` (proc_pid_status(5)): `Uid` lists the real user
/// and then the effective one; `NSpid` the ids from our namespace inwards.
fn parse_status(text: &str) -> Option<Status> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let uid = field("Uid:")?.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let inside = field("NSpid:").and_then(|ids| ids.split_ascii_whitespace().last()?.parse().ok());
    Some(Status { name: field("Name:").unwrap_or_default().to_owned(), uid, inside })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_process_is_described() {
        let me = processes(std::process::id(), &[]);
        let own = me.iter().find(|row| row.pid == std::process::id()).unwrap();
        assert_eq!(own.uid, rustix::process::geteuid().as_raw());
        assert!(!own.command.is_empty());
        let status = "Name:\tsh\nUid:\t0\t7\t0\t0\nNSpid:\t4242\t3\n";
        let status = parse_status(status).unwrap();
        assert_eq!((status.uid, status.inside), (7, Some(3)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_fatal(text in "((Uid|NSpid|Name):[\t 0-9]{0,20}\n)*|\\PC*") {
            let _ = parse_status(&text);
        }
    }
}
