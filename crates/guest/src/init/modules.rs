//! Kernel modules.

use std::{ffi::CStr, fs::File, io, os::fd::AsRawFd as _, path::Path};

/// Loads modules in the order given; one that is there already is fine.
pub(super) fn load(dir: &Path, names: &[String]) -> io::Result<()> {
    for name in names {
        let file = File::open(dir.join(name)).map_err(|e| named(name, &e))?;
        load_file(&file).map_err(|e| named(name, &e))?;
    }
    Ok(())
}

/// Loads one module (finit_module(2)).
pub(super) fn load_file(file: &File) -> io::Result<()> {
    let parameters: &CStr = c"";
    // SAFETY: the descriptor is open and the parameters are a valid string.
    let result =
        unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), parameters.as_ptr(), 0) };
    match io::Error::last_os_error() {
        _ if result == 0 => Ok(()),
        e if e.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        e => Err(e),
    }
}

fn named(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}
