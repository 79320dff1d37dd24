use tandem_backend::BackendError;
use tandem_home::Home;
use tandem_model::InstanceSpec;

use crate::launch::{image_of, layers_of, open_images};

/// Unpacks the layers of an instance's image, for all instances of it.
pub(crate) async fn unpack(
    home: &Home,
    spec: &InstanceSpec,
    progress: &mut (dyn FnMut(&str) + Send),
) -> Result<(), BackendError> {
    let (home, spec) = (home.clone(), spec.clone());
    let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel::<String>();
    let work = tokio::task::spawn_blocking(move || {
        let images = open_images(&home)?;
        let image = image_of(&images, &spec)?;
        let tell = |line: &str| drop(sender.send(line.to_owned()));
        layers_of(&images, &image, &tell).map(drop)
    });
    while let Some(line) = lines.recv().await {
        progress(&line);
    }
    work.await.map_err(|e| BackendError::engine("unpacking the image", e))?
}
