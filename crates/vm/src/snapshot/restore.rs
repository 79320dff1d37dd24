use std::{fs, path::Path};

use tandem_backend::BackendError;

use super::{Resume, Saved, Source};
use crate::disk::{BaseRecord, Chain, copy_mark};

/// Gives the instance in `dir`, which does not run, a saved state of its own
/// again: at once its disk, and at its next start its memory, where `memory` is
/// asked for and there. `from` is the snapshot's folder. Returns whether the
/// memory will come back.
pub fn give_back(
    dir: &Path,
    from: &Path,
    saved: &Saved,
    memory: bool,
) -> Result<bool, BackendError> {
    whole(dir, &saved.chain)?;
    let chain = saved.chain.with_layer(dir)?;
    arrange(dir, from, saved, &chain, memory, false)
}

/// Gives a new instance in `to`, which has no disk yet, what was saved of the
/// one in `dir`.
pub fn give_to_new(
    dir: &Path,
    from: &Path,
    saved: &Saved,
    to: &Path,
    memory: bool,
) -> Result<bool, BackendError> {
    whole(dir, &saved.chain)?;
    for name in saved.chain.names() {
        let (source, target) = (dir.join(name), to.join(name));
        fs::hard_link(&source, &target).map_err(|e| BackendError::io("link", &source, e))?;
    }
    if let Some(base) = BaseRecord::load(dir)? {
        base.save(to)?;
    }
    copy_mark(dir, to)?;
    let chain = saved.chain.with_layer(to)?;
    arrange(to, from, saved, &chain, memory, true)
}

fn arrange(
    dir: &Path,
    from: &Path,
    saved: &Saved,
    chain: &Chain,
    memory: bool,
    is_new: bool,
) -> Result<bool, BackendError> {
    let state = saved.memory.clone().filter(|_| memory);
    let will_resume = state.is_some();
    match state {
        Some(state) => {
            let resume = Resume { source: Source::Mapped, state, chain: chain.clone(), is_new };
            resume.arrange(dir, from)?;
        }
        None => Resume::clear(dir)?,
    }
    // From here on it is so.
    chain.save(dir)?;
    Ok(will_resume)
}

/// All layers are there.
fn whole(dir: &Path, chain: &Chain) -> Result<(), BackendError> {
    match chain.paths(dir).into_iter().find(|path| !path.is_file()) {
        None => Ok(()),
        Some(missing) => Err(BackendError::Unavailable {
            what: "this snapshot".to_owned(),
            why: format!("{} is missing", missing.display()),
            fix: "restore another one; `tandem snapshot ls` lists them".to_owned(),
        }),
    }
}
