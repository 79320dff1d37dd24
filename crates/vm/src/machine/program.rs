use std::{
    env,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tandem_backend::BackendError;

/// How to get QEMU.
pub(crate) const QEMU_FIX: &str = "run `sudo apt-get install qemu-system-x86`";

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
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}
