//! What lies around on the machine: taken before a case and compared after it.
//!
//! Mounts and processes count when they belong to the case's folders, so that
//! other work on the machine does not disturb. Network devices, cgroups and
//! firewall tables count when they bear Tandem's name.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Things that a case must take away again, a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    things: BTreeSet<String>,
}

impl Snapshot {
    /// Looks at the machine. `folders` are the case's own.
    pub(crate) fn take(folders: &[&Path]) -> Self {
        let marks: Vec<String> =
            folders.iter().map(|folder| folder.to_string_lossy().into_owned()).collect();
        let mut things = BTreeSet::new();
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        things.extend(mounts(&table, &marks).map(|mount| format!("mount {mount}")));
        things.extend(
            processes(&marks, &[ANY_CONTAINER])
                .into_iter()
                .map(|(pid, command)| format!("process {pid} ({})", shortened(&command))),
        );
        things.extend(links().map(|name| format!("network device {name}")));
        things.extend(cgroups(Path::new("/sys/fs/cgroup")).map(|dir| format!("cgroup {dir}")));
        things.extend(
            names(Path::new("/run"))
                .into_iter()
                .filter(|n| is_ours(n))
                .map(|n| format!("/run/{n}")),
        );
        things.extend(firewall_tables().map(|table| format!("firewall {table}")));
        Self { things }
    }

    /// What is here now and was not then.
    pub(crate) fn since(&self, before: &Self) -> Vec<String> {
        self.things.difference(&before.things).cloned().collect()
    }
}

fn is_ours(name: &str) -> bool {
    name.contains("tandem") || name.starts_with("tdm")
}

/// Mount points of a mountinfo table (proc_pid_mountinfo(5), field 5) whose
/// line names one of the marks: as mount point, source or overlay folder.
fn mounts<'a>(table: &'a str, marks: &'a [String]) -> impl Iterator<Item = &'a str> {
    table
        .lines()
        .filter(|line| marks.iter().any(|mark| line.contains(mark.as_str())))
        .filter_map(|line| line.split(' ').nth(4))
}

/// Every living process that belongs to a home, and to no other.
pub(crate) fn processes_of(home: &Path) -> Vec<u32> {
    let mut marks = vec![home.to_string_lossy().into_owned()];
    // Inside a container only the name of the root file system tells.
    let instances = names(&home.join("instances")).into_iter();
    marks.extend(instances.map(|id| format!(" - overlay tandem-{id} ")));
    processes(&marks, &[]).into_iter().map(|(pid, _)| pid).collect()
}

/// What every container's root file system is called.
const ANY_CONTAINER: &str = " - overlay tandem-";

/// Processes that bear a mark, with their arguments: in these, in their
/// environment, or in the mounts of their own namespace, where others count too.
fn processes(marks: &[String], others: &[&str]) -> Vec<(u32, String)> {
    let own = fs::read_link("/proc/self/ns/mnt").unwrap_or_default();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let dir = entry.path();
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            if pid == std::process::id() || is_zombie(&dir) {
                return None;
            }
            let command = nul_separated(&dir.join("cmdline"));
            let named = |text: &str| marks.iter().any(|mark| text.contains(mark.as_str()));
            let belongs = named(&command)
                || named(&nul_separated(&dir.join("environ")))
                || is_mounted_inside(&dir, &own, marks, others);
            belongs.then_some((pid, command))
        })
        .collect()
}

/// A zombie holds nothing; its parent has only not asked for it yet.
fn is_zombie(dir: &Path) -> bool {
    let stat = fs::read_to_string(dir.join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}

fn is_mounted_inside(dir: &Path, own: &Path, marks: &[String], others: &[&str]) -> bool {
    let space = fs::read_link(dir.join("ns/mnt")).unwrap_or_else(|_| own.to_path_buf());
    if space == own {
        return false;
    }
    let table = fs::read_to_string(dir.join("mountinfo")).unwrap_or_default();
    others.iter().any(|mark| table.contains(mark)) || mounts(&table, marks).next().is_some()
}

fn nul_separated(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
}

fn shortened(command: &str) -> String {
    command.chars().take(120).collect()
}

fn links() -> impl Iterator<Item = String> {
    names(Path::new("/sys/class/net")).into_iter().filter(|name| is_ours(name))
}

fn firewall_tables() -> impl Iterator<Item = String> {
    let output = std::process::Command::new("nft").args(["list", "tables"]).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    let tables: Vec<String> = text.lines().filter(|line| is_ours(line)).map(Into::into).collect();
    tables.into_iter()
}

/// Folders with our name and those below them, in every hierarchy.
fn cgroups(root: &Path) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    collect_cgroups(root, false, 0, &mut found);
    found.into_iter().map(|path| path.display().to_string())
}

fn collect_cgroups(dir: &Path, inside: bool, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if depth > 8 || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let ours = inside || is_ours(&entry.file_name().to_string_lossy());
        if ours {
            found.push(entry.path());
        }
        collect_cgroups(&entry.path(), ours, depth + 1, found);
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_mount_belongs_by_its_point_its_source_or_its_layers() {
        let table = "\
30 1 8:1 / / rw - ext4 /dev/vda rw
31 30 0:40 / /srv/x rw - overlay overlay rw,lowerdir=/h/layers/a,upperdir=/h/up
32 30 8:1 /h/volumes/v /elsewhere rw - ext4 /dev/vda rw
33 30 0:41 / /home2/merged rw - overlay overlay rw,lowerdir=/home2/layers
";
        let marks = ["/h/".to_owned()];
        assert_eq!(mounts(table, &marks).collect::<Vec<_>>(), ["/srv/x", "/elsewhere"]);
    }

    #[test]
    fn a_process_is_found_by_its_arguments_and_by_its_environment() {
        let folder = tempfile::tempdir().unwrap();
        let before = Snapshot::take(&[folder.path()]);
        let sleeper = |by_argument: bool| {
            let mut command = Command::new("sh");
            if by_argument {
                command.args(["-c", "sleep 30; true", folder.path().to_str().unwrap()]);
            } else {
                command.args(["-c", "sleep 30; true"]).env("TANDEM_HOME", folder.path());
            }
            command.stdin(Stdio::null()).process_group_kill()
        };
        for by_argument in [true, false] {
            let guard = sleeper(by_argument);
            let seen =
                crate::poll::until("the process", std::time::Duration::from_secs(30), || {
                    let left = Snapshot::take(&[folder.path()]).since(&before);
                    left.iter().any(|line| line.starts_with("process ")).then_some(left)
                });
            drop(guard);
            seen.unwrap();
        }
        let gone =
            crate::poll::until("a clean machine", std::time::Duration::from_secs(30), || {
                Snapshot::take(&[folder.path()]).since(&before).is_empty().then_some(())
            });
        gone.unwrap();
    }

    #[test]
    fn cgroups_of_ours_are_found_at_any_depth() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("memory/tandem/abc")).unwrap();
        fs::create_dir_all(root.path().join("memory/other")).unwrap();
        let found: Vec<_> = cgroups(root.path()).collect();
        assert_eq!(found.len(), 2, "{found:?}");
    }

    /// Starts a process in a group of its own, killed whole on drop.
    trait ProcessGroup {
        fn process_group_kill(&mut self) -> Guard;
    }

    struct Guard(std::process::Child);

    impl ProcessGroup for Command {
        fn process_group_kill(&mut self) -> Guard {
            use std::os::unix::process::CommandExt as _;
            Guard(self.process_group(0).spawn().unwrap())
        }
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            let group = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
            let _ = self.0.wait();
        }
    }
}
