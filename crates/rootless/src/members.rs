//! Who lives in a home's namespace.

use std::{fs, fs::File, io, path::PathBuf};

use tandem_home::{Home, HomeError, Lock, read_json, write_json_volatile};
use tandem_model::ProcessIdentity;
use tandem_probe::{alive, identity};

/// The register of a home, held against others while it lives.
pub(crate) struct Members {
    dir: PathBuf,
    instances: PathBuf,
    _lock: Lock,
}

impl Members {
    /// Waits until nobody else is at it.
    pub(crate) fn open(home: &Home) -> Result<Self, HomeError> {
        let dir = home.members();
        tandem_home::make_private_dir(&dir)?;
        let lock = Lock::exclusive(&dir.join(".lock"))?;
        Ok(Self { dir, instances: home.instances(), _lock: lock })
    }

    /// The user namespace of a living process of this home other than the
    /// caller; forgets those that are dead.
    pub(crate) fn namespace(&self) -> Option<File> {
        self.registered().or_else(|| self.left_over())
    }

    fn registered(&self) -> Option<File> {
        let own = std::process::id();
        for entry in fs::read_dir(&self.dir).ok()?.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let member: Option<ProcessIdentity> = read_json(&entry.path()).ok().flatten();
            match member.filter(|member| member.pid == pid && alive(*member)) {
                None => drop(fs::remove_file(entry.path())),
                Some(member) if pid != own => {
                    // Only what is still the same process afterwards was it.
                    let found = namespace_of(pid).filter(|_| alive(member));
                    if found.is_some() {
                        return found;
                    }
                }
                Some(_) => {}
            }
        }
        None
    }

    /// That of an app whose supervisor was killed: nobody from another
    /// namespace could end it.
    fn left_over(&self) -> Option<File> {
        let ids = fs::read_dir(&self.instances).ok()?.flatten();
        let marks: Vec<String> = ids
            .filter_map(|entry| entry.file_name().into_string().ok())
            .map(|id| format!(" - overlay tandem-{id} "))
            .collect();
        if marks.is_empty() {
            return None;
        }
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| {
            fs::read_to_string(format!("/proc/{pid}/mountinfo"))
                .is_ok_and(|mounts| marks.iter().any(|mark| mounts.contains(mark)))
        })
        .find_map(namespace_of)
    }

    /// Writes the calling process down.
    pub(crate) fn add(&self) -> Result<(), HomeError> {
        let pid = std::process::id();
        match identity(pid) {
            Some(own) => write_json_volatile(&self.dir.join(pid.to_string()), &own),
            // Without /proc nobody could find it either.
            None => Ok(()),
        }
    }
}

/// The user namespace of a process, unless it cannot be entered.
fn namespace_of(pid: u32) -> Option<File> {
    File::open(format!("/proc/{pid}/ns/user")).ok()
}

/// Whether two descriptors are the same namespace.
pub(crate) fn is_own(namespace: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let own = fs::metadata("/proc/self/ns/user")?;
    let other = namespace.metadata()?;
    Ok((own.dev(), own.ino()) == (other.dev(), other.ino()))
}
