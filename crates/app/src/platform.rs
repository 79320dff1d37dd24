//! Images for this machine and for others.

use tandem_image::{Image, ImageError, Platform};
use tandem_model::{BackendKind, ErrorCode, ImageRef};
use tandem_probe::foreign;

use crate::{App, AppError};

/// `OS/ARCH[/VARIANT]` as a person wrote it.
pub(crate) fn parse(text: &str) -> Result<Platform, AppError> {
    text.parse().map_err(|e: tandem_image::ParsePlatformError| AppError::Usage(e.to_string()))
}

/// Why programs for a platform do not run in a backend here; `None` when they
/// do. Docker and Podman know their own machine.
fn reason(platform: &Platform, backend: BackendKind) -> Option<String> {
    if matches!(backend, BackendKind::Docker | BackendKind::Podman) {
        return None;
    }
    if !platform.is_linux() {
        return Some("only images for Linux do".to_owned());
    }
    let architecture = platform.architecture();
    if backend == BackendKind::Vm {
        let own = Platform::default();
        let same = architecture == own.architecture()
            || (architecture == "386" && own.architecture() == "amd64");
        return (!same).then(|| "its virtual machines have its own processor".to_owned());
    }
    foreign(architecture).reason()
}

/// Refuses what would end in an "exec format error".
pub(crate) fn check(
    image: &str,
    platform: &Platform,
    backend: BackendKind,
) -> Result<(), AppError> {
    match reason(platform, backend) {
        None => Ok(()),
        Some(reason) => Err(AppError::Foreign {
            image: image.to_owned(),
            platform: platform.to_string(),
            here: Platform::default().to_string(),
            reason,
        }),
    }
}

impl App {
    /// What to tell somebody who got an image that does not run here.
    pub fn foreign_note(&self, image: &Image) -> Option<String> {
        let platform = image.platform()?;
        let reason = reason(&platform, BackendKind::Container)?;
        let here = Platform::default();
        let name = &image.reference;
        Some(format!(
            "{name} is made for {platform} and does not run on this machine ({here}): {reason}"
        ))
    }

    /// The image to run: the one that is here, else the registry's. One that is
    /// here for another platform than the one asked for is pulled anew, as
    /// Docker does.
    pub(crate) async fn image_to_run(
        &self,
        name: &str,
        platform: Option<&str>,
        backend: BackendKind,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Image, AppError> {
        let Some(text) = platform else { return self.image_or_pull(name, progress).await };
        let wanted = parse(text)?;
        check(name, &wanted, backend)?;
        let found = match self.images.find(name) {
            Err(ImageError::NotFound { .. }) => None,
            other => Some(other?),
        };
        let Some(found) = found else { return self.pulled(name, Some(text), progress).await };
        let Some(other) = found.platform().filter(|it| !wanted.accepts(it)) else {
            return Ok(found);
        };
        let refused = |reason: String| AppError::OtherPlatform {
            image: name.to_owned(),
            found: other.to_string(),
            wanted: wanted.to_string(),
            reason,
        };
        // An id means this very image.
        let reference = match name.parse::<ImageRef>() {
            Ok(reference) if reference == found.reference => reference,
            _ => return Err(refused("its id names no other".to_owned())),
        };
        progress(&format!("{name} is here for {other} only, not for {wanted}"));
        match self.pull_told(&reference, Some(text), progress).await {
            Err(AppError::Image(error)) if error.code() != ErrorCode::NoSpace => {
                Err(refused(match error {
                    ImageError::NotFound { .. } => "it is a name for this machine only".to_owned(),
                    error => error.to_string(),
                }))
            }
            other => other,
        }
    }

    /// The image that is here, as long as it is for the platform asked for.
    pub(crate) fn image_here(
        &self,
        name: &str,
        platform: Option<&str>,
        backend: BackendKind,
    ) -> Result<Image, AppError> {
        let Some(text) = platform else { return self.image(name) };
        let wanted = parse(text)?;
        check(name, &wanted, backend)?;
        let found = self.image(name)?;
        match found.platform().filter(|it| !wanted.accepts(it)) {
            None => Ok(found),
            Some(other) => Err(AppError::OtherPlatform {
                image: name.to_owned(),
                found: other.to_string(),
                wanted: wanted.to_string(),
                reason: "that is not to be tried (--pull never)".to_owned(),
            }),
        }
    }

    /// The local image of this name, or the registry's.
    pub(crate) async fn image_or_pull(
        &self,
        name: &str,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Image, AppError> {
        match self.images.find(name) {
            Err(ImageError::NotFound { .. }) => self.pulled(name, None, progress).await,
            other => Ok(other?),
        }
    }

    /// The registry's image of this name.
    pub(crate) async fn pulled(
        &self,
        name: &str,
        platform: Option<&str>,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Image, AppError> {
        let wanted = name.parse::<ImageRef>()?;
        match self.pull_told(&wanted, platform, progress).await {
            // Most often it is a slip, and the person's own image is meant.
            Err(AppError::Image(source)) if !matches!(source.code(), ErrorCode::NoSpace) => {
                Err(match (self.nearest_image(&wanted), source) {
                    (Some(near), ImageError::NotFound { name }) => {
                        AppError::MistypedImage { name, near }
                    }
                    (Some(near), source) => AppError::NotPulled {
                        name: name.to_owned(),
                        near,
                        source: Box::new(source),
                    },
                    (None, source) => {
                        match tandem_build::samples::sample(&wanted.familiar_name()) {
                            Ok(sample) => AppError::OnlyASample {
                                name: sample.name.to_owned(),
                                source: Box::new(source),
                            },
                            Err(_) => source.into(),
                        }
                    }
                })
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_run_is_refused_with_the_reason() {
        let own = Platform::default();
        let here = [BackendKind::Container, BackendKind::Process, BackendKind::Vm];
        for backend in here {
            check("app", &own, backend).unwrap();
            let windows = check("app", &parse("windows/amd64").unwrap(), backend).unwrap_err();
            assert!(windows.to_string().contains("for Linux"), "{windows}");
        }
        let foreign = parse("linux/s390x").unwrap();
        let refused = check("app", &foreign, BackendKind::Vm).unwrap_err().to_string();
        let known = ["app", "linux/s390x", "its own processor", "--platform", &own.to_string()];
        assert!(known.iter().all(|it| refused.contains(it)), "{refused}");
        check("app", &foreign, BackendKind::Docker).unwrap();
        assert!(matches!(parse("amd64"), Err(AppError::Usage(_))));
    }
}
