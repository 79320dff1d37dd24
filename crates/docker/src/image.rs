use std::io::{self, Write};

use hyper::body::Bytes;
use tandem_backend::BackendError;
use tandem_home::Home;
use tandem_image::{ArchiveFormat, Image, Store, save_into};
use tandem_model::InstanceSpec;
use tokio::sync::mpsc;

use crate::{
    api::{Api, ApiError},
    refusal::other,
};

/// Bytes of an archive on their way, in pieces of a mebibyte at most.
const PIECES: usize = 4;

/// The image of an instance.
pub(crate) fn image_of(home: &Home, spec: &InstanceSpec) -> Result<(Store, Image), BackendError> {
    let failed = |e: tandem_image::ImageError| BackendError::Reported(e.into());
    let store = Store::open(home).map_err(failed)?;
    let by_name = spec.image.parse().ok().and_then(|name| store.resolve(&name).ok());
    let image = match by_name {
        Some(image) if image.digest == spec.digest => image,
        _ => store.find(&spec.digest.to_string()).map_err(failed)?,
    };
    Ok((store, image))
}

/// The id under which the engine has the image: the digest of its
/// configuration, or of its manifest where containerd keeps the images.
pub(crate) async fn id_in(api: &Api, image: &Image) -> Result<Option<String>, ApiError> {
    for digest in [&image.config_digest, &image.digest] {
        match api.get(&format!("/images/{digest}/json")).await {
            Ok(_) => return Ok(Some(digest.to_string())),
            Err(e) if e.is_missing() => {}
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

/// Loads the image into the engine, where it is not there yet, under a name of
/// our own, and returns its id there.
pub(crate) async fn ensure(
    api: &Api,
    home: &Home,
    spec: &InstanceSpec,
    progress: &mut (dyn for<'l> FnMut(&'l str) + Send),
) -> Result<String, BackendError> {
    let (store, mut image) = image_of(home, spec)?;
    if let Some(id) = id_in(api, &image).await.map_err(other)? {
        return Ok(id);
    }
    progress(&format!("loading {} into the engine", spec.image));
    let digest = image.config_digest.to_string();
    let short = digest.trim_start_matches("sha256:").get(..12).unwrap_or_default().to_owned();
    // Whoever has a tag of the image's name in the engine keeps it.
    let name = format!("localhost/tandem/image:{short}");
    image.reference = name.parse().map_err(|e| BackendError::engine("the image's name", e))?;
    let (sender, pieces) = mpsc::channel(PIECES);
    let images = [image.clone()];
    let saving = tokio::task::spawn_blocking(move || {
        let stopped = {
            let sender = sender.clone();
            move || sender.is_closed()
        };
        save_into(&store, &images, ArchiveFormat::Docker, Pieces(sender), &stopped, &|_| {})
    });
    let answer = api.upload("/images/load?quiet=1", pieces).await;
    let saved = saving.await.map_err(|e| BackendError::engine("saving the image", e))?;
    // When the engine has refused, that is why saving ended too.
    let answer = answer.map_err(other)?;
    saved.map_err(|e| BackendError::Reported(e.into()))?;
    match id_in(api, &image).await.map_err(other)? {
        Some(id) => Ok(id),
        None => Err(BackendError::engine(
            "loading the image",
            format!("the engine has it under another digest: {}", answer.trim()),
        )),
    }
}

/// The writing end of an upload.
struct Pieces(mpsc::Sender<Bytes>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = &bytes[..bytes.len().min(1 << 20)];
        match self.0.blocking_send(Bytes::copy_from_slice(part)) {
            Ok(()) => Ok(part.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
