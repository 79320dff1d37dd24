//! Images as one file.

use std::path::PathBuf;

use tandem_image::{ArchiveFormat, ArchiveSource, Image, Transfer, load, save, save_into};

use crate::{App, AppError, work::blocking};

impl App {
    /// Writes images to a file, or to standard output. Dropping the future
    /// ends the work and leaves no half file.
    pub async fn save_images(
        &self,
        names: &[String],
        format: ArchiveFormat,
        file: Option<PathBuf>,
        on_progress: impl Fn(Transfer) + Send + Sync + 'static,
    ) -> Result<(), AppError> {
        let mut images: Vec<Image> = Vec::new();
        for name in names {
            let image = self.image(name)?;
            if !images.iter().any(|other| other.reference == image.reference) {
                images.push(image);
            }
        }
        let store = self.images.clone();
        blocking("saving images", move |stop| {
            let saved = match file {
                Some(file) => save(&store, &images, format, &file, stop, &on_progress),
                None => {
                    let out = std::io::stdout().lock();
                    save_into(&store, &images, format, out, stop, &on_progress)
                }
            };
            Ok(saved?)
        })
        .await
    }

    /// Loads the images of an archive: all of them or none. Dropping the
    /// future ends the work and leaves nothing of it.
    pub async fn load_images(
        &self,
        source: ArchiveSource,
        on_progress: impl Fn(Transfer) + Send + Sync + 'static,
    ) -> Result<Vec<Image>, AppError> {
        let store = self.images.clone();
        blocking("loading images", move |stop| Ok(load(&store, &source, stop, &on_progress)?)).await
    }
}
