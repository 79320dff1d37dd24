//! Images and registries: pull, push, log in and out.

use tandem_image::{
    Access, Credentials, Image, LoginFiles, PullOptions, Transfer, login, logout, pull, push,
};
use tandem_model::{Digest, ImageRef};
use tokio::sync::mpsc;

use crate::{App, AppError};

impl App {
    /// Fetches an image from its registry, for a platform like `linux/arm64`
    /// or for this machine.
    pub async fn pull(
        &self,
        reference: &ImageRef,
        platform: Option<&str>,
        on_progress: impl Fn(Transfer) + Send + Sync + 'static,
    ) -> Result<Image, AppError> {
        let platform = platform.map(crate::platform::parse).transpose()?;
        let options = PullOptions { platform, ..PullOptions::default() };
        Ok(pull(&self.images, reference, &options, on_progress).await?)
    }

    /// [`App::pull`], told line by line.
    pub(crate) async fn pull_told(
        &self,
        reference: &ImageRef,
        platform: Option<&str>,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Image, AppError> {
        progress(&format!("pulling {reference}"));
        let (send, mut lines) = mpsc::unbounded_channel();
        let told = move |transfer: Transfer| {
            if let Some(line) = transfer.line() {
                let _ = send.send(line);
            }
        };
        let pulling = self.pull(reference, platform, told);
        tokio::pin!(pulling);
        loop {
            tokio::select! {
                biased;
                Some(line) = lines.recv() => progress(&line),
                pulled = &mut pulling => return pulled,
            }
        }
    }

    /// Sends a local image to the registry of its name, or of another one.
    pub async fn push(
        &self,
        name: &str,
        target: Option<&str>,
        on_progress: impl Fn(Transfer) + Send + Sync + 'static,
    ) -> Result<(ImageRef, Digest), AppError> {
        let image = self.image(name)?;
        let target = match target {
            Some(target) => target.parse()?,
            None => image.reference.clone(),
        };
        let digest = push(&self.images, &image, &target, Access::User, on_progress).await?;
        Ok((target, digest))
    }

    /// Shows a name and a password to a registry and keeps them when it takes
    /// them; says where.
    pub async fn login(
        &self,
        registry: &str,
        name: String,
        secret: String,
    ) -> Result<String, AppError> {
        let credentials = Credentials::Password { name, secret };
        let files = LoginFiles::of_user();
        let place = login(&self.home, &files, registry, &credentials).await;
        Ok(place.map_err(tandem_image::ImageError::from)?)
    }

    /// Forgets the login for a registry.
    pub async fn logout(&self, registry: &str) -> Result<(), AppError> {
        let erased = logout(&LoginFiles::of_user(), registry).await;
        Ok(erased.map_err(tandem_image::ImageError::from)?)
    }
}
