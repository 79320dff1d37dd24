use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use tandem_image::{Limits, has_single_id};
use tandem_model::{Digest, ErrorCode};

use super::{
    builder::Builder,
    chmod::Chmod,
    copy::{Destination, copy, write_document},
    parents::select_parents,
    select::{Source, digest, exclude, select},
    shared::Ended,
    state::State,
    upper::Upper,
    users::{Owner, owner},
};
use crate::{
    BuildError, BuildEvent, ContextSource, expand,
    ignore::{Glob, Ignore},
    parse::{Heredoc, Instruction, Transfer, Word, is_git, is_url, names_folder},
    plan::{Origin, refused},
    tree::{Context, Layers, Tree, lexical},
};

/// Where sources come from.
pub(super) struct From {
    pub(super) tree: SharedTree,
    /// For messages: `the build context`, `stage build`.
    name: String,
    /// The layers of a stage or image, whose files keep their owners; those of
    /// the host's folders have none to keep.
    pub(super) layers: Option<Stacked>,
}

type SharedTree = Arc<dyn Tree + Send + Sync>;

/// The layers of a stage or image.
pub(super) struct Stacked {
    pub(super) chain: Option<Digest>,
    pub(super) dirs: Vec<PathBuf>,
}

impl From {
    fn state(state: &State, name: String) -> Self {
        let layers = Stacked { chain: state.chain.clone(), dirs: state.dirs.clone() };
        Self { tree: Arc::new(state.view()), name, layers: Some(layers) }
    }
}

/// What arrives from one place.
pub(super) struct Batch {
    pub(super) tree: SharedTree,
    pub(super) sources: Vec<Source>,
    pub(super) unpack: bool,
}

