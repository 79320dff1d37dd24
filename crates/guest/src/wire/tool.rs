use serde::{Deserialize, Serialize};

/// What the agent's own tools are called where a program's name stands. No
/// file can have such a name on the search path, for it has a `/`.
pub const TOOL: &str = "tandem:/";

/// The tool that reads and writes files: a line with a [`FileTask`] comes in
/// first, and a line with a [`FileAnswer`] goes out first, or on standard
/// error when it failed.
pub const FILES: &str = "tandem:/files";

/// The tool that lists processes, a [`Process`] in each line.
pub const PROCESSES: &str = "tandem:/processes";

/// The tool that tells what the machine uses, one line of
/// [`super::GuestStats`].
pub const STATS: &str = "tandem:/stats";

/// What to do with files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileTask {
    /// The task.
    pub task: FileWork,
}

/// What to do with files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum FileWork {
    /// Send a file or a folder as a tar archive.
    Read {
        /// Where.
        path: String,
        /// Send what a link leads to.
        follow: bool,
    },
    /// Receive a tar archive.
    Write {
        /// Where, as it was typed.
        path: String,
        /// What the archive holds; `None` for any archive, which goes into
        /// the folder at `path` as it is.
        source: Option<FileSource>,
        /// Keep the archive's owners and privileges.
        keep_owners: bool,
    },
}

/// What one file or folder to copy looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSource {
    /// Its last name.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Only what is in the folder is meant (`/.` at the end).
    pub contents: bool,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileAnswer {
    /// An archive of this follows.
    Sending(FileSource),
    /// Everything was written.
    Written,
    /// It could not be done.
    Failed(FileFailure),
}

/// Why it could not be done, in the shape of every failure of Tandem's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFailure {
    /// `not_found`, `conflict` or `internal`.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// User's name, or number.
    pub user: String,
    /// One letter, see `ps`.
    pub state: char,
    /// Processor time, nanoseconds.
    pub cpu_ns: u64,
    /// Program and arguments.
    pub command: String,
}
