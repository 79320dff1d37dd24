use std::{collections::BTreeSet, fs, path::PathBuf};

use crate::{cgroup::cgroup_processes, process::stat};

/// The process and all its living descendants, parents before children.
/// Empty when the process is gone.
pub fn tree(pid: u32) -> Vec<u32> {
    if stat(pid).is_none() {
        return Vec::new();
    }
    let mut seen = BTreeSet::from([pid]);
    let mut found = vec![pid];
    let mut at = 0;
    // Kernels without CONFIG_PROC_CHILDREN have no `children` file.
    let mut parents = None;
    while let Some(parent) = found.get(at).copied() {
        at += 1;
        let children = children(parent).unwrap_or_else(|| {
            let parents = parents.get_or_insert_with(all_parents);
            parents.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid).collect()
        });
        found.extend(children.into_iter().filter(|child| seen.insert(*child)));
    }
    found
}

/// The processes of an instance, by id: `root` with its descendants and whoever
/// is in `cgroups`. Without any, whoever is in a pid namespace of `root`'s own:
/// a further command in a container is nobody's descendant there.
pub(crate) fn family(root: u32, cgroups: &[PathBuf]) -> BTreeSet<u32> {
    let mut members: BTreeSet<u32> = tree(root).into_iter().collect();
    members.extend(cgroup_processes(cgroups));
    if cgroups.is_empty() {
        members.extend(namesakes(root));
    }
    members
}

/// The living processes in the pid namespace of a process (pid_namespaces(7)),
/// where that is not our own.
fn namesakes(pid: u32) -> Vec<u32> {
    let of = |pid: &dyn std::fmt::Display| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(theirs) = of(&pid).filter(|theirs| of(&"self").as_ref() != Some(theirs)) else {
        return Vec::new();
    };
    all_pids().filter(|other| of(other).as_ref() == Some(&theirs)).collect()
}

/// The session of a process (setsid(2)).
pub fn session_of(pid: u32) -> Option<u32> {
    stat(pid).map(|stat| stat.session)
}

/// The living processes of these sessions.
pub fn session_members(sessions: &BTreeSet<u32>) -> Vec<u32> {
    if sessions.is_empty() {
        return Vec::new();
    }
    let member = |pid: &u32| {
        stat(*pid)
            .is_some_and(|it| sessions.contains(&it.session) && !matches!(it.state, 'Z' | 'X'))
    };
    all_pids().filter(member).collect()
}

/// Processor time that the processes, and the children they have waited for,
/// used until now, in nanoseconds. The kernel counts it in clock ticks, 10 ms
/// each on most machines. Over a whole [`tree`] nothing is counted twice: a
/// child is either alive or waited for.
pub fn cpu_ns_of(pids: &[u32]) -> u64 {
    let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
    let ticks: u64 = pids.iter().filter_map(|pid| stat(*pid)).map(|stat| stat.cpu_ticks).sum();
    ticks.saturating_mul(1_000_000_000 / ticks_per_second)
}

/// The children of all threads of a process (proc_tid_children(5)); `None`
/// when the kernel does not list them.
fn children(pid: u32) -> Option<Vec<u32>> {
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(text) => children.extend(numbers(&text)),
            // The thread ended meanwhile.
            Err(_) if !thread.path().exists() => {}
            Err(_) => return None,
        }
    }
    Some(children)
}

fn numbers(text: &str) -> impl Iterator<Item = u32> {
    text.split_ascii_whitespace().filter_map(|word| word.parse().ok())
}

/// Every process with its parent.
fn all_parents() -> Vec<(u32, u32)> {
    all_pids().filter_map(|pid| Some((pid, stat(pid)?.parent))).collect()
}

fn all_pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        process::{Child, Command, Stdio},
    };

    use super::*;

    /// A shell with a living grandchild, ready when its line was read.
    fn family(script: &str) -> Child {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        child
    }

    #[test]
    fn descendants_are_found() {
        let mut child = family("sh -c 'echo ready; cat; :'; :");
        // The last of three may be on its way.
        while tree(child.id()).len() < 3 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let listed = tree(child.id());
        let parents = all_parents();
        let by_stat: Vec<_> = parents
            .iter()
            .filter(|(_, parent)| listed.contains(parent))
            .map(|(pid, _)| *pid)
            .collect();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(listed[0], child.id());
        assert!(listed.len() >= 2, "{listed:?}");
        assert!(by_stat.iter().all(|pid| listed.contains(pid)), "{by_stat:?} {listed:?}");
        assert!(tree(child.id()).is_empty());
    }

    #[test]
    fn a_namespace_of_ones_own_is_no_others() {
        // Ours has everybody in it.
        assert!(namesakes(std::process::id()).is_empty());
        assert!(namesakes(1 << 23).is_empty());
    }

    #[test]
    fn time_of_children_that_ended_is_counted() {
        let busy = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
        let mut child = family(&format!("sh -c '{busy}'; echo ready; cat"));
        let used = cpu_ns_of(&tree(child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(used >= 10_000_000, "{used} ns");
    }
}
