use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_home::{read_json, write_json};

use super::MachineState;
use crate::disk::{Chain, copy_with_holes};

/// Where the memory of a saved state lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// In one file with the devices.
    Mapped,
    /// In a file of its own, which many machines may share.
    Template,
}

/// An instance's next start goes on from a saved state: `resume.json` in its
/// folder. It holds for one disk only, so that it can be written before the
/// disk is changed and means nothing when that never happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Resume {
    /// Where the memory is.
    pub(crate) source: Source,
    /// What it fits to.
    pub(crate) state: MachineState,
    /// The disk to which it belongs.
    pub(crate) chain: Chain,
    /// The instance is another one than the one that was saved.
    pub(crate) is_new: bool,
}

const NOTE: &str = "resume.json";

impl Resume {
    /// What waits for the instance in `dir`; what does not fit to its disk any
    /// more is taken away.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, BackendError> {
        let found: Option<Self> = read_json(&dir.join(NOTE))?;
        let chain = Chain::load(dir)?;
        match found {
            Some(found) if found.chain == chain => Ok(Some(found)),
            _ => {
                Self::clear(dir)?;
                Ok(None)
            }
        }
    }

    /// Has the instance in `dir` go on from here at its next start. The files
    /// are links to those in `from`, which nobody writes to.
    pub(crate) fn arrange(&self, dir: &Path, from: &Path) -> Result<(), BackendError> {
        Self::clear(dir)?;
        for name in self.source.files() {
            let (source, target) = (from.join(name), link(dir, name));
            fs::hard_link(&source, &target).map_err(|e| BackendError::io("link", &source, e))?;
        }
        Ok(write_json(&dir.join(NOTE), self)?)
    }

    /// The file with the devices, and the memory in it or beside it.
    pub(crate) fn files(&self, dir: &Path) -> (PathBuf, Option<PathBuf>) {
        match self.source {
            Source::Mapped => (link(dir, super::MEMORY), None),
            Source::Template => (link(dir, DEVICES), Some(link(dir, super::MEMORY))),
        }
    }

    /// Puts a copy in the place of memory that others share, for the instance in
    /// `dir` to do with as it likes.
    pub(crate) fn take_memory(&self, dir: &Path) -> Result<(), BackendError> {
        let (_, Some(shared)) = self.files(dir) else { return Ok(()) };
        let own = link(dir, COPY);
        let copied = copy_with_holes(&shared, &own).and_then(|()| fs::rename(&own, &shared));
        copied.map_err(|e| BackendError::io("copy", &shared, e))
    }

    /// Forgets what waits for the instance in `dir`.
    pub(crate) fn clear(dir: &Path) -> Result<(), BackendError> {
        let links = [super::MEMORY, DEVICES, COPY].map(|name| link(dir, name));
        for path in links.into_iter().chain([dir.join(NOTE)]) {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(BackendError::io("remove", &path, e));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A copy of memory that is being made.
const COPY: &str = "copy";

/// Name of the devices' file of a template.
pub(crate) const DEVICES: &str = "devices";

impl Source {
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Mapped => &[super::MEMORY],
            Self::Template => &[super::MEMORY, DEVICES],
        }
    }
}

fn link(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("resume.{name}"))
}
