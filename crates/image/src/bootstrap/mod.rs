//! Base images from Debian packages, for machines that reach a Debian mirror
//! but no registry.
//!
//! `mmdebstrap` installs into a scratch folder, as root within a mount and
//! process namespace of its own, so that whatever ends it also ends all it
//! started and leaves no mount. The folder is then tidied and becomes the
//! image's one layer by rename.

mod child;
mod config;
mod error;
mod kind;
mod plan;
mod sources;
mod tidy;

use std::{
    fs::{self, File},
    path::Path,
    time::SystemTime,
};

pub use error::BootstrapError;
pub use kind::{BaseKind, bootstrap_name};
pub use sources::{AptSource, parse_deb822_sources, parse_one_line_sources};

use crate::{Image, ImageError, Limits, NewLayer, Store, layer::decompressed, unpack_layer};
use child::Child;
use kind::{Suite, name_of};
use plan::Plan;

/// Makes a base image and gives it the name of [`bootstrap_name`]; about a
/// minute with a near mirror. `on_line` gets what is being done, line by line.
///
/// # Errors
/// [`BootstrapError`] within [`ImageError::Bootstrap`]. Nothing stays behind.
pub fn bootstrap(
    store: &Store,
    kind: BaseKind,
    on_line: &mut dyn FnMut(&str),
) -> Result<Image, ImageError> {
    bootstrap_until(store, kind, on_line, &|| false)
}

/// [`bootstrap`] that ends with [`BootstrapError::Cancelled`] soon after
/// `cancelled` says so; it is asked several times a second. The work also
/// ends when this process is killed.
pub fn bootstrap_until(
    store: &Store,
    kind: BaseKind,
    on_line: &mut dyn FnMut(&str),
    cancelled: &dyn Fn() -> bool,
) -> Result<Image, ImageError> {
    let plan = Plan::of_host(kind)?;
    let _lease = store.lease()?;
    let scratch = store.home().scratch("bootstrap")?;
    check_space(scratch.path())?;
    on_line(&format!("making {} from {}", name_of(kind, &plan.suite), plan.origin()));
    let started = SystemTime::now();
    let root = scratch.path().join("root");
    let command = if rustix::process::geteuid().is_root() {
        plan.as_root(&root)
    } else {
        plan.as_user(&scratch.path().join("root.tar"))
    };
    Child::spawn(command)?.run(on_line, cancelled)?;
    if !root.is_dir() {
        unpack_tar(&scratch.path().join("root.tar"), &root)?;
    }
    let made = tidy::tidy(&root, kind, started)?;
    let mut suite = plan.suite;
    if let Some(version) = &made.python
        && *version != suite.python
    {
        on_line(&format!("the mirror has Python {version}, {} was expected", suite.python));
        suite.python.clone_from(version);
    }
    on_line("packing the layer");
    let layer = store.commit_layer_dir(&root, None)?;
    finish(store, kind, &suite, &made, layer)
}

/// What the unpacked system, its packages and the packed layer take at the
/// same time, in MiB.
const NEEDED_MIB: u64 = 400;

/// apt and dpkg name many causes when they run out of space, but not that one.
fn check_space(path: &Path) -> Result<(), BootstrapError> {
    let found = rustix::fs::statvfs(path)
        .map_err(|e| BootstrapError::io("look at the free space of", path)(e.into()))?;
    let free_mib = found.f_bavail.saturating_mul(found.f_frsize) >> 20;
    if free_mib < NEEDED_MIB {
        let path = path.parent().unwrap_or(path).to_owned();
        return Err(BootstrapError::NoSpace { free_mib, needed_mib: NEEDED_MIB, path });
    }
    Ok(())
}

fn finish(
    store: &Store,
    kind: BaseKind,
    suite: &Suite,
    made: &tidy::Made,
    layer: NewLayer,
) -> Result<Image, ImageError> {
    let config = config::configuration(kind, made)
        .map_err(|e| BootstrapError::Unusable { reason: e.to_string() })?;
    store.put_image(&name_of(kind, suite), config, &[layer.into()])
}

fn unpack_tar(tar: &Path, root: &Path) -> Result<(), ImageError> {
    fs::create_dir(root).map_err(ImageError::io("make", root))?;
    let file = File::open(tar).map_err(ImageError::io("open", tar))?;
    let reader = decompressed(file).map_err(ImageError::io("read", tar))?;
    unpack_layer(reader, root, Limits::default()).map_err(ImageError::layer(tar.display()))?;
    fs::remove_file(tar).map_err(ImageError::io("remove", tar))
}
