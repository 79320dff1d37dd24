//! The program that is the guest's first process, and the initial RAM disk
//! that brings it in.

use std::{
    env, fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use tandem_backend::BackendError;
use tandem_guest::wire::{BOOT_FILE, Boot};
use tandem_home::{Home, companions};

use crate::kernel::{Archive, Kernel, needs_interpreter};

/// Its file name.
const NAME: &str = "tandem-guest";

/// Finds the guest program that comes with `program`, the `tandem` executable,
/// or where `$TANDEM_GUEST` says. It must be static: an initial RAM disk has no
/// libraries.
pub fn guest_program(program: &Path) -> Result<PathBuf, BackendError> {
    let unavailable = |why: String| BackendError::Unavailable {
        what: "the guest program of virtual machines".to_owned(),
        why,
        fix: "install Tandem's package again, build it with `cargo xtask run`, or name it in \
              TANDEM_GUEST"
            .to_owned(),
    };
    if let Some(path) = env::var_os("TANDEM_GUEST").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return match is_static(&path) {
            Ok(true) => Ok(path),
            Ok(false) => Err(unavailable(format!("{} is not a static program", path.display()))),
            Err(e) => Err(unavailable(format!("{}: {e}", path.display()))),
        };
    }
    candidates(program)
        .find(|path| is_static(path).unwrap_or(false))
        .ok_or_else(|| unavailable(format!("no static `{NAME}` comes with {}", program.display())))
}

/// What comes with the program, and where cargo puts what was built for a
/// target of its own.
fn candidates(program: &Path) -> impl Iterator<Item = PathBuf> {
    const TARGET: &str = "x86_64-unknown-linux-gnu/release";
    let built: Vec<PathBuf> =
        program.ancestors().skip(2).take(2).map(|dir| dir.join(TARGET).join(NAME)).collect();
    companions(program, NAME).chain(built)
}

fn is_static(path: &Path) -> io::Result<bool> {
    Ok(needs_interpreter(&fs::read(path)?) == Some(false))
}

/// Writes the boot file alone, for a guest that asks QEMU for it. It holds the
/// app's environment.
pub(crate) fn write_boot(path: &Path, boot: &Boot) -> Result<(), BackendError> {
    let text = serde_json::to_vec(boot).map_err(|e| BackendError::engine("the boot file", e))?;
    write_private(path, &text)
}

/// Writes the initial RAM disk: the guest program, what it is to do, and the
/// kernel's modules. `boot` is missing in a probe, which goes no further than
/// the first process.
pub(crate) fn write_initrd(
    path: &Path,
    home: &Home,
    kernel: &Kernel,
    guest: &Path,
    boot: Option<&Boot>,
) -> Result<(), BackendError> {
    let read = |path: &Path| fs::read(path).map_err(|e| BackendError::io("read", path, e));
    let mut archive = Archive::default();
    archive.file("/init", true, &read(guest)?);
    if let Some(boot) = boot {
        let text =
            serde_json::to_vec(boot).map_err(|e| BackendError::engine("the boot file", e))?;
        archive.file(BOOT_FILE, false, &text);
    }
    let mut bytes = archive.unfinished();
    bytes.extend(read(&kernel.module_archive(home))?);
    write_private(path, &bytes)
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), BackendError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| io::Write::write_all(&mut file, bytes));
    written.map_err(|e| BackendError::io("write", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_is_looked_for_where_cargo_puts_it() {
        let found: Vec<_> = candidates(Path::new("/t/debug/deps/machine-1")).collect();
        for path in [
            "/t/debug/deps/tandem-guest",
            "/t/debug/tandem-guest",
            "/t/x86_64-unknown-linux-gnu/release/tandem-guest",
        ] {
            assert!(found.contains(&PathBuf::from(path)), "{path} in {found:?}");
        }
        let installed = candidates(Path::new("/usr/bin/tandem")).nth(2);
        assert_eq!(installed, Some(PathBuf::from("/usr/libexec/tandem/tandem-guest")));
    }
}
