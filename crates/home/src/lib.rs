//! `$TANDEM_HOME`: where everything lies on disk, and how it is written so
//! that no crash leaves half of it.
//!
//! Writes go to a [`Draft`] in the same folder, are synced and named.
//! Locks are `flock(2)` locks: the kernel drops them when their holder dies,
//! so a lock that can be taken means that nobody is there.

mod companion;
mod draft;
mod lock;
mod lookout;
mod scratch;
mod write;

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

pub use companion::companions;
pub use draft::Draft;
pub use lock::Lock;
pub use lookout::Lookout;
pub use scratch::Scratch;
pub use write::{read_json, write_atomic, write_json, write_json_volatile};

/// What can go wrong with the home folder.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Neither `$TANDEM_HOME`, `$XDG_DATA_HOME` nor `$HOME` is set.
    #[error("no place for Tandem's data is known: set TANDEM_HOME to a folder")]
    NoPlace,
    /// The folder belongs to another user.
    #[error(
        "{path} belongs to another user, and a home is used by one user only: choose another \
         folder with --home or TANDEM_HOME"
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}: {}", reason(source))]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// A stored file cannot be read back.
    #[error("{path} is damaged ({reason}): move it away and try again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl HomeError {
    /// Whether the disk is full.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

/// The operating system's answer; with what next where that is always the same.
fn reason(source: &io::Error) -> String {
    let next = match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem => "mount it writable",
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            "move away what stands where a folder has to be"
        }
        io::ErrorKind::StorageFull => "give some room back (tandem system df tells of it)",
        _ => return source.to_string(),
    };
    format!("{source}: {next}, or choose another folder with --home or TANDEM_HOME")
}

/// The paths below `$TANDEM_HOME` (DESIGN.md §4). Folders are made 0700.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Opens and, where needed, makes the home at `root`, or at
    /// `$TANDEM_HOME`, or at `$XDG_DATA_HOME/tandem`.
    pub fn open(root: Option<&Path>) -> Result<Self, HomeError> {
        let root = match root {
            Some(root) => root.to_owned(),
            None => default_root()?,
        };
        let root = std::path::absolute(&root).map_err(|e| HomeError::io("locate", &root, e))?;
        make_private_dir(&root)?;
        let metadata = fs::metadata(&root).map_err(|e| HomeError::io("read", &root, e))?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(HomeError::Foreign { path: root });
        }
        let home = Self { root };
        for dir in [
            home.images(),
            home.layers(),
            home.instances(),
            home.volumes(),
            home.networks(),
            home.kernels(),
            home.cache(),
            home.temporary(),
        ] {
            make_private_dir(&dir)?;
        }
        Ok(home)
    }

    /// The home at `root`, which whoever started this process has opened.
    /// Nothing is made, so one that was removed since does not come back.
    pub fn opened(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether nothing can be written here now: then it can be looked at only.
    pub fn is_read_only(&self) -> bool {
        rustix::fs::access(&self.root, rustix::fs::Access::WRITE_OK).is_err()
    }

    /// The OCI image layout.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Unpacked layers by chain id.
    pub fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    /// One folder for each instance.
    pub fn instances(&self) -> PathBuf {
        self.root.join("instances")
    }

    /// Named volumes.
    pub fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// Networks that a person made, a file each.
    pub fn networks(&self) -> PathBuf {
        self.root.join("networks")
    }

    /// Kernels and initial RAM disks for virtual machines.
    pub fn kernels(&self) -> PathBuf {
        self.root.join("kernels")
    }

    /// What can be made again: step cache, VM base disks, probe answers.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Work in progress. Each entry is locked by its maker; an entry whose
    /// lock is free was left behind and may be removed.
    pub fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Who lives in the user namespace of an ordinary user's home, a file for
    /// each process.
    pub fn members(&self) -> PathBuf {
        self.root.join("members")
    }

    /// Lessons of one's own, how far each is done, and their folders.
    pub fn lessons(&self) -> PathBuf {
        self.root.join("lessons")
    }

    /// The results database.
    pub fn results(&self) -> PathBuf {
        self.root.join("results.db")
    }
}

fn default_root() -> Result<PathBuf, HomeError> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("TANDEM_HOME")
        .or_else(|| set("XDG_DATA_HOME").map(|data| data.join("tandem")))
        .or_else(|| set("HOME").map(|home| home.join(".local/share/tandem")))
        .ok_or(HomeError::NoPlace)
}

/// Makes a folder, with its parents, that only its owner may enter.
pub fn make_private_dir(path: &Path) -> Result<(), HomeError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| HomeError::io("make the folder", path, e))?;
    let metadata = fs::metadata(path).map_err(|e| HomeError::io("read", path, e))?;
    if metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(|e| HomeError::io("set the mode of", path, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_the_way_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            let said = Home::open(Some(&path)).unwrap_err().to_string();
            assert!(said.contains("move away") && said.contains("--home"), "{said}");
            assert!(said.contains(&path.display().to_string()), "{said}");
        }
    }

    #[test]
    fn folders_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(&dir.path().join("deep/home"))).unwrap();
        for path in [home.root().to_owned(), home.images(), home.instances(), home.temporary()] {
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700, "{}", path.display());
        }
    }
}
