//! The archive as a plain tar file that can be read anywhere.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read, Write as _},
    os::{fd::AsFd as _, unix::fs::FileExt as _},
    path::PathBuf,
    sync::Arc,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tandem_home::Scratch;

use super::{ArchiveError, Stop};
use crate::{
    ImageError, Limits, Store,
    layer::{decompressed_archive, is_compressed},
};

/// Where an archive comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchiveSource {
    /// A file, compressed or not.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

impl std::fmt::Display for ArchiveSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

/// An uncompressed archive in a file.
pub(super) struct Input<'a> {
    pub(super) file: Arc<File>,
    pub(super) size: u64,
    /// What people call it.
    pub(super) name: String,
    pub(super) stop: Stop<'a>,
    /// What it may ask of the machine.
    pub(super) limits: Limits,
    /// Holds the file when it was spooled.
    _scratch: Option<Scratch>,
}

/// Beginnings of files that other programs have compressed.
const FOREIGN: [(&[u8], &str); 2] = [(b"\x04\x22\x4d\x18", "lz4"), (b"LZIP", "lzip")];

impl<'a> Input<'a> {
    /// Opens an archive. What is compressed, or comes through a pipe, is
    /// written to the home's scratch first.
    pub(super) fn open(
        store: &Store,
        source: &ArchiveSource,
        stop: Stop<'a>,
    ) -> Result<Self, ImageError> {
        let (name, limits) = (source.to_string(), Limits::of(store.home())?);
        let broken = |reason: String| ArchiveError::Broken { archive: name.clone(), reason };
        let file = match source {
            ArchiveSource::File(path) => match File::open(path) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    return Err(ArchiveError::Missing { archive: name }.into());
                }
                Err(e) => return Err(ImageError::io("open", path)(e)),
            },
            ArchiveSource::Stdin => {
                let own = io::stdin().as_fd().try_clone_to_owned();
                File::from(own.map_err(ImageError::io("open", &name))?)
            }
        };
        let metadata = file.metadata().map_err(ImageError::io("read", &name))?;
        if metadata.is_dir() {
            return Err(broken("it is a folder".to_owned()).into());
        }
        let mut head = [0; 8];
        let plain = metadata.is_file() && *source != ArchiveSource::Stdin && {
            let count = file.read_at(&mut head, 0).map_err(ImageError::io("read", &name))?;
            let head = &head[..count];
            !is_compressed(head) && !FOREIGN.iter().any(|(magic, _)| head.starts_with(magic))
        };
        if plain {
            let size = metadata.len();
            return Ok(Self { file: Arc::new(file), size, name, stop, limits, _scratch: None });
        }
        Self::spool(store, file, name, stop)
    }

    fn spool(store: &Store, file: File, name: String, stop: Stop<'a>) -> Result<Self, ImageError> {
        let mut reader = BufReader::with_capacity(256 << 10, Stoppable { file, stop });
        let head = reader.fill_buf().map_err(|e| unreadable(&name, &e, stop))?;
        if let Some((_, program)) = FOREIGN.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Err(ArchiveError::Compression { archive: name, program }.into());
        }
        let scratch = store.home().scratch("load")?;
        let path = scratch.path().join("archive");
        let out = File::options().read(true).write(true).create_new(true).open(&path);
        let mut out = out.map_err(ImageError::io("make", &path))?;
        let limits = Limits::of(store.home())?;
        let mut tar = decompressed_archive(reader)
            .map_err(|e| unreadable(&name, &e, stop))?
            .take(limits.bytes);
        let mut buffer = vec![0; 256 << 10];
        let mut size = 0;
        loop {
            let count = match tar.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(unreadable(&name, &e, stop)),
            };
            out.write_all(&buffer[..count]).map_err(ImageError::io("write", &path))?;
            size += count as u64;
        }
        drop(tar);
        // Nobody needs its name any more.
        fs::remove_file(&path).map_err(ImageError::io("remove", &path))?;
        Ok(Self { file: Arc::new(out), size, name, stop, limits, _scratch: Some(scratch) })
    }

    /// An error about this archive.
    pub(super) fn broken(&self, reason: impl Into<String>) -> ImageError {
        ArchiveError::Broken { archive: self.name.clone(), reason: reason.into() }.into()
    }

    /// A reader of a part.
    pub(super) fn part(&self, at: u64, size: u64) -> Part<'a> {
        Part { file: Arc::clone(&self.file), at, end: at + size, stop: self.stop }
    }
}

fn unreadable(name: &str, error: &io::Error, stop: Stop<'_>) -> ImageError {
    if stop() {
        return ArchiveError::Stopped.into();
    }
    ArchiveError::Broken { archive: name.to_owned(), reason: error.to_string() }.into()
}

/// Reads what may take its time, and stops waiting when it should.
struct Stoppable<'a> {
    file: File,
    stop: Stop<'a>,
}

const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

impl Read for Stoppable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if (self.stop)() {
                return Err(io::Error::other("it was given up"));
            }
            let mut ready = [PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut ready, Some(&LOOK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.file.read(buffer),
                Err(e) => return Err(e.into()),
            }
        }
    }
}

/// A part of the archive, read without moving anybody else's place in it.
pub(super) struct Part<'a> {
    file: Arc<File>,
    at: u64,
    end: u64,
    stop: Stop<'a>,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.stop)() {
            return Err(io::Error::other("it was given up"));
        }
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        match self.file.read_at(&mut buffer[..wanted], self.at)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive became shorter")),
            count => {
                self.at += count as u64;
                Ok(count)
            }
        }
    }
}
