//! `ADD URL`.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tandem_image::fetch_file;
use tandem_model::{Digest, ErrorCode};

use super::{
    builder::Builder,
    copy::Destination,
    select::{content, select},
    state::State,
    transfer::Batch,
};
use crate::{
    BuildError,
    ignore::Ignore,
    parse::{Instruction, Transfer, Word},
    plan::refused,
    tree::Context,
};

impl Builder<'_> {
    /// Fetches a file of the web. The cache knows it by its content, so it is
    /// fetched each time.
    pub(super) async fn fetched(
        &self,
        state: &State,
        instruction: &Instruction,
        transfer: &Transfer,
        word: &Word,
        url: &str,
        to: &Destination,
    ) -> Result<Batch, BuildError> {
        let path = url.split(['?', '#']).next().unwrap_or(url);
        let rest = path.split_once("://").map_or("", |(_, rest)| rest);
        let last = rest.split_once('/').and_then(|(_, path)| path.rsplit('/').next());
        let name = last.unwrap_or_default();
        if name.is_empty() && to.path.ends_with('/') {
            let message = format!(
                "`{url}` ends with no file name: expected a destination that is a file, e.g. {}file",
                to.path
            );
            return Err(refused(&self.dockerfile, word, message));
        }
        let name = if name.is_empty() || name == "." || name == ".." { "download" } else { name };
        let dir = self.folder("fetched")?;
        let place = dir.join(name);
        let io = |action| BuildError::io(action, &place);
        let mut file = fs::File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&place)
            .map_err(io("make"))?;
        self.progress(format!("fetching {url}"));
        let fetched = fetch_file(url, &mut file).await.map_err(|reason| {
            let problem = format!("{url} cannot be fetched: {reason}");
            self.stuck(instruction, ErrorCode::Unavailable, problem)
        })?;
        if let Some(word) = &transfer.checksum {
            let wanted = self.expand(state, word)?;
            let wanted: Digest = wanted.parse().map_err(|_| {
                let message = format!("`{wanted}` is no digest: expected sha256:HEX");
                refused(&self.dockerfile, word, message)
            })?;
            let (read, interrupt) = (place.clone(), self.interrupt.clone());
            let found = self
                .blocking(move || {
                    let failed = |e| BuildError::io("read", &read)(e);
                    let mut file = fs::File::open(&read).map_err(failed)?;
                    Ok(Digest::from_sha256(&content(&mut file, &interrupt).map_err(failed)?))
                })
                .await?;
            if found != wanted {
                let problem = format!(
                    "{url} has another digest ({found}) than --checksum says: check both before you trust it"
                );
                return Err(self.stuck(instruction, ErrorCode::BuildFailed, problem));
            }
        }
        let seconds = fetched.modified.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(io("set the mode of"))?;
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .map_err(io("set the time of"))?;
        let tree = Context::open(&dir, Ignore::default()).map_err(io("open"))?;
        let mut sources = select(&tree, "/")
            .map_err(|problem| self.stuck(instruction, ErrorCode::Internal, problem))?;
        for source in &mut sources {
            // The file itself, whatever characters its name has.
            source.found.retain(|found| !found.entry.is_dir());
            source.is_dir = false;
            source.name = name.into();
        }
        let unpack = transfer.unpack.unwrap_or(false);
        Ok(Batch { tree: Arc::new(tree), sources, unpack })
    }
}
