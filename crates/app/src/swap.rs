use std::{io, path::Path};

use tandem_home::make_private_dir;

use crate::AppError;

/// Puts a folder in another's place in one step; the other one is where the
/// first one was.
pub(crate) fn exchange(fresh: &Path, to: &Path) -> Result<(), AppError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    if let Some(parent) = to.parent() {
        make_private_dir(parent)?;
    }
    match renameat_with(CWD, fresh, CWD, to, RenameFlags::EXCHANGE) {
        Err(rustix::io::Errno::NOENT) => crate::snapshot::rename(fresh, to),
        other => other.map_err(|e| AppError::io("put in place", to, io::Error::from(e))),
    }
}
