//! The program `criu`: where it is, how it is asked, and what it says.

use std::{
    ffi::OsString,
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tokio::process::Child;

/// How long a dump or a restore may take. Nothing of ours would end one that
/// hangs, and its supervisor waits for it.
const LIMIT: Duration = Duration::from_mins(5);

/// Where a system's own programs are, whatever PATH says.
const SYSTEM: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Finds the program on PATH and where a system has its own.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM.map(PathBuf::from))
        .map(|dir| dir.join("criu"))
        .find(|program| program.is_file())
}

/// What every dump and restore of ours is told. Images lie in `images`, the
/// log `LOG` in `work`.
pub(super) fn command(program: &Path, words: &[OsString], images: &Path, work: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(words)
        .arg("--images-dir")
        .arg(images)
        .arg("--work-dir")
        .arg(work)
        .args(["--log-file", LOG, "-v3"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Keys that interrupt a command must not end it half-way: whom it
        // holds would stay as they are just then.
        .process_group(0);
    command
}

/// Whether this version can leave the network open during a dump: its lock
/// would stay, should it be killed.
pub(super) fn leaves_network_open(program: &Path) -> bool {
    let said = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    said.is_ok_and(|said| version(&String::from_utf8_lossy(&said.stdout)) >= Some((4, 0)))
}

/// The first two numbers of `Version: 4.2.1`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers =
        text.lines().find_map(|line| line.strip_prefix("Version:"))?.trim().split('.');
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

/// The log's file.
pub(super) const LOG: &str = "criu.log";

/// Waits until it has ended; its own reason when it failed.
pub(super) async fn ended(mut child: Child, work: &Path) -> Result<(), String> {
    let status = match tokio::time::timeout(LIMIT, child.wait()).await {
        Ok(status) => status.map_err(|e| e.to_string())?,
        Err(_) => return Err(format!("it did not end within {} minutes", LIMIT.as_secs() / 60)),
    };
    if status.success() {
        return Ok(());
    }
    let log = fs::read(work.join(LOG)).unwrap_or_default();
    let reason = reason(&String::from_utf8_lossy(&log));
    Err(reason.unwrap_or_else(|| format!("it ended with {status} and said no reason")))
}

/// Errors that say nothing of the cause: what every run says, and what those
/// above a failure add to it.
const EMPTY: [&str; 6] = [
    "rlimit: Can't setup RLIMIT_NOFILE",
    "exited, status=",
    "Dumping FAILED",
    "Restoring FAILED",
    "failed with -1",
    "killed by signal",
];

/// The most that is repeated of a log.
const SAID: usize = 2;

/// Why it failed, from its log: `(00.01) Error (criu/file.c:12): why`. The
/// first errors are the cause, later ones follow from it.
pub(super) fn reason(log: &str) -> Option<String> {
    let mut said: Vec<&str> = Vec::new();
    for line in log.lines() {
        let Some((_, rest)) = line.split_once("Error (") else { continue };
        let Some((_, text)) = rest.split_once("): ") else { continue };
        let text = text.trim().trim_end_matches(['.', '!']);
        let told = !EMPTY.iter().any(|empty| text.contains(empty));
        if told && !text.is_empty() && !said.contains(&text) {
            said.push(text);
        }
    }
    said.truncate(SAID);
    (!said.is_empty()).then(|| said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG_OF_A_DUMP: &str = "\
(00.063892) Error (criu/util.c:1533): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted
(00.093865) Warn  (compel/infect.c:418): Will restore 8793 with interrupted system call
(00.094275) Error (criu/sockets.c:628): sockets: Can't get 1:16 opt: Operation not supported
(00.094277) Error (criu/sockets.c:628): sockets: Can't get 1:34 opt: Operation not supported
(00.094290) Error (criu/x.c:1): a third one
(00.094293) Error (criu/cr-dump.c:1681): Dump files (pid: 8793) failed with -1
(00.202682) Error (criu/cr-dump.c:2111): Dumping FAILED.
";

    #[test]
    fn the_reason_is_what_failed_first_and_not_what_every_log_says() {
        let reason = reason(LOG_OF_A_DUMP).unwrap();
        assert_eq!(
            reason,
            "sockets: Can't get 1:16 opt: Operation not supported; sockets: Can't get 1:34 opt: Operation not supported"
        );
    }

    #[test]
    fn a_version_is_two_numbers() {
        assert_eq!(version("Version: 4.2.1\n"), Some((4, 2)));
        assert_eq!(version("Version: 3.17\nGitID: v3.17\n"), Some((3, 17)));
        assert_eq!(version("criu: not found"), None);
    }

    #[test]
    fn a_log_without_a_reason_gives_none() {
        assert_eq!(reason(""), None);
        assert_eq!(reason("(00.2) Error (criu/cr-dump.c:2111): Dumping FAILED.\n"), None);
        assert_eq!(reason("Error (cut off"), None);
    }
}
