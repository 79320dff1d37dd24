use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};
use tandem_model::Digest;

/// Passes bytes on and digests them.
pub(crate) struct HashRead<R> {
    reader: R,
    hash: Sha256,
}

impl<R> HashRead<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, hash: Sha256::new() }
    }

    /// The digest of what was read.
    pub(crate) fn digest(self) -> Digest {
        Digest::from_sha256(&self.hash.finalize().into())
    }
}

impl<R: Read> Read for HashRead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

/// Passes bytes on and digests them.
pub(super) struct HashWrite<W> {
    writer: W,
    hash: Sha256,
}

impl<W> HashWrite<W> {
    pub(super) fn new(writer: W) -> Self {
        Self { writer, hash: Sha256::new() }
    }

    /// The writer and the digest of what went through it.
    pub(super) fn finish(self) -> (W, Digest) {
        (self.writer, Digest::from_sha256(&self.hash.finalize().into()))
    }
}

impl<W: Write> Write for HashWrite<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
