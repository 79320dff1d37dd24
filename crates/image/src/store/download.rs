use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sha2::{Digest as _, Sha256};
use tandem_home::make_private_dir;
use tandem_model::Digest;

use super::Store;
use crate::ImageError;

/// A blob on its way from a registry. What has arrived outlives a cut and
/// this process, so that the next attempt goes on where this one ended;
/// nobody else reads it, and its digest is checked before it is a blob.
pub(crate) struct Download {
    /// Locked: one download of a blob at a time.
    file: File,
    path: PathBuf,
    blobs: PathBuf,
    hash: Sha256,
    have: u64,
}

/// Less than this is not worth keeping.
const WORTH: u64 = 1 << 20;
/// What nobody came back for in this time is removed.
const AGE: Duration = Duration::from_hours(7 * 24);

impl Store {
    /// Begins or goes on with a download; `None` while somebody else is at
    /// it. Reads what is there already to digest it.
    pub(crate) fn download(&self, digest: &Digest) -> Result<Option<Download>, ImageError> {
        let dir = self.downloads();
        make_private_dir(&dir)?;
        let path = self.download_path(digest);
        let open = ImageError::io("open", &path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(open)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(ImageError::io("lock", path)(e)),
        }
        // Its last holder may have finished it or thrown it away.
        let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        let mine = file.metadata().map_err(ImageError::io("read", &path))?;
        if !fs::metadata(&path).is_ok_and(|there| same(&mine, &there)) {
            return Ok(None);
        }
        let (blobs, hash) = (self.blobs(), Sha256::new());
        let mut download = Download { file, path, blobs, hash, have: 0 };
        download.digest_what_is_there().map_err(ImageError::io("read", &download.path))?;
        Ok(Some(download))
    }

    pub(crate) fn download_path(&self, digest: &Digest) -> PathBuf {
        self.downloads().join(digest.hex())
    }

    /// Removes unfinished downloads that nobody is at and nobody will come
    /// back for; all of them when the space is needed. Returns the bytes.
    pub(crate) fn sweep_downloads(&self, all: bool) -> u64 {
        let Ok(entries) = fs::read_dir(self.downloads()) else { return 0 };
        let mut freed = 0;
        for path in entries.flatten().map(|entry| entry.path()) {
            let Ok(file) = File::open(&path) else { continue };
            let Ok(metadata) = file.metadata() else { continue };
            let age =
                metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
            let old = age.is_some_and(|age| age > AGE);
            if (all || old) && file.try_lock().is_ok() && fs::remove_file(&path).is_ok() {
                freed += metadata.len();
            }
        }
        freed
    }

    fn downloads(&self) -> PathBuf {
        self.home.cache().join("downloads")
    }
}

impl Download {
    /// Bytes that are here.
    pub(crate) fn have(&self) -> u64 {
        self.have
    }

    /// The digest of the bytes that are here.
    pub(crate) fn digest(&self) -> Digest {
        Digest::from_sha256(&self.hash.clone().finalize().into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends bytes. They go to the page cache, which does not wait.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.have += bytes.len() as u64;
        Ok(())
    }

    /// Forgets everything and begins anew.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        io::Seek::rewind(&mut self.file)?;
        self.hash = Sha256::new();
        self.have = 0;
        Ok(())
    }

    /// Makes it a blob; the caller has compared the digest.
    pub(crate) fn finish(self, digest: &Digest) -> Result<(), ImageError> {
        let write = ImageError::io("write", &self.path);
        self.file.sync_all().map_err(write)?;
        let path = self.blobs.join(digest.hex());
        fs::rename(&self.path, &path).map_err(ImageError::io("store", &path))?;
        File::open(&self.blobs)
            .and_then(|dir| dir.sync_all())
            .map_err(ImageError::io("sync", &self.blobs))
    }

    /// Throws it away.
    pub(crate) fn discard(self) {
        let _ = fs::remove_file(&self.path);
    }

    fn digest_what_is_there(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 1 << 20];
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(()),
                count => {
                    self.hash.update(&buffer[..count]);
                    self.have += count as u64;
                }
            }
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let same = |there: fs::Metadata| {
            self.file
                .metadata()
                .is_ok_and(|mine| (mine.dev(), mine.ino()) == (there.dev(), there.ino()))
        };
        if self.have < WORTH && fs::metadata(&self.path).is_ok_and(same) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
