use std::{
    fs::File,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_home::{read_json, write_json};

use super::{ForeignDisk, check::Part};
use crate::{
    disk::{
        CarryError, Chain,
        flat::{Target, convert},
        qcow2::{first_sector, write_empty},
    },
    machine::Uefi,
};

/// `foreign.json` in the folder of an instance whose disk came from elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Mark {
    version: u32,
    #[serde(default)]
    firmware: Firmware,
    /// Bytes of each disk, when it has several: all lie in one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    disks: Vec<u64>,
}

/// A disk of several that lie in one: where it begins there, and its bytes.
pub(crate) type Place = (u64, u64);

/// Disks in one begin at whole multiples of this, bytes.
const ALIGNMENT: u64 = 1 << 20;

/// Where disks of these sizes lie in one, and the size of that.
fn places(sizes: &[u64]) -> (Vec<Place>, u64) {
    let mut end = 0;
    let places = sizes.iter().map(|size| {
        let begin = end;
        end = (begin + size).next_multiple_of(ALIGNMENT);
        (begin, *size)
    });
    (places.collect(), end)
}

/// What starts a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Firmware {
    /// The program in its first sector.
    #[default]
    Bios,
    /// A file on one of its partitions.
    Uefi,
}

const FILE: &str = "foreign.json";

/// Whether the disk of the instance in `dir` came from elsewhere: its operating
/// system knows nothing of us, and nothing is beneath it.
pub fn is_foreign(dir: &Path) -> Result<bool, BackendError> {
    Ok(firmware_of(dir)?.is_some())
}

/// What starts the disk of the instance in `dir`, if that came from elsewhere.
pub(crate) fn firmware_of(dir: &Path) -> Result<Option<Firmware>, BackendError> {
    Ok(mark_of(dir)?.map(|mark| mark.firmware))
}

/// The disks of the instance in `dir`, where it has several.
pub(crate) fn places_of(dir: &Path) -> Result<Vec<Place>, BackendError> {
    Ok(mark_of(dir)?.map_or_else(Vec::new, |mark| places(&mark.disks).0))
}

fn mark_of(dir: &Path) -> Result<Option<Mark>, BackendError> {
    Ok(read_json(&dir.join(FILE))?)
}

/// Says so of the instance in `dir`.
fn mark_foreign(dir: &Path, firmware: Firmware, disks: Vec<u64>) -> Result<(), BackendError> {
    Ok(write_json(&dir.join(FILE), &Mark { version: 1, firmware, disks })?)
}

/// Says the same of the instance in `to` as of the one in `from`, if its disk
/// came from elsewhere. What UEFI remembers goes along.
pub(crate) fn copy_mark(from: &Path, to: &Path) -> Result<(), BackendError> {
    let Some(Mark { firmware, disks, .. }) = mark_of(from)? else { return Ok(()) };
    if firmware == Firmware::Uefi {
        let (source, target) = (variables_of(from), variables_of(to));
        std::fs::copy(&source, &target).map_err(|e| BackendError::io("copy", &source, e))?;
    }
    mark_foreign(to, firmware, disks)
}

/// What UEFI remembers of the machine in `dir`.
pub(crate) fn variables_of(dir: &Path) -> PathBuf {
    dir.join("uefi.fd")
}

/// Makes the disk of the instance in `dir` of one that was looked at; several
/// lie in one, so that a snapshot has all of them in the same moment. Dropping
/// the future ends the work.
///
/// # Errors
/// When it has nothing that boots, or cannot be read, or UEFI is missing for
/// one that it alone starts.
pub async fn take_disk(disk: &ForeignDisk, dir: &Path) -> Result<(), CarryError> {
    let path = dir.join(Chain::load(dir)?.top());
    let failed = |e| BackendError::io("make the disk", &path, e);
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path);
    let file = file.map_err(failed)?;
    let sizes = match &disk.parts[..] {
        [Part { node: Some(node), .. }] => {
            convert(node, "qcow2", &[], Target::Open(&file)).await?;
            Vec::new()
        }
        parts => {
            let sizes: Vec<u64> = parts.iter().map(|part| part.size).collect();
            let (places, size) = places(&sizes);
            write_empty(&file, size).map_err(failed)?;
            for (part, place) in parts.iter().zip(places) {
                if let Some(node) = &part.node {
                    convert(node, "qcow2", &[], Target::Place(&file, place)).await?;
                }
            }
            sizes
        }
    };
    let firmware = starter(&first_sector(&file).map_err(failed)?)
        .map_err(|why| CarryError::Unfit(why.to_owned()))?;
    if firmware == Firmware::Uefi {
        give_variables(&Uefi::find()?, dir)?;
    }
    Ok(mark_foreign(dir, firmware, sizes)?)
}

/// The first state of what UEFI remembers, as the machine's own.
fn give_variables(uefi: &Uefi, dir: &Path) -> Result<(), BackendError> {
    let path = variables_of(dir);
    let failed = |e| BackendError::io("write", &path, e);
    let bytes =
        std::fs::read(&uefi.variables).map_err(|e| BackendError::io("read", &uefi.variables, e))?;
    let mut options = File::options();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    file.write_all(&bytes).map_err(failed)
}

/// What starts a disk, by its first sector: without a program there it can only
/// be UEFI.
fn starter(first: &[u8; 512]) -> Result<Firmware, &'static str> {
    match first {
        [.., 0x55, 0xaa] if first[..440].iter().any(|byte| *byte != 0) => Ok(Firmware::Bios),
        [.., 0x55, 0xaa] => Ok(Firmware::Uefi),
        _ => Err("the disk has no boot sector, so that no machine starts from it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_a_program_is_refused() {
        let mut sector = [0; 512];
        assert!(starter(&sector).unwrap_err().contains("no boot sector"));
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector[450] = 0xee;
        assert_eq!(starter(&sector), Ok(Firmware::Uefi));
        sector[0] = 0xeb;
        assert_eq!(starter(&sector), Ok(Firmware::Bios));
    }

    #[test]
    fn an_instance_is_marked() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_foreign(dir.path()).unwrap());
        mark_foreign(dir.path(), Firmware::Uefi, vec![512, 3 << 20, 5]).unwrap();
        let places = [(0, 512), (1 << 20, 3 << 20), (4 << 20, 5)];
        assert_eq!(places_of(dir.path()).unwrap(), places);
        assert!(is_foreign(dir.path()).unwrap());
        assert_eq!(firmware_of(dir.path()).unwrap(), Some(Firmware::Uefi));
        // As an earlier version wrote it.
        std::fs::write(dir.path().join(FILE), "{\"version\":1}").unwrap();
        assert_eq!(firmware_of(dir.path()).unwrap(), Some(Firmware::Bios));
        assert!(places_of(dir.path()).unwrap().is_empty());
    }
}
