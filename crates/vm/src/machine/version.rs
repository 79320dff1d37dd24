//! Which QEMU it is: some are too old, and some do not even say.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::retry_on_intr,
    process::{Pid, PidfdFlags, pidfd_open},
};
use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_home::{Home, read_json, write_json};

use super::program::Qemu;

/// The oldest that runs machines: Debian 12's.
const LEAST: (u32, u32) = (7, 2);

/// The oldest that writes each page of a guest's memory to a place of its own
/// in a file (`mapped-ram`, since 9.0), maps a file that it may only read as
/// memory (`rom=off`, since 8.2) and lets go of a descriptor at once while the
/// machine stands still.
const LEAST_FOR_MAPPING: (u32, u32) = (9, 1);

/// How to get a newer QEMU.
pub(crate) const NEWER_FIX: &str = "take a newer one, on Debian 12 with `sudo apt-get install -t bookworm-backports qemu-system-x86 qemu-utils`";

/// What to do with one that does not work.
const AGAIN_FIX: &str = "run that by hand, and install QEMU again with `sudo apt-get install --reinstall qemu-system-x86`";

/// A program that does not tell its version in this time, on a busy machine
/// too, runs no machine either.
const VERSION_LIMIT: Duration = Duration::from_secs(30);

impl Qemu {
    /// Its version. It is asked once; the home remembers.
    pub(crate) fn remembered_version(&self, home: &Home) -> Result<String, BackendError> {
        let path = home.cache().join(HEARD);
        let file = mark(&self.program);
        let heard: Option<Heard> = read_json(&path).ok().flatten();
        let same = |it: &Heard| it.program == self.program && Some(it.file) == file;
        if let Some(heard) = heard.filter(same) {
            return Ok(heard.version);
        }
        let version = self.version()?;
        if let Some(file) = file {
            let heard = Heard { program: self.program.clone(), file, version: version.clone() };
            // A home that cannot be written to asks again.
            let _ = write_json(&path, &heard);
        }
        Ok(version)
    }

    /// Its version, by asking it.
    pub(crate) fn version(&self) -> Result<String, BackendError> {
        self.version_within(VERSION_LIMIT)
    }

    fn version_within(&self, limit: Duration) -> Result<String, BackendError> {
        let failed = |e| BackendError::io("run", &self.program, e);
        let wrong = |why: &str| BackendError::Unavailable {
            what: "QEMU".to_owned(),
            why: format!("`{} --version` {why}", self.program.display()),
            fix: AGAIN_FIX.to_owned(),
        };
        let mut asked = Command::new(&self.program)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if !ends_within(&asked, limit).map_err(failed)? {
            asked.kill().and_then(|()| asked.wait()).map_err(failed)?;
            return Err(wrong(&format!("gave no answer within {} s", limit.as_secs())));
        }
        let output = asked.wait_with_output().map_err(failed)?;
        let text = String::from_utf8_lossy(&output.stdout);
        version_in(&text).map(str::to_owned).ok_or_else(|| {
            let said = String::from_utf8_lossy(&output.stderr);
            let line = said.lines().rfind(|line| !line.trim().is_empty());
            let said = line
                .map_or("and told no version".to_owned(), |it| format!("and said: {}", it.trim()));
            wrong(&format!("ended with {} {said}", output.status))
        })
    }
}

/// What was heard from a program, as long as it is the same file.
#[derive(Debug, Serialize, Deserialize)]
struct Heard {
    program: PathBuf,
    /// Device, inode, length, and the last change of either in nanoseconds.
    file: (u64, u64, u64, i64),
    version: String,
}

const HEARD: &str = "qemu.json";

fn mark(program: &Path) -> Option<(u64, u64, u64, i64)> {
    let it = fs::metadata(program).ok()?;
    let changed = it.ctime().checked_mul(1_000_000_000)?.checked_add(it.ctime_nsec())?;
    Some((it.dev(), it.ino(), it.len(), changed))
}

