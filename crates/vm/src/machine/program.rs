use std::{
    env, fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_home::{Home, read_json, write_json};

/// How to get QEMU.
pub(crate) const QEMU_FIX: &str = "run `sudo apt-get install qemu-system-x86`";

/// The oldest that runs machines: Debian 12's.
const LEAST: (u32, u32) = (7, 2);

/// The oldest that writes each page of a guest's memory to a place of its own
/// in a file (`mapped-ram`, since 9.0), maps a file that it may only read as
/// memory (`rom=off`, since 8.2) and lets go of a descriptor at once while the
/// machine stands still.
const LEAST_FOR_MAPPING: (u32, u32) = (9, 1);

/// How to get a newer QEMU.
pub(crate) const NEWER_FIX: &str = "take a newer one, on Debian 12 with `sudo apt-get install -t bookworm-backports qemu-system-x86 qemu-utils`";

const PROGRAM: &str = "qemu-system-x86_64";

/// Small firmware that enters a PVH kernel at once; comes with QEMU.
const FIRMWARE: &str = "qboot.rom";

/// Where QEMU is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Qemu {
    pub(crate) program: PathBuf,
    pub(crate) firmware: PathBuf,
}

impl Qemu {
    /// Finds it on `PATH`.
    pub(crate) fn find() -> Result<Self, BackendError> {
        let missing = |why: String| BackendError::Unavailable {
            what: "QEMU".to_owned(),
            why,
            fix: QEMU_FIX.to_owned(),
        };
        let path = env::var_os("PATH").unwrap_or_default();
        let program = env::split_paths(&path)
            .map(|dir| dir.join(PROGRAM))
            .find(|file| is_executable(file))
            .ok_or_else(|| missing(format!("`{PROGRAM}` is not on PATH")))?;
        let beside =
            program.parent().and_then(Path::parent).map(|prefix| prefix.join("share/qemu"));
        let firmware = beside
            .into_iter()
            .chain([PathBuf::from("/usr/share/qemu"), PathBuf::from("/usr/share/seabios")])
            .map(|dir| dir.join(FIRMWARE))
            .find(|file| file.is_file())
            .ok_or_else(|| missing(format!("it has no firmware `{FIRMWARE}`")))?;
        Ok(Self { program, firmware })
    }

    /// The folder that it is installed below, e.g. `/usr`.
    pub(crate) fn place(&self) -> PathBuf {
        let program = std::fs::canonicalize(&self.program).unwrap_or_else(|_| self.program.clone());
        program.ancestors().nth(2).unwrap_or(Path::new("/usr")).to_owned()
    }

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
        let output = std::process::Command::new(&self.program)
            .arg("--version")
            .output()
            .map_err(|e| BackendError::io("run", &self.program, e))?;
        let text = String::from_utf8_lossy(&output.stdout);
        version_in(&text).map(str::to_owned).ok_or_else(|| {
            BackendError::engine("QEMU", String::from_utf8_lossy(&output.stderr).trim())
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

fn version_in(text: &str) -> Option<&str> {
    text.split_once("version ")?.1.split_whitespace().next()
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn another_program_is_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(dir.path())).unwrap();
        fs::create_dir_all(home.cache()).unwrap();
        let program = dir.path().join("qemu");
        let qemu = Qemu { program: program.clone(), firmware: PathBuf::new() };
        for version in ["10.0.2", "9.1.0"] {
            let script = format!(
                "#!/bin/sh\necho asked >> {}\necho QEMU version {version} x\n",
                dir.path().join("asked").display()
            );
            let fresh = dir.path().join("fresh");
            fs::write(&fresh, script).unwrap();
            fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
            fs::rename(&fresh, &program).unwrap();
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
