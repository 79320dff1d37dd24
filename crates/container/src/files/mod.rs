//! Reading and writing files of an instance from outside.
//!
//! A helper process makes the instance's root its own and only then looks at
//! a path: whatever links an image holds, and whatever a running app moves
//! about meanwhile, nothing outside can be reached. Of a running instance that
//! root is what the app sees, with volumes and memory file systems; of one
//! that does not run the layers are mounted in a namespace of the helper's
//! own, with its volumes.
//!
//! ```text
//! command ── Request, a line of JSON ──▶ helper ── chroot
//!         ── tar (to write) ───────────▶
//!         ◀─ Answer, a line of JSON ────
//!         ◀─ tar (read) ────────────────
//! ```

mod helper;
mod place;

pub(crate) use place::out_of_reach;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tandem_model::{Failure, InstanceId};

pub use helper::{copied_as_it_is, copy_destination, files_main};

/// First argument of the hidden entry point: `tandem __files`.
pub const FILES: &str = "__files";

/// What the helper is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FilesRequest {
    /// The home.
    pub home: PathBuf,
    /// The instance.
    pub id: InstanceId,
    /// What to do.
    pub task: FilesTask,
}

/// What to do with an instance's files.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum FilesTask {
    /// Send a file or a folder as a tar archive.
    Read {
        /// Where, inside.
        path: String,
        /// Send what a link leads to.
        follow: bool,
    },
    /// Receive a tar archive.
    Write {
        /// Where, inside, as it was typed.
        path: String,
        /// What the archive holds; `None` for any archive, which goes into
        /// the folder at `path` as it is.
        source: Option<FilesSource>,
        /// Keep the archive's owners and privileges; otherwise root owns what
        /// is written.
        keep_owners: bool,
    },
}

/// What one file or folder to copy looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesSource {
    /// Its last name.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Only what is in the folder is meant (`/.` at the end).
    pub contents: bool,
}

/// What the helper answers before an archive, or at the end of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilesAnswer {
    /// An archive of this follows.
    Sending(FilesSource),
    /// Everything was written.
    Written,
    /// It could not be done.
    Failed(Failure),
}
