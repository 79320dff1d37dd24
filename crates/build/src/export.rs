//! The files of an image as a folder or an archive (`build -o`).

use std::{fs, io::Write, path::Path};

use tandem_home::Home;
use tandem_image::{Extract, Image, Rebase, Store, extract, pack_layer};

use crate::{BuildError, execute::merge, tree::Layers};

/// Writes an image's files as an uncompressed tar archive.
///
/// # Errors
/// [`BuildError`]; what was written so far is of no use then.
pub fn export_tar(
    home: &Home,
    store: &Store,
    image: &Image,
    mut out: impl Write,
) -> Result<(), BuildError> {
    let scratch = home.scratch("export")?;
    let files = scratch.path().join("files");
    fs::create_dir(&files).map_err(BuildError::io("make the folder", &files))?;
    let dirs = store.layer_dirs(image, &|_| {})?;
    merge(&Layers::new(&dirs), &files).map_err(BuildError::io("copy files to", &files))?;
    Ok(pack_layer(&files, &mut out)?)
}

/// Writes an image's files into a folder, which is made when it is not there.
/// They belong to the caller; what is there already stays, and is overwritten
/// file by file.
///
/// # Errors
/// [`BuildError`].
pub fn export_folder(
    home: &Home,
    store: &Store,
    image: &Image,
    to: &Path,
) -> Result<(), BuildError> {
    fs::create_dir_all(to).map_err(BuildError::io("make the folder", to))?;
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let options = Extract {
        rebase: Rebase::Keep,
        owner: Some((user.as_raw(), group.as_raw())),
        privileges: false,
        limits: tandem_image::Limits::of(home)?,
    };
    let (reader, writer) = std::io::pipe().map_err(BuildError::io("make a pipe for", to))?;
    std::thread::scope(|scope| {
        let packing = scope.spawn(move || export_tar(home, store, image, writer));
        let extracted = extract(reader, to, &options).map_err(BuildError::from);
        let packed = packing.join().unwrap_or(Err(BuildError::Cancelled));
        // When the reader gave up, the writer's broken pipe is no news.
        extracted.and(packed)
    })
}
