use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::PathBuf,
};

use tandem_home::Scratch;
use tandem_model::Digest;

use super::{Store, hash::HashWrite};
use crate::{ImageError, image::sha256};

/// Manifests and configurations larger than this are not read (the
/// distribution specification lets registries refuse above 4 MiB).
const DOCUMENT_BYTES: u64 = 8 << 20;

/// A blob on its way into the store: written to a temporary file, digested
/// on the way, visible only by [`BlobWriter::finish`].
pub(crate) struct BlobWriter {
    out: BufWriter<HashWrite<File>>,
    size: u64,
    scratch: Scratch,
    target: PathBuf,
}

impl Store {
    pub(super) fn blobs(&self) -> PathBuf {
        self.home.images().join("blobs/sha256")
    }

    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Whether the blob is here.
    pub(crate) fn has_blob(&self, digest: &Digest) -> bool {
        self.blob_path(digest).is_file()
    }

    /// Whether the blob is here in its full size.
    pub(crate) fn has_whole_blob(&self, digest: &Digest, size: u64) -> bool {
        fs::metadata(self.blob_path(digest)).is_ok_and(|blob| blob.len() == size)
    }

    pub(crate) fn blob_size(&self, digest: &Digest) -> Result<u64, ImageError> {
        let path = self.blob_path(digest);
        let metadata = self.open_blob(digest)?.metadata();
        Ok(metadata.map_err(ImageError::io("read", path))?.len())
    }

    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<File, ImageError> {
        let path = self.blob_path(digest);
        match File::open(&path) {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ImageError::MissingBlob { digest: digest.clone() })
            }
            Err(error) => Err(ImageError::io("open", path)(error)),
        }
    }

    /// Reads a manifest or configuration and checks its digest.
    pub(crate) fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        self.open_blob(digest)?
            .take(DOCUMENT_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(ImageError::io("read", self.blob_path(digest)))?;
        if bytes.len() as u64 > DOCUMENT_BYTES {
            return Err(ImageError::damaged(digest, "it is larger than a manifest may be"));
        }
        let actual = sha256(&bytes);
        if actual == *digest {
            Ok(bytes)
        } else {
            Err(ImageError::damaged(digest, format!("its bytes have the digest {actual}")))
        }
    }

    /// Stores a small blob.
    pub(crate) fn write_blob(&self, bytes: &[u8]) -> Result<Digest, ImageError> {
        let digest = sha256(bytes);
        if self.has_blob(&digest) {
            return Ok(digest);
        }
        let mut writer = self.blob_writer()?;
        writer.write_all(bytes).map_err(ImageError::io("write", self.blob_path(&digest)))?;
        writer.finish(Some(&digest)).map(|(digest, _)| digest)
    }

    pub(crate) fn blob_writer(&self) -> Result<BlobWriter, ImageError> {
        let scratch = self.home.scratch("blob")?;
        let path = scratch.path().join("blob");
        let file = File::create_new(&path).map_err(ImageError::io("make", &path))?;
        Ok(BlobWriter {
            out: BufWriter::with_capacity(128 << 10, HashWrite::new(file)),
            size: 0,
            scratch,
            target: self.blobs(),
        })
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl BlobWriter {
    /// Syncs the blob and moves it into the store; its digest and size.
    ///
    /// # Errors
    /// [`ImageError::DigestMismatch`] when it is not the expected one.
    pub(crate) fn finish(self, expected: Option<&Digest>) -> Result<(Digest, u64), ImageError> {
        let temporary = self.scratch.path().join("blob");
        let write = |e| ImageError::io("write", &temporary)(e);
        let hashed = self.out.into_inner().map_err(|e| write(e.into_error()))?;
        let (file, actual) = hashed.finish();
        if let Some(expected) = expected
            && *expected != actual
        {
            return Err(ImageError::DigestMismatch {
                what: "the blob".to_owned(),
                expected: expected.to_string(),
                actual,
            });
        }
        file.sync_all().map_err(write)?;
        let path = self.target.join(actual.hex());
        fs::rename(&temporary, &path).map_err(ImageError::io("store", &path))?;
        File::open(&self.target)
            .and_then(|dir| dir.sync_all())
            .map_err(ImageError::io("sync", &self.target))?;
        Ok((actual, self.size))
    }
}
