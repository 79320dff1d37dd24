use std::{
    fs::{File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use crate::HomeError;

/// An exclusive or shared lock on a file, held until dropped or until the
/// process ends (`flock(2)`). The file is made when it is not there and is
/// never removed by the lock. In a home that cannot be written to, a file that
/// is not there is held by nobody, and stays so.
#[derive(Debug)]
pub struct Lock {
    _file: Option<File>,
}

impl Lock {
    /// Takes the lock for oneself, waiting for it.
    pub fn exclusive(path: &Path) -> Result<Self, HomeError> {
        let file = open(path)?;
        take(file.as_ref(), path, FlockOperation::LockExclusive)?;
        Ok(Self { _file: file })
    }

    /// Takes the lock together with other readers, waiting for it.
    pub fn shared(path: &Path) -> Result<Self, HomeError> {
        let file = open(path)?;
        take(file.as_ref(), path, FlockOperation::LockShared)?;
        Ok(Self { _file: file })
    }

    /// Takes the lock for oneself when it is free; `None` when somebody has it.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>, HomeError> {
        let file = open(path)?;
        let taken = take(file.as_ref(), path, FlockOperation::NonBlockingLockExclusive)?;
        Ok(taken.then_some(Self { _file: file }))
    }
}

fn open(path: &Path) -> Result<Option<File>, HomeError> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path);
    let error = match opened {
        Ok(file) => return Ok(Some(file)),
        Err(error) => error,
    };
    // Whoever only reads may lock as well.
    match (error.kind(), File::open(path)) {
        (ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied, Ok(file)) => Ok(Some(file)),
        (ErrorKind::ReadOnlyFilesystem, Err(e)) if e.kind() == ErrorKind::NotFound => Ok(None),
        _ => Err(HomeError::io("open the lock", path, error)),
    }
}

/// False when somebody else has it and the operation does not wait.
fn take(file: Option<&File>, path: &Path, operation: FlockOperation) -> Result<bool, HomeError> {
    let Some(file) = file else { return Ok(true) };
    loop {
        match flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
            Err(e) => return Err(HomeError::io("lock", path, e.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_turned_away_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::try_exclusive(&path).unwrap();
        assert!(first.is_some());
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop(first);
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
    }
}
