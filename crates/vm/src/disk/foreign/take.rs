use std::{fs::File, os::unix::fs::OpenOptionsExt as _, path::Path};

use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_home::{read_json, write_json};

use super::ForeignDisk;
use crate::disk::{
    CarryError, Chain,
    flat::{Target, convert},
    qcow2::first_sector,
};

/// `foreign.json` in the folder of an instance whose disk came from elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Mark {
    version: u32,
}

const FILE: &str = "foreign.json";

/// Whether the disk of the instance in `dir` came from elsewhere: its operating
/// system knows nothing of us, and nothing is beneath it.
pub fn is_foreign(dir: &Path) -> Result<bool, BackendError> {
    let mark: Option<Mark> = read_json(&dir.join(FILE))?;
    Ok(mark.is_some())
}

/// Says so of the instance in `dir`.
pub(crate) fn mark_foreign(dir: &Path) -> Result<(), BackendError> {
    Ok(write_json(&dir.join(FILE), &Mark { version: 1 })?)
}

/// Makes the disk of the instance in `dir` of one that was looked at. Dropping
/// the future ends the work.
///
/// # Errors
/// When it has nothing that a BIOS boots, or cannot be read.
pub async fn take_disk(disk: &ForeignDisk, dir: &Path) -> Result<(), CarryError> {
    let path = dir.join(Chain::load(dir)?.top());
    let failed = |e| BackendError::io("make the disk", &path, e);
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path);
    let file = file.map_err(failed)?;
    convert(&disk.node, "qcow2", &[], Target::Open(&file)).await?;
    bootable(&first_sector(&file).map_err(failed)?)
        .map_err(|why| CarryError::Unfit(why.to_owned()))?;
    Ok(mark_foreign(dir)?)
}

/// Refuses a disk by its first sector.
fn bootable(first: &[u8; 512]) -> Result<(), &'static str> {
    match first {
        [.., 0x55, 0xaa] if first[..440].iter().any(|byte| *byte != 0) => Ok(()),
        [.., 0x55, 0xaa] => Err("the disk is started by UEFI only, and machines here have a BIOS"),
        _ => Err("the disk has no boot sector, so that no machine starts from it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_a_program_is_refused() {
        let mut sector = [0; 512];
        assert!(bootable(&sector).unwrap_err().contains("no boot sector"));
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector[450] = 0xee;
        assert!(bootable(&sector).unwrap_err().contains("UEFI"));
        sector[0] = 0xeb;
        assert_eq!(bootable(&sector), Ok(()));
    }

    #[test]
    fn an_instance_is_marked() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_foreign(dir.path()).unwrap());
        mark_foreign(dir.path()).unwrap();
        assert!(is_foreign(dir.path()).unwrap());
    }
}
