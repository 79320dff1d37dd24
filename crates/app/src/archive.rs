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
        let Some(file) = file else {
            return blocking("saving images", move |stop| {
                let out = std::io::stdout().lock();
                Ok(save_into(&store, &images, format, out, stop, &on_progress)?)
            })
            .await;
        };
        let to = file.clone();
        let whole = blocking("saving images", move |stop| {
            save(&store, &images, format, &to, stop, &on_progress).map_err(|e| or_unwritten(e, &to))
        })
        .await?;
        // Here, where nobody can have given up: who did gets no file.
        match whole {
            Some(draft) => draft.keep(&file).map_err(|e| AppError::unwritten(&file, &e)),
            None => Ok(()),
        }
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

#[cfg(test)]
mod tests {
    use std::{future::Future as _, pin::pin, task::Context, thread::sleep, time::Duration};

    use super::*;

    #[tokio::test]
    async fn who_gives_up_in_the_last_moment_gets_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let app = App::open(Some(&dir.path().join("home")), "/nonexistent/tandem".into()).unwrap();
        let file = dir.path().join("images.tar");
        {
            let saving = app.save_images(&[], ArchiveFormat::Oci, Some(file.clone()), |_| ());
            let mut saving = pin!(saving);
            let mut context = Context::from_waker(std::task::Waker::noop());
            assert!(saving.as_mut().poll(&mut context).is_pending());
            // Long enough for all of the work to be done.
            sleep(Duration::from_millis(300));
        }
        assert!(!file.exists());
        app.save_images(&[], ArchiveFormat::Oci, Some(file.clone()), |_| ()).await.unwrap();
        assert!(file.exists());
    }
}
