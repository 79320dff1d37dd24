use std::path::{Path, PathBuf};

use tandem_backend::BackendError;

/// Folders in which distributions put it, and the names of its two parts:
/// Debian's first.
const PLACES: [(&str, &str, &str); 4] = [
    ("OVMF", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
    ("OVMF", "OVMF_CODE.fd", "OVMF_VARS.fd"),
    ("edk2/x64", "OVMF_CODE.4m.fd", "OVMF_VARS.4m.fd"),
    ("edk2/ovmf", "OVMF_CODE.fd", "OVMF_VARS.fd"),
];

/// UEFI for machines (OVMF): a program that all share, and the first state of
/// what it remembers, of which each machine has a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uefi {
    pub(crate) code: PathBuf,
    pub(crate) variables: PathBuf,
}

impl Uefi {
    /// Finds it.
    pub(crate) fn find() -> Result<Self, BackendError> {
        Self::below(Path::new("/usr/share")).ok_or_else(|| BackendError::Unavailable {
            what: "a machine for this disk".to_owned(),
            why: "the disk is started by UEFI only, and no UEFI for machines is installed (OVMF)"
                .to_owned(),
            fix: "run `sudo apt-get install ovmf` and try again".to_owned(),
        })
    }

    fn below(root: &Path) -> Option<Self> {
        PLACES.iter().find_map(|(folder, code, variables)| {
            let folder = root.join(folder);
            let found = Self { code: folder.join(code), variables: folder.join(variables) };
            (found.code.is_file() && found.variables.is_file()).then_some(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_only_when_both_parts_are_there() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("edk2/ovmf");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("OVMF_CODE.fd"), "code").unwrap();
        assert_eq!(Uefi::below(root.path()), None);
        std::fs::write(folder.join("OVMF_VARS.fd"), "variables").unwrap();
        assert_eq!(Uefi::below(root.path()).unwrap().code, folder.join("OVMF_CODE.fd"));
    }
}
