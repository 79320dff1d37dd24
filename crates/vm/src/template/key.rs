use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tandem_backend::BackendError;
use tandem_model::InstanceSpec;

use crate::{disk::digest_digits, snapshot::MachineState};

/// What tells one template from another, as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// The key of the instances that a guest cannot tell from one another.
    /// `guest` is the program that is its first process.
    pub(crate) fn of(
        spec: &InstanceSpec,
        state: &MachineState,
        guest: &Path,
    ) -> Result<Self, BackendError> {
        let program = fs::metadata(guest).map_err(|e| BackendError::io("read", guest, e))?;
        let seen = json!({
            "state": state,
            "guest": [program.ino(), program.len(), program.mtime().unsigned_abs()],
            "digest": spec.digest,
            "args": spec.args,
            "env": spec.env,
            "cwd": spec.cwd,
            "user": spec.user,
            "pids": spec.resources.pids,
            "options": spec.options,
        });
        let digest = Sha256::digest(seen.to_string());
        Ok(Self(digest_digits(digest.as_slice())))
    }

    /// The digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
