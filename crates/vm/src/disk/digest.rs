use std::io;

use sha2::{Digest as _, Sha256};
use tandem_model::Digest;

/// The SHA-256 digest of everything that can be read, as hexadecimal digits.
pub(super) fn sha256(mut source: impl io::Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(Digest::from_sha256(&hash.finalize().into()).hex().to_owned()),
            Ok(count) => hash.update(&buffer[..count]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
