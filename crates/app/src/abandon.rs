use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::App;

impl App {
    /// Takes away the work folders of this process, and ends the programs that
    /// work for it in them: for a process that ends now while threads of it
    /// are still busy there, such as a window closed in its first moments.
    pub fn abandon(&self) {
        let folders = held_folders(&self.home.temporary());
        for child in children() {
            let place = fs::read_link(format!("/proc/{}/cwd", child.as_raw_nonzero()));
            if place.is_ok_and(|place| folders.iter().any(|folder| place.starts_with(folder))) {
                let _ = kill_process(child, Signal::KILL);
            }
        }
        for folder in folders {
            // What cannot be removed now is reaped by the next command.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// The folders directly below `root` in which this process has a file open: a
/// work folder's lock is held as long as it is worked in.
fn held_folders(root: &Path) -> BTreeSet<PathBuf> {
    // The kernel tells no links.
    let Ok(root) = fs::canonicalize(root) else { return BTreeSet::new() };
    let files = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let files = files.filter_map(|file| fs::read_link(file.path()).ok());
    files
        .filter_map(|file| {
            let name = file.strip_prefix(&root).ok()?.components().next()?;
            let folder = root.join(name);
            (folder != file && folder.is_dir()).then_some(folder)
        })
        .collect()
}

/// The processes that this one has started.
fn children() -> Vec<Pid> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|it| fs::read_to_string(it.path().join("children")).ok());
    let numbers: Vec<i32> = lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|it| it.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    numbers.into_iter().filter_map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_folders_that_are_held_here_are_found() {
        let root = tempfile::tempdir().unwrap();
        let root_path = fs::canonicalize(root.path()).unwrap();
        let [held, free] = ["held-1", "free-1"].map(|name| root_path.join(name));
        for folder in [&held, &free] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join(".lock"), "").unwrap();
        }
        let beside = fs::File::create(root.path().join(".making")).unwrap();
        let lock = fs::File::open(held.join(".lock")).unwrap();
        assert_eq!(held_folders(root.path()), BTreeSet::from([held]));
        drop((lock, beside));
        assert!(held_folders(root.path()).is_empty());
    }

    #[test]
    fn who_was_started_here_is_a_child() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let found =
            children().iter().any(|pid| pid.as_raw_nonzero().get().cast_unsigned() == child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found);
    }
}
