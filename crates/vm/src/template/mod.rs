//! Templates: the state of a machine whose app has booted, from which new
//! instances go on instead of booting.
//!
//! ```text
//! make    boot with the memory in a file ─▶ first answer ─▶ rest, save devices
//!         cache/templates/KEY/  memory  devices  disk.qcow2  template.json
//! start   link all of it ─▶ QEMU maps `memory` copy-on-write ─▶ go on, renewed
//! ```
//!
//! The memory is one file that every machine maps and none writes to: pages
//! that a guest only reads are there once for all of them. What is in the key
//! is what the guest has seen of its instance when the state was saved; name,
//! address, time and random numbers it gets anew.

mod key;
mod make;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tandem_backend::BackendError;
use tandem_home::{Home, Lock, make_private_dir, read_json, write_json};

use crate::{
    disk::{BaseRecord, Chain},
    snapshot::{MachineState, Resume, Source},
};
pub(crate) use key::Key;
pub(crate) use make::make;

/// How many are kept; each takes about what its guest has touched of its
/// memory.
const MOST: usize = 4;

const RECORD: &str = "template.json";

/// The mark, in an instance's folder, of a machine that is to become a
/// template: its memory is this file.
const MEMORY_IN_THE_MAKING: &str = "template.memory";

/// `template.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Template {
    state: MachineState,
    chain: Chain,
}

/// The file that is the memory of the machine in `dir`, when that is to become
/// a template.
pub(crate) fn memory_in_the_making(dir: &Path) -> Option<PathBuf> {
    Some(dir.join(MEMORY_IN_THE_MAKING)).filter(|path| path.exists())
}

fn root(home: &Home) -> PathBuf {
    home.cache().join("templates")
}

/// Whether there is a template for this key.
pub(crate) fn is_there(home: &Home, key: &Key) -> bool {
    root(home).join(key.as_str()).join(RECORD).exists()
}

/// Has the new instance in `dir` begin with the template's disk and go on from
/// its memory. `false` says that there is no template.
pub(crate) fn begin_with(home: &Home, key: &Key, dir: &Path) -> Result<bool, BackendError> {
    let root = root(home);
    let from = root.join(key.as_str());
    if !from.is_dir() {
        return Ok(false);
    }
    let _held = Lock::shared(&root.join(".lock"))?;
    let (Some(template), Some(base)) =
        (read_json::<Template>(&from.join(RECORD))?, BaseRecord::load(&from)?)
    else {
        return Ok(false);
    };
    if base.find(home).is_err() {
        // Its base was made anew; so will the template be.
        let _ = fs::remove_dir_all(&from);
        return Ok(false);
    }
    for name in template.chain.names() {
        let (source, target) = (from.join(name), dir.join(name));
        fs::hard_link(&source, &target).map_err(|e| BackendError::io("link", &source, e))?;
    }
    let chain = template.chain.with_layer(dir)?;
    let state = template.state;
    let resume = Resume { source: Source::Template, state, chain: chain.clone(), is_new: true };
    resume.arrange(dir, &from)?;
    base.save(dir)?;
    chain.save(dir)?;
    Ok(true)
}

/// Puts a finished template in its place, and removes the oldest when there
/// are too many. Instances that came from it have links of their own.
fn put(home: &Home, key: &Key, made: &Path) -> Result<(), BackendError> {
    let root = root(home);
    make_private_dir(&root)?;
    let _held = Lock::exclusive(&root.join(".lock"))?;
    let place = root.join(key.as_str());
    if place.exists() {
        return Ok(());
    }
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |e| BackendError::io(action, &path, e)
    };
    fs::rename(made, &place).map_err(io("move into place", made))?;
    let mut all = Vec::new();
    for entry in fs::read_dir(&root).map_err(io("list", &root))?.flatten() {
        let made_at = entry.path().join(RECORD).metadata().and_then(|it| it.modified());
        if let Ok(made_at) = made_at {
            all.push((made_at, entry.path()));
        }
    }
    all.sort();
    for (_, oldest) in all.iter().rev().skip(MOST) {
        fs::remove_dir_all(oldest).map_err(io("remove", oldest))?;
    }
    Ok(())
}

fn record(dir: &Path, template: &Template) -> Result<(), BackendError> {
    Ok(write_json(&dir.join(RECORD), template)?)
}
