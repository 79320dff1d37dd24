//! A file with holes as a stream, and back: only what lies between the holes
//! is carried, compressed.
//!
//! ```text
//! zstd( "tandem-sparse-1\n"  size  { offset  length  bytes }…  0  0 )
//! ```
//!
//! Numbers have eight bytes, the least significant first.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::fs::{SeekFrom as Rustix, seek};
use tandem_image::{Stop, Stoppable};

const MAGIC: &[u8; 16] = b"tandem-sparse-1\n";

/// The largest file that is taken: QEMU's disks and memories are far smaller.
const LARGEST: u64 = 1 << 44;

/// zstd's quickest level that still finds repetitions.
const LEVEL: i32 = 1;

/// Writes `file` with its holes left out, unless `stop` says otherwise.
pub(crate) fn pack(mut file: &File, target: impl Write, stop: Stop<'_>) -> io::Result<()> {
    let size = file.metadata()?.len();
    let mut target = zstd::Encoder::new(target, LEVEL)?;
    target.write_all(MAGIC)?;
    target.write_all(&size.to_le_bytes())?;
    let mut at = 0;
    while let Some(begin) = data_after(file, at, size)? {
        let end = seek(file, Rustix::Hole(begin))?.min(size);
        target.write_all(&begin.to_le_bytes())?;
        target.write_all(&(end - begin).to_le_bytes())?;
        file.seek(SeekFrom::Start(begin))?;
        let copied = io::copy(&mut Stoppable::new(file.take(end - begin), stop), &mut target)?;
        if copied != end - begin {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        at = end;
    }
    target.write_all(&[0; 16])?;
    target.finish()?.flush()
}

/// Makes the file `to` the same as `from`, for its owner alone: holes stay
/// holes, and a file system that can shares the rest.
pub(crate) fn copy_with_holes(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut options = File::options();
    let mut target = options.write(true).create(true).truncate(true).mode(0o600).open(to)?;
    let size = source.metadata()?.len();
    target.set_len(size)?;
    let mut at = 0;
    while let Some(begin) = data_after(&source, at, size)? {
        at = seek(&source, Rustix::Hole(begin))?.min(size);
        source.seek(SeekFrom::Start(begin))?;
        target.seek(SeekFrom::Start(begin))?;
        if io::copy(&mut (&source).take(at - begin), &mut target)? != at - begin {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Where the next data begins at or after `at`.
fn data_after(file: &File, at: u64, size: u64) -> io::Result<Option<u64>> {
    if at >= size {
        return Ok(None);
    }
    match seek(file, Rustix::Data(at)) {
        Ok(begin) => Ok((begin < size).then_some(begin)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Makes `file`, which is empty, what [`pack`] has read.
///
/// # Errors
/// `InvalidData` with a sentence when the stream is none of ours.
pub(crate) fn unpack(source: impl Read, mut file: &File) -> io::Result<()> {
    let mut source = zstd::Decoder::new(source)?;
    let mut magic = [0; MAGIC.len()];
    source.read_exact(&mut magic)?;
    let size = number(&mut source)?;
    if magic != *MAGIC || size > LARGEST {
        return Err(invalid("it does not begin as a packed file does"));
    }
    file.set_len(size)?;
    let mut last = 0;
    loop {
        let (begin, length) = (number(&mut source)?, number(&mut source)?);
        if length == 0 {
            break;
        }
        let end = begin.checked_add(length).filter(|end| *end <= size && begin >= last);
        last = end.ok_or_else(|| invalid("a piece lies where none can be"))?;
        file.seek(SeekFrom::Start(begin))?;
        if io::copy(&mut (&mut source).take(length), &mut file)? != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    match source.read(&mut [0])? {
        0 => Ok(()),
        _ => Err(invalid("something follows its end")),
    }
}

fn number(source: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    source.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn holes_stay_holes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(&[7; 5000], 1 << 20).unwrap();
        file.write_all_at(&[8; 10], (64 << 20) - 10).unwrap();
        let mut packed = Vec::new();
        pack(&file, &mut packed, &|| false).unwrap();
        assert!(packed.len() < 4096, "{}", packed.len());
        let back = tempfile::tempfile().unwrap();
        unpack(&packed[..], &back).unwrap();
        assert_eq!(back.metadata().unwrap().len(), 64 << 20);
        let mut bytes = [0; 5001];
        back.read_exact_at(&mut bytes, 1 << 20).unwrap();
        assert_eq!((bytes[0], bytes[4999], bytes[5000]), (7, 7, 0));
        let mut cut = packed.clone();
        cut.truncate(packed.len() - 9);
        assert!(unpack(&cut[..], &tempfile::tempfile().unwrap()).is_err());
    }

    #[test]
    fn what_begins_otherwise_is_refused() {
        let said = |magic: &[u8], size: u64| {
            let plain = [magic, &size.to_le_bytes(), &[0; 16]].concat();
            let packed = zstd::encode_all(&plain[..], 1).unwrap();
            unpack(&packed[..], &tempfile::tempfile().unwrap()).map_err(|e| e.to_string())
        };
        said(MAGIC, 4096).unwrap();
        assert!(said(b"tandem-sparse-2\n", 4096).unwrap_err().contains("does not begin"));
        assert!(said(MAGIC, LARGEST + 1).unwrap_err().contains("does not begin"));
    }

    #[test]
    fn pieces_lie_in_the_file_and_in_order() {
        let of = |places: &[u64]| {
            let mut plain = [&MAGIC[..], &4096_u64.to_le_bytes()].concat();
            for begin in places {
                plain.extend([begin.to_le_bytes(), 8_u64.to_le_bytes()].concat());
                plain.extend([7; 8]);
            }
            plain.extend([0; 16]);
            let packed = zstd::encode_all(&plain[..], 1).unwrap();
            unpack(&packed[..], &tempfile::tempfile().unwrap()).map_err(|e| e.to_string())
        };
        of(&[0, 8, 4088]).unwrap();
        assert!(of(&[4089]).unwrap_err().contains("where none can be"), "over its end");
        assert!(of(&[8, 0]).unwrap_err().contains("where none can be"), "back again");
    }

    #[test]
    fn a_copy_has_the_same_holes() {
        use std::os::unix::fs::MetadataExt as _;

        let dir = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
        let file = File::create(&from).unwrap();
        file.set_len((64 << 20) + 5).unwrap();
        file.write_all_at(&[7; 5000], 1 << 20).unwrap();
        file.write_all_at(&[8; 10], (64 << 20) - 5).unwrap();
        std::fs::write(&to, "x".repeat(90_000)).unwrap();
        copy_with_holes(&from, &to).unwrap();
        assert!(std::fs::read(&from).unwrap() == std::fs::read(&to).unwrap());
        let there = to.metadata().unwrap();
        assert!(there.blocks() * 512 < 1 << 20, "{} blocks", there.blocks());
    }

    #[test]
    fn an_empty_file_is_one_too() {
        let mut packed = Vec::new();
        pack(&tempfile::tempfile().unwrap(), &mut packed, &|| false).unwrap();
        let back = tempfile::tempfile().unwrap();
        unpack(&packed[..], &back).unwrap();
        assert_eq!(back.metadata().unwrap().len(), 0);
    }

    proptest! {
        #[test]
        fn pieces_go_nowhere_but_into_the_file(
            size in 0_u64..100_000,
            pieces in proptest::collection::vec((any::<u64>(), 0_u64..3000), 0..5),
        ) {
            let mut plain = MAGIC.to_vec();
            plain.extend(size.to_le_bytes());
            for (begin, length) in &pieces {
                plain.extend(begin.to_le_bytes());
                plain.extend(length.to_le_bytes());
                plain.extend(vec![1; usize::try_from(*length).unwrap()]);
            }
            let packed = zstd::encode_all(&plain[..], 1).unwrap();
            let file = tempfile::tempfile().unwrap();
            let _ = unpack(&packed[..], &file);
            prop_assert!(file.metadata().unwrap().len() <= size.max(1));
        }

        #[test]
        fn garbage_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let packed = zstd::encode_all(&bytes[..], 1).unwrap();
            let file = tempfile::tempfile().unwrap();
            prop_assert!(unpack(&packed[..], &file).is_err());
            prop_assert!(unpack(&bytes[..], &file).is_err());
        }
    }
}
