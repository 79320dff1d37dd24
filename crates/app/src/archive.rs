//! Images as one file.

use std::path::{Path, PathBuf};

use tandem_image::{
    ArchiveFormat, ArchiveSource, Image, ImageError, Transfer, load, save, save_into,
};

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
        if let Some(folder) = file.as_deref().filter(|file| file.is_dir()) {
            let source = std::io::ErrorKind::IsADirectory.into();
            return Err(AppError::unwritten(folder, &source));
        }
        let store = self.images.clone();
        blocking("saving images", move |stop| match file {
            Some(file) => save(&store, &images, format, &file, stop, &on_progress)
                .map_err(|e| or_unwritten(e, &file)),
            None => {
                let out = std::io::stdout().lock();
                save_into(&store, &images, format, out, stop, &on_progress).map_err(Into::into)
            }
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

/// The error, with what to do about it where it is the file's.
fn or_unwritten(error: ImageError, file: &Path) -> AppError {
    match error {
        ImageError::Io { path, source, .. } if path == file => AppError::unwritten(file, &source),
        other => other.into(),
    }
}
