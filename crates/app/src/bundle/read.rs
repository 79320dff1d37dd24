//! File to verified parts.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write as _},
    path::Path,
};

use tandem_home::make_private_dir;

use super::{
    BundleError,
    index::{INDEX, INDEX_BYTES, Index, IndexError, Member, Part, plain},
    write::Counted,
};
use crate::AppError;

/// A bundle of which every byte was looked at.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) index: Index,
    /// Bytes of the whole file.
    pub(super) bytes: u64,
}

/// Reads a bundle once from its beginning to its end, and holds everything
/// against the index. What belongs to no image is unpacked into the folder
/// `parts`, under its own name.
pub(super) fn verify(
    file: &Path,
    parts: &Path,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Verified, AppError> {
    let reading = Reading { file, parts, stop };
    match reading.run() {
        Err(AppError::Bundle(_)) if stop() => Err(BundleError::Stopped.into()),
        other => other,
    }
}

struct Reading<'a> {
    file: &'a Path,
    parts: &'a Path,
    stop: &'a (dyn Fn() -> bool + Sync),
}

type Entry<'a> = tar::Entry<'a, BufReader<File>>;

impl Reading<'_> {
    fn run(&self) -> Result<Verified, AppError> {
        let (file, bytes) = self.open()?;
        let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 20, file));
        // Raw: extensions of the format are no part of a bundle.
        let mut entries = archive.entries().map_err(|e| self.io(e))?.raw(true);
        let first = entries.next().transpose();
        let (index, index_bytes) = self.index(first.ok().flatten())?;
        let expected = index.archive_bytes(index_bytes);
        if bytes < expected {
            return Err(self.damaged(format!("it ends {} bytes too soon", expected - bytes)));
        }
        if bytes > expected {
            return Err(self.damaged(format!("it has {} bytes too many", bytes - expected)));
        }
        for member in &index.members {
            let entry = entries.next().transpose().ok().flatten();
            let entry = entry.filter(|entry| is_of(entry, &member.path, member.size));
            let missing = || self.damaged(format!("{} is not where it should be", member.path));
            self.member(member, entry.ok_or_else(missing)?)?;
        }
        if entries.next().is_some() {
            return Err(self.damaged("it holds more than its index names".to_owned()));
        }
        Ok(Verified { index, bytes })
    }

    fn open(&self) -> Result<(File, u64), AppError> {
        let foreign = |reason: &str| self.foreign(reason.to_owned());
        let metadata = match fs::metadata(self.file) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(BundleError::Missing(self.file.to_owned()).into());
            }
            Err(e) => return Err(self.io(e)),
        };
        if metadata.is_dir() {
            return Err(foreign("it is a folder"));
        }
        if !metadata.is_file() {
            return Err(foreign("it is no plain file"));
        }
        if metadata.len() == 0 {
            return Err(foreign("it is empty"));
        }
        Ok((File::open(self.file).map_err(|e| self.io(e))?, metadata.len()))
    }

    /// The index with its size. What does not begin with one is no bundle.
    fn index(&self, first: Option<Entry<'_>>) -> Result<(Index, u64), AppError> {
        let first = first.ok_or_else(|| self.foreign("it is no tar archive".to_owned()))?;
        let name = first.path_bytes().into_owned();
        if name != INDEX.as_bytes() {
            let reason = match name.as_slice() {
                b"oci-layout" | b"manifest.json" | b"index.json" => {
                    "it is an archive of images: `tandem load -i` loads it".to_owned()
                }
                b"tandem-instance" | b"tandem-instance/" => {
                    "it is an instance: `tandem import` takes it in".to_owned()
                }
                _ => format!("it does not begin with {INDEX}"),
            };
            return Err(self.foreign(reason));
        }
        let size = first.size();
        if !first.header().entry_type().is_file() || size > INDEX_BYTES {
            return Err(self.damaged("its index is no index".to_owned()));
        }
        let mut text = Vec::new();
        first.take(size).read_to_end(&mut text).map_err(|e| self.io(e))?;
        if text.len() as u64 != size {
            return Err(self.damaged("it ends within its index".to_owned()));
        }
        let file = self.file.to_owned();
        let index = Index::parse(&text).map_err(|e| match e {
            IndexError::Foreign(reason) => self.foreign(reason),
            IndexError::Newer(version) => BundleError::Newer { file, version }.into(),
            IndexError::Architecture(architecture) => {
                BundleError::Architecture { file, architecture }.into()
            }
            IndexError::Damaged(reason) => self.damaged(reason),
        })?;
        Ok((index, size))
    }

    fn member(&self, member: &Member, entry: Entry<'_>) -> Result<(), AppError> {
        let mut reader = Counted::new(entry.take(member.size), self.stop, &|_| ());
        match Part::of(&member.path) {
            // The store reads it again, and digests it again.
            Some(Part::Image) => {
                io::copy(&mut reader, &mut io::sink()).map_err(|e| self.io(e))?;
            }
            _ => self.unpack(&member.path, &mut reader)?,
        }
        let (count, actual) = reader.end();
        if count != member.size {
            return Err(self.damaged(format!("it ends within {}", member.path)));
        }
        if actual != member.digest {
            return Err(self.damaged(format!("{} has other bytes than it should", member.path)));
        }
        Ok(())
    }

    fn unpack(&self, path: &str, reader: &mut impl Read) -> Result<(), AppError> {
        let to = self.parts.join(path);
        if let Some(folder) = to.parent() {
            make_private_dir(folder)?;
        }
        let failed = |e| AppError::io("write", &to, e);
        let mut out = BufWriter::new(File::create_new(&to).map_err(failed)?);
        let mut buffer = vec![0; 256 << 10];
        loop {
            match reader.read(&mut buffer).map_err(|e| self.io(e))? {
                0 => return out.flush().map_err(failed),
                count => out.write_all(&buffer[..count]).map_err(failed)?,
            }
        }
    }

    fn io(&self, error: io::Error) -> AppError {
        if (self.stop)() {
            return BundleError::Stopped.into();
        }
        AppError::io("read", self.file, error)
    }

    fn foreign(&self, reason: String) -> AppError {
        BundleError::Foreign { file: self.file.to_owned(), reason }.into()
    }

    fn damaged(&self, reason: String) -> AppError {
        let reason = plain_reason(&reason);
        BundleError::Damaged { file: self.file.to_owned(), reason }.into()
    }
}

fn plain_reason(reason: &str) -> String {
    if reason.chars().any(char::is_control) { plain(reason) } else { reason.to_owned() }
}

/// A plain file with just this name and size.
fn is_of(entry: &Entry<'_>, path: &str, size: u64) -> bool {
    entry.header().entry_type().is_file()
        && *entry.path_bytes() == *path.as_bytes()
        && entry.size() == size
}