impl Builder<'_> {
    /// COPY and ADD.
    pub(super) async fn transfer(
        &self,
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
        if let (Some(word), Some(Owner { uid: 1.., .. } | Owner { gid: 1.., .. })) =
            (&transfer.chown, to.owner)
        {
            self.warn_of_lost_owner(instruction, &word.text);
        }
        let keep_owners = from.layers.is_some() && to.owner.is_none();
        let is_remote =
            |(_, text): &(Word, String)| name == "ADD" && (is_url(text) || is_git(text));
        let (remote, local): (Vec<_>, Vec<_>) = written.iter().cloned().partition(is_remote);
        let left_out = self.excluded(state, transfer)?;
        let parents = transfer.parents.then(|| left_out.clone());
        let mut sources = self.sources(instruction, &from, local, parents).await?;
        if !transfer.parents {
            exclude(&mut sources, &left_out);
        }
        let unpack = name == "ADD" && transfer.unpack.unwrap_or(true);
        let mut batches = vec![Batch { tree: from.tree, sources, unpack }];
        for (word, url) in remote {
            let batch = if is_git(&url) {
                let mut batch = self.cloned(state, instruction, transfer, &word, &url).await?;
                exclude(&mut batch.sources, &left_out);
                batch
            } else {
                self.fetched(state, instruction, transfer, &word, &url, &to).await?
            };
            batches.push(batch);
        }
        let count = batches.iter().map(|it| it.sources.len()).sum::<usize>() + documents.len();
        if count > 1 && !to.path.ends_with('/') {
            return Err(refused(
                &self.dockerfile,
                &transfer.destination,
                format!(
                    "{count} files fit, and they need a folder to go to: expected a destination that ends with `/`"
                ),
            ));
        }
        let interrupt = self.interrupt.clone();
        let (batches, content) = self
            .blocking(move || {
                let mut content = Vec::new();
                for batch in &batches {
                    let of_batch = digest(&*batch.tree, &batch.sources, keep_owners, &interrupt)
                        .map_err(BuildError::io("read", "the build context"))?;
                    content.push((of_batch, batch.unpack));
                }
                Ok((batches, content))
            })
            .await?;
        let facts = (name, &state.chain, &to.path, to.owner, &to.mode, &content, keep_owners);
        let key = self.key(&(facts, &documents, transfer.link))?;
        let line = history_line(name, transfer, &written, &to);
        let _turn = self.turn(&key).await;
        if let Some(made) = self.remembered(&key) {
            return Ok(self.recall(state, &made, line));
        }
        let room = self.room()?;
        // A linked copy does not look at what is below.
        let below = if transfer.link { Layers::new(&[]) } else { state.view() };
        let mut upper = Upper::new(room.upper.clone(), below, state.time);
        let (interrupt, time) = (self.interrupt.clone(), state.time);
        let limits = Limits::of(self.store.home())?;
        let to = Destination {
            // What the host's folders hold belongs to root.
            owner: to.owner.or((!keep_owners).then_some(Owner::ROOT)),
            ..to
        };
        let copied = self.blocking(move || {
            let result = (|| {
                for Batch { tree, sources, unpack } in &batches {
                    let to = Destination { unpack: unpack.then_some(limits), ..to.clone() };
                    copy(&mut upper, &**tree, sources, &to, &interrupt)?;
                }
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

    /// What `--exclude` leaves out.
    fn excluded(&self, state: &State, transfer: &Transfer) -> Result<Ignore, BuildError> {
        let mut patterns = Vec::new();
        for word in &transfer.exclude {
            patterns.push(self.expand(state, word)?);
        }
        Ignore::parse(&patterns.join("\n")).map_err(|(at, e)| {
            let word = &transfer.exclude[(at as usize).saturating_sub(1).min(patterns.len() - 1)];
            refused(&self.dockerfile, word, format!("`{}`: {e}", word.text))
        })
    }

    /// WORKDIR: a setting, and a folder when it is not there.
    pub(super) async fn workdir(
        &self,
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
        let _turn = self.turn(&key).await;
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
            if owner.uid != 0 {
                self.warn_of_lost_owner(instruction, &user);
            }
            let mut upper = Upper::new(room.upper.clone(), view, state.time);
            upper
                .ensure_folder(&resolved, owner)
                .and_then(|()| upper.finish())
                .map_err(|e| self.io_stuck(instruction, &e))?;
        }
        self.commit(state, room, &key, line).await
    }

    /// Says that what is given away stays root's, where root is alone.
    fn warn_of_lost_owner(&self, instruction: &Instruction, wanted: &str) {
        if has_single_id() {
            let message = format!(
                "what is given to `{wanted}` belongs to root instead, who is you: only one user id is there; `tandem doctor` says how to get more"
            );
            self.event(BuildEvent::Warning { line: Some(instruction.span.start.line), message });
        }
    }

    pub(super) async fn origin(
        &self,
        stage: usize,
        instruction: &Instruction,
        from: Option<&Word>,
    ) -> Result<From, BuildError> {
        let Some(word) = from else {
            let tree = Arc::clone(&self.context) as SharedTree;
            return Ok(From { tree, name: "the build context".to_owned(), layers: None });
        };
        let name = &word.text;
        match self.plan.origin(stage, name) {
            Some(Origin::Stage(at)) => {
                Ok(From::state(&self.finished(at).await?, format!("stage {name}")))
            }
            Some(Origin::Named(written)) => {
                let context = self.options.build_contexts.iter().find(|it| it.stands_for(&written));
                if let Some(ContextSource::Dir(dir)) = context.map(|context| &context.source) {
                    let dir = dir.clone();
                    std::fs::read_dir(&dir).map_err(BuildError::context(&dir))?;
                    let ignore = super::context::ignore_file(&dir, None)?;
                    let tree = Context::open(&dir, ignore).map_err(BuildError::context(&dir))?;
                    self.substituted(&written, dir.display().to_string());
                    let name = format!("the build context {written}");
                    return Ok(From { tree: Arc::new(tree), name, layers: None });
                }
                let state =
                    self.image(&written, self.options.platform.as_ref(), instruction).await?;
                Ok(From::state(&state, format!("image {written}")))
            }
            None => Err(refused(
                &self.dockerfile,
                word,
                format!("there is no stage {name} before this one"),
            )),
        }
    }

    /// Finds sources; for `--parents` without what that leaves out.
    pub(super) async fn sources(
        &self,
        instruction: &Instruction,
        from: &From,
        written: Vec<(Word, String)>,
        parents: Option<Ignore>,
    ) -> Result<Vec<Source>, BuildError> {
        let mut sources = Vec::new();
        for (word, text) in written {
            let tree = Arc::clone(&from.tree);
            let (searched, left_out) = (text.clone(), parents.clone());
            let find = move || match left_out {
                Some(left_out) => select_parents(&*tree, &searched, &left_out),
                None => select(&*tree, &searched),
            };
            let found = self.blocking(move || Ok(find())).await?;
            let found = found.map_err(|e| self.stuck(instruction, ErrorCode::Internal, e))?;
            if found.is_empty() && Glob::is_pattern(&text) {
                // Nothing to copy is no error in Docker when it is a pattern.
                let message = format!("`{text}` matches nothing in {}", from.name);
                let line = Some(word.span.start.line);
                self.event(BuildEvent::Warning { line, message });
                continue;
            }
            if found.is_empty() {
                let hint = if from.name == "the build context" {
                    self.hint(&text, parents.is_some())
                } else {
                    String::new()
                };
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
    fn hint(&self, text: &str, parents: bool) -> String {
        let there = |found: Result<Vec<Source>, String>| found.is_ok_and(|found| !found.is_empty());
        if let Ok(all) = Context::open(&self.options.context, Ignore::default()) {
            let plain = there(select(&all, text));
            if plain && (!parents || there(select_parents(&all, text, &Ignore::default()))) {
                return ": .dockerignore leaves it out".to_owned();
            }
            if plain {
                return ": --parents follows no link on the way to it".to_owned();
            }
        }
        // A folder of our own is gone afterwards, and says nothing to anybody.
        if self.options.context.starts_with(self.store.home().temporary()) {
            return " that came on standard input: give a folder, or put it into the archive"
                .to_owned();
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
        // Without a value they say nothing.
        let said = |word: &Option<Word>| -> Result<Option<(Word, String)>, BuildError> {
            let Some(word) = word else { return Ok(None) };
            let text = self.expand(state, word)?;
            Ok((!text.is_empty()).then(|| (word.clone(), text)))
        };
        let owner = match said(&transfer.chown)? {
            None => None,
            Some((_, text)) => {
                let found = owner(&state.view(), &text);
                Some(found.map_err(|e| self.stuck(instruction, ErrorCode::Usage, e))?)
            }
        };
        let mode = match said(&transfer.chmod)? {
            None => None,
            Some((word, text)) => {
                Some(Chmod::parse(&text).ok_or_else(|| {
                    refused(
                        &self.dockerfile,
                        &word,
                        format!(
                            "`{text}` is not a mode: expected octal digits, e.g. 755, or changes, e.g. u=rwX,go=rX"
                        ),
                    )
                })?)
            }
        };
        Ok(Destination { path, owner, mode, unpack: None })
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
            expand::expand_document(&document.content, &lookup)
                .map_err(|e| refused(&self.dockerfile, &transfer.destination, e.message))
        };
        let documents = transfer.documents.iter();
        documents.map(|document| Ok((document.name.clone(), content(document)?))).collect()
    }

    pub(super) fn io_stuck(&self, instruction: &Instruction, error: &std::io::Error) -> BuildError {
        let code = match error.kind() {
            std::io::ErrorKind::StorageFull => ErrorCode::NoSpace,
            _ => ErrorCode::BuildFailed,
        };
        self.stuck(instruction, code, error.to_string())
    }
}

/// A path of the image from what is written, without `.` and `..`.
pub(super) fn absolute(state: &State, written: &str) -> String {
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
    for (flag, written) in [("link", transfer.link), ("parents", transfer.parents)] {
        if written {
            let _ = write!(line, " --{flag}");
        }
    }
    for word in &transfer.exclude {
        let _ = write!(line, " --exclude={}", word.text);
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
