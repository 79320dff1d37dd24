//! Pieces to file.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tandem_home::Draft;
use tandem_image::{PartSource, Transfer};
use tandem_model::Digest;

use super::{
    BundleError, BundleEvent, Tell,
    index::{INDEX, Index, Member},
};
use crate::AppError;

/// What is carried, and where its bytes are.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) member: Member,
    pub(super) source: PartSource,
}

/// Pieces that are smaller are not told one by one.
const TOLD: u64 = 1 << 20;
/// Bytes between two reports.
const REPORT: u64 = 4 << 20;

/// Writes the pieces to a file, which is there whole or not at all. Returns
/// its size.
pub(super) fn write(
    pieces: &[Piece],
    file: &Path,
    stop: &(dyn Fn() -> bool + Sync),
    tell: Tell<'_>,
) -> Result<u64, AppError> {
    let folder = folder_of(file);
    let members = pieces.iter().map(|piece| piece.member.clone()).collect();
    let index = Index::new(Timestamp::now(), members);
    let text =
        serde_json::to_vec(&index).map_err(|e| AppError::io("write", file, io::Error::other(e)))?;
    let needed = index.archive_bytes(text.len() as u64);
    if let Some(free) = free_bytes(folder).filter(|free| *free < needed) {
        let (needed_mib, free_mib) = ((needed >> 20) + 1, free >> 20);
        return Err(
            BundleError::DiskFull { folder: folder.to_owned(), needed_mib, free_mib }.into()
        );
    }
    let failed = |e| AppError::io("write", file, e);
    let draft = Draft::new(folder, 0o644).map_err(failed)?;
    let layers = pieces.iter().filter(|piece| is_told(&piece.member));
    let layers: Vec<_> = layers.map(|piece| piece.member.digest.clone()).collect();
    if !layers.is_empty() {
        tell(BundleEvent::Moved(Transfer::Planned { layers, bytes: needed }));
    }
    let mut tar = tar::Builder::new(BufWriter::with_capacity(1 << 20, draft.file()));
    append(&mut tar, INDEX, text.len() as u64, text.as_slice()).map_err(failed)?;
    for piece in pieces {
        write_piece(&mut tar, piece, stop, tell).map_err(|e| match e {
            Failed::Io(_) if stop() => BundleError::Stopped.into(),
            Failed::Io(e) => failed(e),
            Failed::Other(e) => e,
        })?;
    }
    tar.into_inner().and_then(|mut out| out.flush()).map_err(failed)?;
    draft.file().sync_all().map_err(failed)?;
    let bytes = draft.file().metadata().map_err(failed)?.len();
    draft.keep(file).map_err(failed)?;
    Ok(bytes)
}

/// Refuses a place where no bundle can be, before anything long begins.
pub(super) fn check_place(file: &Path) -> Result<(), BundleError> {
    let refused = |reason| Err(BundleError::Place { file: file.to_owned(), reason });
    let named = file.file_name().is_some() && !file.to_string_lossy().ends_with('/');
    match fs::metadata(file) {
        Ok(there) if there.is_dir() => refused("it is a folder"),
        Ok(there) if !there.is_file() => refused("it is no plain file"),
        _ if !named => refused("it names no file"),
        _ if !folder_of(file).is_dir() => refused("its folder is not there"),
        _ => Ok(()),
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Whether it is a layer that takes its time.
fn is_told(member: &Member) -> bool {
    member.size >= TOLD && member.path.starts_with("blobs/")
}

enum Failed {
    Io(io::Error),
    Other(AppError),
}

fn write_piece(
    tar: &mut tar::Builder<impl Write>,
    piece: &Piece,
    stop: &(dyn Fn() -> bool + Sync),
    tell: Tell<'_>,
) -> Result<(), Failed> {
    let Member { path, size, digest } = &piece.member;
    let source: Box<dyn Read> = match &piece.source {
        PartSource::Bytes(bytes) => Box::new(bytes.as_slice()),
        PartSource::File(from) => {
            Box::new(File::open(from).map_err(|e| Failed::Other(unreadable(from, e)))?)
        }
    };
    let moved = |done| {
        let (digest, total) = (digest.clone(), *size);
        if is_told(&piece.member) {
            tell(BundleEvent::Moved(Transfer::Moved { digest, done, total }));
        }
    };
    let mut reader = Counted::new(source.take(*size), stop, &moved);
    append(tar, path, *size, &mut reader).map_err(Failed::Io)?;
    let (count, actual) = reader.end();
    let changed =
        |reason| Failed::Other(BundleError::Changed { path: path.clone(), reason }.into());
    if count != *size {
        return Err(changed(format!("it has {count} bytes, not {size}")));
    }
    if actual != *digest {
        return Err(changed(format!("it has the digest {actual}")));
    }
    if is_told(&piece.member) {
        tell(BundleEvent::Moved(Transfer::Stored { digest: actual }));
    }
    Ok(())
}

fn unreadable(from: &Path, error: io::Error) -> AppError {
    AppError::io("open", PathBuf::from(from), error)
}

fn append(
    tar: &mut tar::Builder<impl Write>,
    path: &str,
    size: u64,
    reader: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_cksum();
    tar.append(&header, reader)
}

/// Counts and digests what is read, tells about it, and stops when it should.
pub(super) struct Counted<'a, R> {
    inner: R,
    hash: Sha256,
    count: u64,
    told: u64,
    stop: &'a (dyn Fn() -> bool + Sync),
    moved: &'a dyn Fn(u64),
}

impl<'a, R: Read> Counted<'a, R> {
    pub(super) fn new(
        inner: R,
        stop: &'a (dyn Fn() -> bool + Sync),
        moved: &'a dyn Fn(u64),
    ) -> Self {
        Self { inner, hash: Sha256::new(), count: 0, told: 0, stop, moved }
    }

    /// How many bytes there were, and their digest.
    pub(super) fn end(self) -> (u64, Digest) {
        (self.count, Digest::from_sha256(&self.hash.finalize().into()))
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.stop)() {
            return Err(io::Error::other("it was given up"));
        }
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.count += count as u64;
        if self.count - self.told >= REPORT {
            self.told = self.count;
            (self.moved)(self.count);
        }
        Ok(count)
    }
}
