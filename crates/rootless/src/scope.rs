//! Control groups from the person's own systemd.
//!
//! Limits want a control group in which one may make others. Whoever is logged
//! in has a manager of units that gives them away: a process becomes a *scope*
//! with `Delegate=yes` (systemd.scope(5), systemd.resource-control(5)). It is
//! asked through `busctl`, which comes with systemd. What is started afterwards
//! belongs to the scope, which ends with the last of it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::process::getuid;

/// The manager answers at once, or somebody is in its way.
const LIMIT: Duration = Duration::from_secs(2);

/// Makes the calling process a scope of its own, where the person's manager is
/// there and has not given a group already. What hinders that is no error:
/// things go on without limits, and the doctor says so.
pub(crate) fn settle() {
    let Some(own) = own_group() else { return };
    let Some(runtime) = runtime_folder() else { return };
    if is_delegated(&own) || !runtime.join("systemd/private").exists() {
        return;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let pid = std::process::id();
    let mut asking = ask(pid, &format!("tandem-{pid}-{since}.scope"));
    asking.env("XDG_RUNTIME_DIR", runtime);
    let begun = Instant::now();
    if !is_done(&mut asking, begun) {
        return;
    }
    // The manager moves this process after it has answered.
    while begun.elapsed() < LIMIT && own_group().as_ref() == Some(&own) {
        sleep(Duration::from_millis(1));
    }
}

/// The call to the manager (org.freedesktop.systemd1(5), `StartTransientUnit`).
fn ask(pid: u32, name: &str) -> Command {
    const SERVICE: &str = "org.freedesktop.systemd1";
    let mut command = Command::new("busctl");
    command.args(["--user", "--quiet", "call", SERVICE, "/org/freedesktop/systemd1"]);
    command.arg(format!("{SERVICE}.Manager"));
    command.args(["StartTransientUnit", "ssa(sv)a(sa(sv))", name, "fail", "4"]);
    command.args(["PIDs", "au", "1", &pid.to_string(), "Delegate", "b", "true"]);
    command.args(["Description", "s", "Tandem", "CollectMode", "s", "inactive-or-failed", "0"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Runs it to a good end within the limit.
fn is_done(command: &mut Command, begun: Instant) -> bool {
    let Ok(mut child) = command.spawn() else { return false };
    while begun.elapsed() < LIMIT {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => sleep(Duration::from_millis(1)),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Where the person's manager listens; `su` does not set it.
fn runtime_folder() -> Option<PathBuf> {
    let named = env::var_os("XDG_RUNTIME_DIR").filter(|it| !it.is_empty()).map(PathBuf::from);
    let usual = || PathBuf::from(format!("/run/user/{}", getuid().as_raw()));
    Some(named.unwrap_or_else(usual)).filter(|folder| folder.is_dir())
}

/// This process's group, where version 2 has all the controllers.
fn own_group() -> Option<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let has_all = root.join("cgroup.controllers").is_file();
    group_of(root, &fs::read_to_string("/proc/self/cgroup").ok()?).filter(|_| has_all)
}

/// `0::PATH` (cgroups(7)).
fn group_of(root: &Path, table: &str) -> Option<PathBuf> {
    let path = table.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(root.join(path))
}

/// Whether the manager marked the group, or the one above that was left for
/// groups with limits, as given away.
fn is_delegated(group: &Path) -> bool {
    let marked = |group: &Path| {
        let mut mark = [0; 8];
        let read = rustix::fs::getxattr(group, "user.delegate", &mut mark);
        read.is_ok_and(|length| mark.get(..length) == Some(b"1"))
    };
    marked(group) || group.parent().is_some_and(marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_in_the_table_of_either_kind() {
        let root = Path::new("/sys/fs/cgroup");
        let found = |table| group_of(root, table);
        assert_eq!(found("0::/user.slice/a.scope\n"), Some(root.join("user.slice/a.scope")));
        assert_eq!(found("5:memory:/x\n0::/\n"), Some(root.to_owned()));
        assert_eq!(found("5:memory:/x\n"), None);
    }

    #[test]
    fn the_manager_is_asked_for_a_scope_of_this_process_alone() {
        let command = ask(42, "tandem-42-1.scope");
        let words: Vec<_> = command.get_args().filter_map(|word| word.to_str()).collect();
        let words = words.join(" ");
        assert!(words.contains("tandem-42-1.scope fail 4 PIDs au 1 42 Delegate b true"), "{words}");
        assert!(words.ends_with(" 0"), "{words}");
    }

    #[test]
    fn whoever_does_not_answer_is_not_waited_for() {
        let past = Instant::now().checked_sub(LIMIT).unwrap();
        let begun = Instant::now();
        assert!(!is_done(Command::new("sleep").arg("60"), past));
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert!(is_done(&mut Command::new("true"), Instant::now()));
        assert!(!is_done(&mut Command::new("false"), Instant::now()));
        assert!(!is_done(&mut Command::new("/nowhere"), Instant::now()));
    }
}
