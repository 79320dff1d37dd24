//! `RUN --mount`: what a step sees besides the layers.

mod plan;
mod prepare;

use std::{path::PathBuf, sync::Arc};

use tandem_model::{ErrorCode, parse_size};

use super::{
    builder::Builder,
    select::Source,
    state::State,
    transfer::{From, absolute},
    users::Owner,
};
use crate::{
    BuildError,
    parse::{Instruction, RunMount, Sharing, Word},
    tree::Tree,
};

/// The mounts of a step, before anything is made for them.
#[derive(Default)]
pub(super) struct Mounts {
    /// What of them decides what the step makes.
    pub(super) facts: Vec<String>,
    /// Variables that come with them, `NAME=value`.
    pub(super) env: Vec<String>,
    planned: Vec<Planned>,
}

struct Planned {
    target: String,
    read_only: bool,
    what: What,
}

enum What {
    /// Files of a host's folder, as root's.
    Files {
        tree: SharedTree,
        sources: Vec<Source>,
        single: bool,
    },
    /// Files of a stage or image.
    Layers {
        dirs: Vec<PathBuf>,
        path: String,
    },
    Cache {
        id: String,
        sharing: Sharing,
        mode: u32,
        owner: Owner,
        seed: Option<Seed>,
    },
    Tmpfs {
        size: Option<u64>,
    },
    Secret {
        content: Vec<u8>,
        mode: u32,
        owner: Owner,
    },
    Agent(PathBuf),
}

type SharedTree = Arc<dyn Tree + Send + Sync>;

/// What a new cache begins with.
struct Seed {
    tree: SharedTree,
    sources: Vec<Source>,
}
impl Mounts {
    fn add(&mut self, kind: &str, target: &str, facts: &impl serde::Serialize, what: Planned) {
        // Facts are plain values, which always have a text.
        let facts = serde_json::to_string(facts).unwrap_or_default();
        self.facts.push(format!("{kind} {target} {facts}"));
        self.planned.push(what);
    }
}

impl Builder<'_> {
    async fn found(
        &self,
        instruction: &Instruction,
        from: &From,
        mount: &RunMount,
        path: &str,
    ) -> Result<Vec<Source>, BuildError> {
        let span = mount.span;
        let word = Word { text: path.to_owned(), span };
        self.sources(instruction, from, vec![(word, path.to_owned())], None).await
    }

    fn word(&self, state: &State, word: Option<&Word>) -> Result<Option<String>, BuildError> {
        word.map(|word| self.expand(state, word)).transpose()
    }

    /// Where something is mounted.
    fn target(
        &self,
        state: &State,
        instruction: &Instruction,
        word: Option<&Word>,
        usual: &str,
    ) -> Result<String, BuildError> {
        let written = self.word(state, word)?.unwrap_or_else(|| usual.to_owned());
        let target = absolute(state, &written);
        let taken = |root: &str| target == root || target.starts_with(&format!("{root}/"));
        if target == "/" || ["/proc", "/sys", "/dev"].into_iter().any(taken) {
            return Err(self.stuck(
                instruction,
                ErrorCode::Usage,
                format!("nothing can be mounted on {target}: choose a folder of the image"),
            ));
        }
        Ok(target)
    }

    /// Mode and owner of what a mount holds.
    fn access(
        &self,
        state: &State,
        instruction: &Instruction,
        mount: &RunMount,
        usual: u32,
    ) -> Result<(u32, Owner), BuildError> {
        let bad = |what: &str, text: &str, expected: &str| {
            let problem = format!("`{text}` is not {what}: expected {expected}");
            self.stuck(instruction, ErrorCode::Usage, problem)
        };
        let mode = match self.word(state, mount.mode.as_ref())? {
            None => usual,
            Some(text) => u32::from_str_radix(&text, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777)
                .ok_or_else(|| bad("a mode", &text, "octal digits, e.g. 0755"))?,
        };
        let id = |word: Option<&Word>| match self.word(state, word)? {
            None => Ok(0),
            Some(text) => text.parse().map_err(|_| bad("an id", &text, "a number")),
        };
        Ok((mode, Owner { uid: id(mount.uid.as_ref())?, gid: id(mount.gid.as_ref())? }))
    }

    fn size(&self, instruction: &Instruction, text: &str) -> Result<u64, BuildError> {
        parse_size(text).map_err(|e| self.stuck(instruction, ErrorCode::Usage, e.to_string()))
    }
}
