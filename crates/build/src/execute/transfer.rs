use std::{fmt::Write as _, path::Path, sync::Arc};

use tandem_model::ErrorCode;

use super::{
    builder::{Builder, Ended},
    copy::{Destination, copy, write_document},
    select::{Source, digest, select},
    state::State,
    upper::Upper,
    users::{Owner, owner},
};
use crate::{
    BuildError, ContextSource, expand,
    ignore::Ignore,
    parse::{Heredoc, Instruction, Transfer, Word, names_folder},
    plan::{Origin, refused},
    tree::{Context, Tree, lexical},
};

/// Where sources come from.
struct From {
    tree: Arc<dyn Tree + Send + Sync>,
    /// For messages: `the build context`, `stage build`.
    name: String,
    /// Files keep their owners; those of the host's folders have none to keep.
    keep_owners: bool,
}

impl Builder<'_> {
    /// COPY and ADD.
    pub(super) async fn transfer(
        &mut self,
        stage: usize,
        state: &mut State,
        instruction: &Instruction,
        transfer: &Transfer,
        name: &'static str,
    ) -> Result<Ended, BuildError> {
        let from = self.origin(stage, instruction, transfer.from.as_ref()).await?;
        let mut written = Vec::new();
        for word in &transfer.sources {
            written.push((word.clone(), self.expand(state, word)?));
        }
        let documents = self.documents(state, transfer)?;
        let to = self.destination(state, instruction, transfer)?;
        let sources = self.sources(instruction, &from, written.clone()).await?;
        let count = sources.len() + documents.len();
        if count > 1 && !to.path.ends_with('/') {
            return Err(refused(
                &self.dockerfile,
                &transfer.destination,
                format!(
                    "{count} files fit, and they need a folder to go to: expected a destination that ends with `/`"
                ),
            ));
        }
        let keep_owners = from.keep_owners && to.owner.is_none();
        let interrupt = self.interrupt.clone();
        let tree = Arc::clone(&from.tree);
        let (sources, content) = self
            .blocking(move || {
                let content = digest(&*tree, &sources, keep_owners, &interrupt)
                    .map_err(BuildError::io("read", "the build context"))?;
                Ok((sources, content))
            })
            .await?;
        let facts =
            (name, &state.chain, &to.path, to.owner, to.mode, &content, keep_owners, &documents);
        let key = self.key(&facts)?;
        let line = history_line(name, transfer, &written, &to);
        if let Some(made) = self.remembered(&key) {
            return Ok(self.recall(state, &made, line));
        }
        let room = self.room()?;
        let mut upper = Upper::new(room.upper.clone(), state.view(), state.time);
        let (interrupt, time, tree) = (self.interrupt.clone(), state.time, from.tree);
        let to = Destination {
            unpack: name == "ADD",
            // What the host's folders hold belongs to root.
            owner: to.owner.or((!keep_owners).then_some(Owner::ROOT)),
            ..to
        };
        let copied = self.blocking(move || {
            let result = (|| {
                copy(&mut upper, &*tree, &sources, &to, &interrupt)?;
                for (name, content) in &documents {
                    write_document(&mut upper, name, content.as_bytes(), &to, time)?;
                }
                upper.finish()
            })();
            Ok(result)
        });
        copied.await?.map_err(|e| self.io_stuck(instruction, &e))?;
        self.commit(state, room, &key, line).await
    }

    /// WORKDIR: a setting, and a folder when it is not there.
    pub(super) async fn workdir(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
        path: &Word,
    ) -> Result<Ended, BuildError> {
        let written = self.expand(state, path)?;
        let folder = absolute(state, &written);
        state.document.config.working_dir = Some(folder.clone());
        let line = format!("WORKDIR {folder}");
        let user = state.document.config.user.clone().unwrap_or_default();
        let key = self.key(&("workdir", &state.chain, &folder, &user))?;
        if let Some(made) = self.remembered(&key) {
            return Ok(self.recall(state, &made, line));
        }
        let view = state.view();
        let resolved = crate::tree::resolve(&view, Path::new(&folder), true);
        let resolved = resolved.map_err(|e| self.io_stuck(instruction, &e))?;
        let room = self.room()?;
        let there = !state.dirs.is_empty()
            && view
                .entry(&resolved)
                .map_err(|e| self.io_stuck(instruction, &e))?
                .is_some_and(|entry| entry.is_dir());
        if !there {
            // BuildKit gives the folder to the user of the moment.
            let owner = match user.as_str() {
                "" => Owner::ROOT,
                user => owner(&view, user)
                    .map_err(|problem| self.stuck(instruction, ErrorCode::Usage, problem))?,
            };
            let mut upper = Upper::new(room.upper.clone(), view, state.time);
            upper
                .ensure_folder(&resolved, owner)
                .and_then(|()| upper.finish())
                .map_err(|e| self.io_stuck(instruction, &e))?;
        }
        self.commit(state, room, &key, line).await
    }

    async fn origin(
        &mut self,
        stage: usize,
        instruction: &Instruction,
        from: Option<&Word>,
    ) -> Result<From, BuildError> {
        let Some(word) = from else {
            let tree = Arc::clone(&self.context) as Arc<dyn Tree + Send + Sync>;
            return Ok(From { tree, name: "the build context".to_owned(), keep_owners: false });
        };
        let name = &word.text;
        match self.plan.origin(stage, name) {
            Some(Origin::Stage(at)) => {
                let tree = Arc::new(self.finished(at, instruction)?.view());
                Ok(From { tree, name: format!("stage {name}"), keep_owners: true })
            }
            Some(Origin::Named(written)) => {
                let context = self.options.build_contexts.iter().find(|it| it.stands_for(&written));
                if let Some(ContextSource::Dir(dir)) = context.map(|context| &context.source) {
                    let dir = dir.clone();
                    let ignore = super::context::ignore_file(&dir, None)?;
                    let tree = Context::open(&dir, ignore)
                        .map_err(BuildError::io("open the build context", &dir))?;
                    self.substituted(&written, dir.display().to_string());
                    let name = format!("the build context {written}");
                    return Ok(From { tree: Arc::new(tree), name, keep_owners: false });
                }
                let tree = Arc::new(self.image(&written, instruction).await?.view());
                Ok(From { tree, name: format!("image {written}"), keep_owners: true })
            }
            None => Err(refused(
                &self.dockerfile,
                word,
                format!("there is no stage {name} before this one"),
            )),
        }
    }

    async fn sources(
        &mut self,
        instruction: &Instruction,
        from: &From,
        written: Vec<(Word, String)>,
    ) -> Result<Vec<Source>, BuildError> {
        let mut sources = Vec::new();
        for (word, text) in written {
            let tree = Arc::clone(&from.tree);
            let searched = text.clone();
            let found = self.blocking(move || Ok(select(&*tree, &searched))).await?;
            let found = found.map_err(|e| self.stuck(instruction, ErrorCode::Internal, e))?;
            if found.is_empty() {
                let hint =
                    if from.name == "the build context" { self.hint(&text) } else { String::new() };
                return Err(BuildError::Instruction {
                    place: format!("{}:{}", self.dockerfile.file, word.span.start),
                    instruction: instruction.text.clone(),
                    problem: format!("`{text}` is not in {}{hint}", from.name),
                    code: ErrorCode::NotFound,
                });
            }
            sources.extend(found);
        }
        Ok(sources)
    }

    /// Why a source may be missing from the context.
    fn hint(&self, text: &str) -> String {
        let all = Context::open(&self.options.context, Ignore::default());
        if all.is_ok_and(|all| select(&all, text).is_ok_and(|found| !found.is_empty())) {
            return ": .dockerignore leaves it out".to_owned();
        }
        format!(" {}: check the path, which begins at that folder", self.options.context.display())
    }

    fn destination(
        &self,
        state: &State,
        instruction: &Instruction,
        transfer: &Transfer,
    ) -> Result<Destination, BuildError> {
        let written = self.expand(state, &transfer.destination)?;
        let mut path = absolute(state, &written);
        if (written.is_empty() || names_folder(&written)) && !path.ends_with('/') {
            path.push('/');
        }
        let owner = match &transfer.chown {
            None => None,
            Some(word) => {
                let text = self.expand(state, word)?;
                let found = owner(&state.view(), &text);
                Some(found.map_err(|e| self.stuck(instruction, ErrorCode::Usage, e))?)
            }
        };
        let mode = match &transfer.chmod {
            None => None,
            Some(word) => {
                let text = self.expand(state, word)?;
                let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777);
                Some(mode.ok_or_else(|| {
                    refused(
                        &self.dockerfile,
                        word,
                        format!("`{text}` is not a mode: expected octal digits, e.g. 755"),
                    )
                })?)
            }
        };
        Ok(Destination { path, owner, mode, unpack: false })
    }

    fn documents(
        &self,
        state: &State,
        transfer: &Transfer,
    ) -> Result<Vec<(String, String)>, BuildError> {
        let lookup = |name: &str| state.value(name);
        let content = |document: &Heredoc| {
            if !document.expand {
                return Ok(document.content.clone());
            }
            expand::expand_document(&document.content, self.dockerfile.escape, &lookup)
                .map_err(|e| refused(&self.dockerfile, &transfer.destination, e.message))
        };
        let documents = transfer.documents.iter();
        documents.map(|document| Ok((document.name.clone(), content(document)?))).collect()
    }

    fn io_stuck(&self, instruction: &Instruction, error: &std::io::Error) -> BuildError {
        let code = match error.kind() {
            std::io::ErrorKind::StorageFull => ErrorCode::NoSpace,
            _ => ErrorCode::BuildFailed,
        };
        self.stuck(instruction, code, error.to_string())
    }
}

/// A path of the image from what is written, without `.` and `..`.
fn absolute(state: &State, written: &str) -> String {
    let path = Path::new(state.document.config.folder()).join(written);
    format!("/{}", lexical(&path).display())
}

fn history_line(
    name: &str,
    transfer: &Transfer,
    written: &[(Word, String)],
    to: &Destination,
) -> String {
    let mut line = name.to_owned();
    for (flag, value) in
        [("from", &transfer.from), ("chown", &transfer.chown), ("chmod", &transfer.chmod)]
    {
        if let Some(value) = value {
            let _ = write!(line, " --{flag}={}", value.text);
        }
    }
    for (_, source) in written {
        line.push(' ');
        line.push_str(source);
    }
    for document in &transfer.documents {
        let _ = write!(line, " <<{}", document.name);
    }
    line.push(' ');
    line.push_str(&to.path);
    line
}