/// Refuses a QEMU that is too old for any machine.
pub(crate) fn runs_machines(version: &str) -> Result<(), BackendError> {
    if is_at_least(version, LEAST) {
        return Ok(());
    }
    let (major, minor) = LEAST;
    Err(BackendError::Unavailable {
        what: "QEMU".to_owned(),
        why: format!("QEMU {version} is too old, machines need {major}.{minor} at least"),
        fix: NEWER_FIX.to_owned(),
    })
}

/// Whether a guest's memory is a file whose pages have places of their own, in
/// a snapshot and for the starts from a template. An older QEMU saves it as a
/// stream, and each start from a template has a copy.
pub(crate) fn maps_memory(version: &str) -> bool {
    is_at_least(version, LEAST_FOR_MAPPING)
}

/// A version that cannot be read is no reason: QEMU will say what it lacks.
fn is_at_least(version: &str, least: (u32, u32)) -> bool {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|it| it.parse::<u32>().ok());
    let (major, minor) = (numbers.next().flatten(), numbers.next().flatten());
    major.is_none_or(|major| (major, minor.unwrap_or(0)) >= least)
}

/// Whether a child ends in time.
fn ends_within(child: &Child, limit: Duration) -> io::Result<bool> {
    let ended = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let limit = Timespec { tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
    let mut told = [PollFd::new(&ended, PollFlags::IN)];
    Ok(retry_on_intr(|| poll(&mut told, Some(&limit)))? > 0)
}

fn version_in(text: &str) -> Option<&str> {
    text.split_once("version ")?.1.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_old_qemu_is_told_from_one_that_will_do() {
        for version in ["7.2.22", "7.2", "10.0.2", "8.2.0-rc1", "of today"] {
            runs_machines(version).unwrap();
        }
        let said = runs_machines("4.2.1").unwrap_err().to_string();
        assert!(said.contains("QEMU 4.2.1 is too old") && said.contains("7.2 at least"), "{said}");
        assert!(runs_machines("7.1.9").is_err());
        assert!(["9.1.0", "10.0.2", "of today"].into_iter().all(maps_memory));
        assert!(!["7.2.22", "8.2.0", "9.0.5"].into_iter().any(maps_memory));
    }

    /// A program that stands for QEMU.
    fn stand_in(dir: &Path, script: &str) -> Qemu {
        let (program, fresh) = (dir.join("qemu"), dir.join("fresh"));
        fs::write(&fresh, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&fresh, &program).unwrap();
        Qemu { program, firmware: PathBuf::new() }
    }

    #[test]
    fn one_that_hangs_or_fails_is_told_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let said = |script: &str, limit| {
            let qemu = stand_in(dir.path(), script);
            qemu.version_within(Duration::from_secs(limit)).unwrap_err().to_string()
        };
        assert!(said("exec sleep 1000", 1).contains("no answer within 1 s"));
        let text = said("exit 3", 20);
        assert!(text.contains("exit status: 3 and told no version"), "{text}");
        let text = said("echo libfdt.so.1: not found >&2; exit 127", 20);
        assert!(text.contains("said: libfdt.so.1: not found"), "{text}");
    }

    #[test]
    fn another_program_is_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(dir.path())).unwrap();
        fs::create_dir_all(home.cache()).unwrap();
        for version in ["10.0.2", "9.1.0"] {
            let asked = dir.path().join("asked").display().to_string();
            let script = format!("echo asked >> {asked}\necho QEMU version {version} x");
            let qemu = stand_in(dir.path(), &script);
            for _ in 0..2 {
                assert_eq!(qemu.remembered_version(&home).unwrap(), version);
            }
        }
        let asked = fs::read_to_string(dir.path().join("asked")).unwrap();
        assert_eq!(asked.lines().count(), 2);
    }

    #[test]
    fn the_version_is_cut_out() {
        let text = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright\n";
        assert_eq!(version_in(text), Some("10.0.2"));
        assert_eq!(version_in("Illegal instruction"), None);
    }
}
