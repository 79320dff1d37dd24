//! The disk of an instance on its way to another home.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read as _},
    path::Path,
};

use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_home::{Home, Lock, make_private_dir};
use tandem_image::{Stop, Stoppable};

use super::{BaseRecord, Chain, base::disks, sparse};

/// What is carried of an instance's disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// The disk as it is.
    pub chain: Chain,
    /// The raw disk beneath it.
    base: BaseRecord,
}

/// Why a carried disk is not taken.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// It is not what it must be; a phrase.
    #[error("{0}")]
    Unfit(String),
    /// Something else failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Where the base lies among the parts.
const BASE_PART: &str = "base";

/// Where the memory of a snapshot lies beside its record.
pub const MEMORY_PART: &str = "memory.packed";

/// Packs the disk of the instance in `dir`: `chain`, and the layers that
/// `others` need, into the folder `out`. Nobody may write to them meanwhile.
/// It ends with an error soon after `stop` says so, as all here does.
pub fn pack_disk(
    home: &Home,
    dir: &Path,
    chain: Chain,
    others: &[&Chain],
    out: &Path,
    stop: Stop<'_>,
) -> Result<Carried, BackendError> {
    let base = BaseRecord::load(dir)?.ok_or_else(|| {
        let reason = "the instance has never run, so it has no disk: start it once with `tandem start`, and try again";
        BackendError::engine("packing the disk", reason)
    })?;
    pack_file(&base.find(home)?, &out.join(BASE_PART), stop)?;
    let all: BTreeSet<_> = others.iter().copied().chain([&chain]).flat_map(Chain::names).collect();
    for name in all {
        pack_file(&dir.join(name), &out.join(name), stop)?;
    }
    Ok(Carried { chain, base })
}

/// Packs one file.
pub fn pack_file(from: &Path, to: &Path, stop: Stop<'_>) -> Result<(), BackendError> {
    let source = File::open(from).map_err(|e| BackendError::io("open", from, e))?;
    let packed = File::create_new(to).map(BufWriter::new);
    let packed = packed.and_then(|to| sparse::pack(&source, to, stop));
    packed.map_err(|e| BackendError::io("write", to, e))
}

/// Unpacks one file.
pub fn unpack_file(from: &Path, to: &Path, stop: Stop<'_>) -> Result<(), CarryError> {
    let source = File::open(from).map_err(|e| BackendError::io("open", from, e))?;
    let target = File::create_new(to).map_err(|e| BackendError::io("make", to, e))?;
    sparse::unpack(BufReader::new(Stoppable::new(source, stop)), &target).map_err(|e| {
        match e.kind() {
            io::ErrorKind::StorageFull => BackendError::io("write", to, e).into(),
            _ => CarryError::Unfit(format!("{} cannot be unpacked: {e}", name_of(from))),
        }
    })
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Makes the disk in the folder `to` of the parts in `from`, with the layers
/// that `others` need. The base goes to the others of this home, unless it is
/// there. `scratch` is a folder of the home.
pub fn unpack_disk(
    home: &Home,
    from: &Path,
    carried: &Carried,
    others: &[&Chain],
    to: &Path,
    scratch: &Path,
    stop: Stop<'_>,
) -> Result<(), CarryError> {
    let all: BTreeSet<_> =
        others.iter().copied().chain([&carried.chain]).flat_map(Chain::names).collect();
    for name in all {
        let layer = to.join(name);
        unpack_file(&from.join(name), &layer, stop)?;
        harmless(&layer, carried.base.size).map_err(CarryError::Unfit)?;
    }
    let base = install_base(home, from, &carried.base, scratch, stop)?;
    base.save(to)?;
    carried.chain.save(to)?;
    Ok(())
}

fn install_base(
    home: &Home,
    from: &Path,
    wanted: &BaseRecord,
    scratch: &Path,
    stop: Stop<'_>,
) -> Result<BaseRecord, CarryError> {
    make_private_dir(&disks(home)).map_err(BackendError::from)?;
    let _lock = Lock::exclusive(&disks(home).join(".lock")).map_err(BackendError::from)?;
    if !wanted.is_plain() {
        return Err(CarryError::Unfit("its disk has no name that can be one".to_owned()));
    }
    if wanted.find(home).is_ok() {
        return Ok(wanted.clone());
    }
    let fresh = scratch.join("base");
    unpack_file(&from.join(BASE_PART), &fresh, stop)?;
    let mut found = BaseRecord::of(&fresh)?;
    if (found.size, &found.mark) != (wanted.size, &wanted.mark) {
        return Err(CarryError::Unfit("the disk beneath is another one".to_owned()));
    }
    // One of this home with the same files lies elsewhere on its blocks.
    found.name = format!("{}-{}", wanted.mark, wanted.name);
    if found.find(home).is_err() {
        let place = disks(home).join(&found.name);
        fs::rename(&fresh, &place).map_err(|e| BackendError::io("move into place", &place, e))?;
    }
    Ok(found)
}

/// Whether QEMU may open a layer that somebody else has made: it must be a
/// plain qcow2 disk of this size (QEMU, `docs/interop/qcow2.rst`). What it says
/// is beneath it does not matter, we say that ourselves; but a file for its data
/// would be opened.
fn harmless(path: &Path, size: u64) -> Result<(), String> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    read.map_err(|e| format!("{} cannot be read: {e}", name_of(path)))?;
    check_head(&head, size).map_err(|why| format!("{} {why}", name_of(path)))
}

/// Bytes of a version 3 header that say something to us.
const HEAD: u64 = 80;

