//! Files that QEMU is given open. It runs as a user who reaches none of them by
//! name: disks are sets of descriptors (QEMU, `docs/system/invocation`,
//! `-add-fd`), and what it opens in its own way has a name in its own `/proc`.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    os::{
        fd::{AsRawFd, RawFd},
        unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
    },
    path::{Path, PathBuf},
};

use tandem_backend::BackendError;

use super::{nodes::escaped, user::User};

/// What QEMU does with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    /// Also, once something lies on it, reading alone.
    Write,
}

/// Open files for a QEMU that is to be started.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    /// Who it will be; this process's user without.
    user: Option<User>,
    files: Vec<File>,
    sets: Vec<(u32, usize, PathBuf)>,
    /// What it reads by a name of its own.
    shown: Vec<PathBuf>,
    /// What it may also write to.
    given: Vec<PathBuf>,
    next: u32,
}

/// Sets with lower numbers are for layers of the disk, which change.
const FIRST_OF_OTHERS: u32 = 100_000;

/// The name of a set of descriptors.
pub(crate) fn set_name(set: u32) -> PathBuf {
    format!("/dev/fdset/{set}").into()
}

/// How a disk is opened for a set: one that is written to is read alone when
/// another layer is put on it, and QEMU looks for a descriptor that is no more
/// than that.
pub(crate) fn openings(path: &Path, access: Access) -> Result<Vec<File>, BackendError> {
    let open = |write: bool| {
        let opened = OpenOptions::new().read(true).write(write).open(path);
        opened.map_err(|e| BackendError::io("open", path, e))
    };
    match access {
        Access::Read => Ok(vec![open(false)?]),
        Access::Write => Ok(vec![open(true)?, open(false)?]),
    }
}

impl Handed {
    /// For a QEMU of this user.
    pub(crate) fn to(user: Option<User>) -> Self {
        Self { user, next: FIRST_OF_OTHERS, ..Self::default() }
    }

    /// Who QEMU will be.
    pub(super) fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// A disk of the machine; the name that QEMU has for it.
    pub(crate) fn disk(&mut self, path: &Path, access: Access) -> Result<PathBuf, BackendError> {
        self.next += 1;
        self.set(self.next, path, access)
    }

    /// A layer of its disk, in the set of this number.
    pub(crate) fn set(
        &mut self,
        set: u32,
        path: &Path,
        access: Access,
    ) -> Result<PathBuf, BackendError> {
        for file in openings(path, access)? {
            self.sets.push((set, self.files.len(), path.to_owned()));
            self.files.push(file);
        }
        Ok(set_name(set))
    }

    /// A file that QEMU reads in its own way, and everybody may who is given
    /// it: it lies in a folder that nobody else enters.
    pub(crate) fn shown(&mut self, path: &Path) -> Result<PathBuf, BackendError> {
        if self.user.is_some() {
            let failed = |e| BackendError::io("show QEMU", path, e);
            let mode = fs::metadata(path).map_err(failed)?.mode();
            if mode & 0o004 == 0 {
                let open = fs::Permissions::from_mode((mode & 0o7777) | 0o004);
                fs::set_permissions(path, open).map_err(failed)?;
            }
        }
        self.shown.push(path.to_owned());
        self.name(path)
    }

    /// A file of this machine alone, which QEMU may also write to.
    pub(crate) fn given(&mut self, path: &Path) -> Result<PathBuf, BackendError> {
        if let Some(user) = &self.user {
            let failed = |e| BackendError::io("give QEMU", path, e);
            chown(path, Some(user.id()), None).map_err(failed)?;
        }
        self.given.push(path.to_owned());
        self.name(path)
    }

    fn name(&mut self, path: &Path) -> Result<PathBuf, BackendError> {
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path);
        let file = opened.map_err(|e| BackendError::io("open", path, e))?;
        let name = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
        self.files.push(file);
        Ok(name)
    }

    /// Every [`Self::shown`].
    pub(super) fn shown_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.shown.iter()
    }

    /// Every [`Self::given`].
    pub(super) fn given_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.given.iter()
    }

    /// The descriptors that it inherits.
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        self.files.iter().map(AsRawFd::as_raw_fd).collect()
    }

    /// The values of its options `-add-fd`.
    pub(crate) fn options(&self) -> impl Iterator<Item = OsString> {
        self.sets.iter().map(|(set, at, path)| {
            let fd = self.files[*at].as_raw_fd();
            // For people who look: QEMU makes nothing of it.
            let mut option = OsString::from(format!("fd={fd},set={set},opaque="));
            option.push(escaped(path));
            option
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_a_set_and_a_file_a_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a,b");
        fs::write(&path, "x").unwrap();
        let mut handed = Handed::to(None);
        let names = [Access::Read, Access::Write].map(|access| handed.disk(&path, access).unwrap());
        assert_eq!(names, [set_name(100_001), set_name(100_002)]);
        let own = handed.shown(&path).unwrap();
        let open = handed.descriptors();
        assert_eq!((open.len(), &handed.shown), (4, &vec![path.clone()]));
        assert_eq!(own, PathBuf::from(format!("/proc/self/fd/{}", open[3])));
        let options: Vec<OsString> = handed.options().collect();
        let text = format!("fd={},set=100002,opaque={}/a,,b", open[2], dir.path().display());
        assert!(options.len() == 3 && options[2] == OsString::from(text), "{options:?}");
        let flags = |fd| rustix::fs::fcntl_getfl(&handed.files[fd]).unwrap();
        let access: Vec<_> = (0..3).map(|at| flags(at) & rustix::fs::OFlags::RWMODE).collect();
        assert_eq!(access[1], rustix::fs::OFlags::RDWR);
        assert!(access[0] == rustix::fs::OFlags::RDONLY && access[2] == access[0]);
        assert!(handed.disk(&dir.path().join("none"), Access::Read).is_err());
    }
}
