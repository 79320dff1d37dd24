//! Control groups of an instance: where they are, whether its limits hold,
//! and how they are taken away.
//!
//! libcontainer makes the group `/tandem-ID`, straight below each hierarchy's
//! root: with no parent folder of ours there is none to leave behind, and none
//! that two instances could race for. An ordinary user's group is made in one
//! that was delegated ([`delegated`]), or not at all.

mod delegated;
mod freeze;
mod fresh;
mod layout;
mod limits;
mod update;
mod view;
mod warm;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tandem_model::InstanceId;

pub(crate) use delegated::{Guest, HOW_TO_DELEGATE, make_room};
pub(crate) use freeze::{freeze, freezer, let_go};
pub(crate) use fresh::make;
pub(crate) use layout::Layout;
pub(crate) use limits::{CPU_PERIOD, check_limits, counts_swap, cpu_quota, refuse_impossible};
pub(crate) use update::update;
pub(crate) use view::View;
pub use warm::WarmUp;
pub(crate) use warm::warm_up_once;

/// The group's name; unique for each instance.
pub(crate) fn group_of(id: &InstanceId) -> String {
    format!("tandem-{id}")
}

/// Kills every process in these folders of one group.
pub(crate) fn kill_all(folders: &[PathBuf]) {
    for folder in folders {
        // Version 2 since Linux 5.14; one write ends all at once.
        if fs::write(folder.join("cgroup.kill"), "1").is_err() {
            for pid in processes(folder) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
    let_go(folders);
}

/// The processes in these folders of one group.
pub(crate) fn members(folders: &[PathBuf]) -> Vec<u32> {
    let all = folders.iter().flat_map(|folder| processes(folder));
    let mut all: Vec<u32> = all.map(|pid| pid.as_raw_nonzero().get().unsigned_abs()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The processes in a folder, as the reader's pid namespace numbers them.
fn processes(folder: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
}

/// How long killed processes may take to leave their group.
const PATIENCE: Duration = Duration::from_secs(5);

/// Kills what is left in a group and removes its folders, with any that the
/// app made inside. Returns those that were there.
pub(crate) fn remove(folders: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    for folder in folders {
        let mut pause = Duration::from_micros(200);
        loop {
            match remove_tree(folder) {
                Ok(()) => {
                    removed.push(folder.clone());
                    break;
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => break,
                // A killed process leaves its group a moment after the signal.
                Err(e) if e.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline => {
                    kill_all(std::slice::from_ref(folder));
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(20));
                }
                Err(e) => {
                    return Err(io::Error::new(e.kind(), format!("{}: {e}", folder.display())));
                }
            }
        }
    }
    Ok(removed)
}

/// Control files cannot be deleted, only folders can, innermost first.
fn remove_tree(folder: &Path) -> io::Result<()> {
    match fs::remove_dir(folder) {
        Err(e) if e.raw_os_error() == Some(libc::EBUSY) => {}
        result => return result,
    }
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_type()?.is_dir() {
            kill_all(std::slice::from_ref(&entry.path()));
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

/// How many processes of the group the kernel killed for want of memory.
pub(crate) fn out_of_memory_kills(folders: &[PathBuf]) -> u64 {
    let count = |text: String| {
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
    };
    let files = ["memory.events", "memory.oom_control"];
    folders
        .iter()
        .flat_map(|folder| files.map(|file| folder.join(file)))
        .filter_map(|file| count(fs::read_to_string(file).ok()?))
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_counted_from_both_versions() {
        let dir = tempfile::tempdir().unwrap();
        let folders = [dir.path().to_owned()];
        assert_eq!(out_of_memory_kills(&folders), 0);
        let v1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n";
        fs::write(dir.path().join("memory.oom_control"), v1).unwrap();
        assert_eq!(out_of_memory_kills(&folders), 2);
        let v2 = "low 0\nhigh 0\nmax 9\noom 3\noom_kill 3\noom_group_kill 0\n";
        fs::write(dir.path().join("memory.events"), v2).unwrap();
        assert_eq!(out_of_memory_kills(&folders), 3);
    }

    #[test]
    fn a_group_that_is_gone_counts_as_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("group")).unwrap();
        let folders = [dir.path().join("group"), dir.path().join("never")];
        assert_eq!(remove(&folders).unwrap(), folders[..1]);
        assert!(remove(&folders).unwrap().is_empty());
    }
}