/// The layer was not closed; QEMU mends that.
const DIRTY: u64 = 1;

pub(super) fn check_head(head: &[u8], size: u64) -> Result<(), &'static str> {
    let word = |at: usize| {
        let bytes = head.get(at..at + 4).and_then(<[u8]>::first_chunk);
        bytes.map(|bytes| u64::from(u32::from_be_bytes(*bytes)))
    };
    let long = |at: usize| Some(word(at)? << 32 | word(at + 4)?);
    let known = || Some((word(4)?, word(32)?, long(24)?, word(60)?, long(72)?));
    let (version, encryption, bytes, snapshots, features) =
        known().filter(|_| head.starts_with(b"QFI\xfb")).ok_or("is not a qcow2 disk")?;
    match () {
        () if version != 3 => Err("is a qcow2 disk of a version that is not ours"),
        () if encryption != 0 => Err("is an encrypted disk"),
        () if snapshots != 0 => Err("has snapshots of its own"),
        () if features & !DIRTY != 0 => Err("keeps its data in another file, or is no plain disk"),
        () if bytes != size => Err("has another size than what is beneath it"),
        () => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::disk::{Backing, make_overlay};

    fn head(dir: &Path) -> Vec<u8> {
        let path = dir.join("disk.qcow2");
        make_overlay(&path, Backing::Raw(Path::new("/base")), 1 << 30).unwrap();
        fs::read(path).unwrap()[..usize::try_from(HEAD).unwrap()].to_vec()
    }

    #[test]
    fn only_plain_disks_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let good = head(dir.path());
        assert_eq!(check_head(&good, 1 << 30), Ok(()));
        assert!(check_head(&good, 2 << 30).unwrap_err().contains("size"));
        let with = |at: usize, byte: u8| {
            let mut bad = good.clone();
            bad[at] = byte;
            check_head(&bad, 1 << 30)
        };
        assert_eq!(with(79, 1), Ok(()), "not closed");
        assert!(with(79, 4).unwrap_err().contains("another file"));
        assert!(with(35, 1).unwrap_err().contains("encrypted"));
        assert!(with(63, 1).unwrap_err().contains("snapshots"));
        assert!(with(7, 2).unwrap_err().contains("version"));
        assert!(with(0, 0).unwrap_err().contains("not a qcow2"));
    }

    #[test]
    fn a_disk_arrives_in_another_home_as_it_was() {
        let [here, there] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let home = |dir: &tempfile::TempDir| Home::open(Some(dir.path())).unwrap();
        let (here, there) = (home(&here), home(&there));
        make_private_dir(&disks(&here)).unwrap();
        let base = disks(&here).join("a.ext4");
        fs::write(&base, vec![3; 1 << 20]).unwrap();
        let [from, parts, to, scratch] = ["from", "parts", "to", "scratch"].map(|name| {
            let dir = here.root().join(name);
            make_private_dir(&dir).unwrap();
            dir
        });
        make_overlay(&from.join("disk.qcow2"), Backing::Raw(&base), 1 << 20).unwrap();
        BaseRecord::of(&base).unwrap().save(&from).unwrap();
        let first = Chain::load(&from).unwrap();
        let second = first.grow(&from).unwrap();

        let carried =
            pack_disk(&here, &from, first.clone(), &[&second], &parts, &|| false).unwrap();
        unpack_disk(&there, &parts, &carried, &[&second], &to, &scratch, &|| false).unwrap();
        assert_eq!(Chain::load(&to).unwrap(), first);
        assert!(to.join(second.top()).exists());
        let found = BaseRecord::load(&to).unwrap().unwrap().find(&there).unwrap();
        assert_eq!(fs::read(found).unwrap(), vec![3; 1 << 20]);

        // Its name leads nowhere, its files are those that it names, and it is
        // there once.
        let again = |base: BaseRecord| {
            fs::remove_dir_all(&to).unwrap();
            make_private_dir(&to).unwrap();
            let _ = fs::remove_file(scratch.join("base"));
            let carried = Carried { base, ..carried.clone() };
            unpack_disk(&there, &parts, &carried, &[], &to, &scratch, &|| false)
                .map_err(|e| e.to_string())
        };
        let base = carried.base.clone();
        let up = BaseRecord { name: "../a".to_owned(), ..base.clone() };
        assert!(again(up).unwrap_err().contains("no name"));
        let other = BaseRecord { mark: "0".repeat(32), ..base.clone() };
        assert!(again(other).unwrap_err().contains("another one"));
        again(base.clone()).unwrap();
        again(BaseRecord::load(&to).unwrap().unwrap()).unwrap();
        assert!(!scratch.join("base").exists(), "what is there needs no unpacking");

        // A layer that would make QEMU open something else stays out.
        let mut bytes = fs::read(from.join("disk.qcow2")).unwrap();
        bytes[79] = 4;
        fs::write(from.join("disk.qcow2"), bytes).unwrap();
        fs::remove_file(parts.join("disk.qcow2")).unwrap();
        pack_file(&from.join("disk.qcow2"), &parts.join("disk.qcow2"), &|| false).unwrap();
        fs::remove_dir_all(&to).unwrap();
        make_private_dir(&to).unwrap();
        let refused = unpack_disk(&there, &parts, &carried, &[], &to, &scratch, &|| false);
        assert!(refused.unwrap_err().to_string().contains("another file"));
    }

    proptest! {
        #[test]
        fn any_head_gets_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(check_head(&bytes, 1 << 30).is_err());
        }
    }
}
