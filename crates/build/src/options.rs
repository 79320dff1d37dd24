use std::{collections::BTreeMap, path::PathBuf};

use tandem_image::{LayoutImage, Platform};
use tandem_model::ImageRef;

use crate::parse::RunNetwork;

/// What to build and how.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct BuildOptions {
    /// Folder that COPY and ADD take from.
    pub context: PathBuf,
    /// The Dockerfile.
    pub dockerfile: DockerfileSource,
    /// Names for the image. Without one it is named after its content,
    /// `localhost/tandem/build:DIGITS`.
    pub tags: Vec<ImageRef>,
    /// Values for `ARG`s.
    pub build_args: BTreeMap<String, String>,
    /// Named contexts.
    pub build_contexts: Vec<BuildContext>,
    /// Stage to build; the last one if none.
    pub target: Option<String>,
    /// What machine to build for; this one if none.
    pub platform: Option<Platform>,
    /// Run every step, whatever the cache has.
    pub no_cache: bool,
    /// Remember nothing of what the steps make: later builds find what they
    /// would have found without this one.
    pub forget: bool,
    /// Ask the registry for base images even when they are here.
    pub pull: bool,
    /// Labels to put on the image besides the Dockerfile's.
    pub labels: BTreeMap<String, String>,
    /// What `RUN --mount=type=secret` may see, by id.
    pub secrets: BTreeMap<String, Secret>,
    /// Sockets of SSH agents for `RUN --mount=type=ssh`, by id.
    pub agents: BTreeMap<String, PathBuf>,
    /// The network of RUN steps that do not choose one themselves.
    pub network: RunNetwork,
    /// Let RUN steps and pulls use this host's proxy settings and
    /// certificates.
    pub corporate_network: bool,
}

/// A secret of the caller's.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Where the Dockerfile is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DockerfileSource {
    /// `Dockerfile` in the context.
    #[default]
    InContext,
    /// At this path.
    Path(PathBuf),
    /// At this path in the context, and never outside.
    Within(PathBuf),
    /// This is its text (`-f -`).
    Text(String),
}

/// A named context (`--build-context NAME=SOURCE`): what stands in for an
/// image, a stage, or `COPY --from=NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildContext {
    /// The name as written.
    pub name: String,
    /// What it stands for.
    pub source: ContextSource,
}

/// What a named context holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextSource {
    /// `docker-image://REF`.
    Image(ImageRef),
    /// A folder.
    Dir(PathBuf),
    /// `oci-layout://FOLDER[:TAG|@DIGEST]`.
    Layout(PathBuf, LayoutImage),
}

/// The text is no `NAME=SOURCE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseBuildContextError {
    /// There is no `=`, or nothing on a side of it.
    #[error("`{0}` is no named context: expected NAME=FOLDER or NAME=docker-image://IMAGE")]
    Form(String),
    /// Behind `docker-image://` stands no image reference.
    #[error(transparent)]
    Image(#[from] tandem_model::ParseImageRefError),
    /// A kind of source that BuildKit knows and Tandem does not.
    #[error(
        "Tandem cannot use `{0}` as a build context: expected a folder, docker-image://IMAGE or oci-layout://FOLDER:TAG"
    )]
    Kind(String),
    /// Behind `oci-layout://…@` stands no digest.
    #[error("`{0}` names no image of a layout: expected oci-layout://FOLDER:TAG or @sha256:HEX")]
    Layout(String),
}

impl std::str::FromStr for BuildContext {
    type Err = ParseBuildContextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((name, source)) = text.split_once('=') else {
            return Err(ParseBuildContextError::Form(text.to_owned()));
        };
        if name.is_empty() || source.is_empty() {
            return Err(ParseBuildContextError::Form(text.to_owned()));
        }
        let source = match source.split_once("://") {
            Some(("docker-image", reference)) => ContextSource::Image(reference.parse()?),
            Some(("oci-layout", place)) => layout(place)?,
            Some(_) => return Err(ParseBuildContextError::Kind(source.to_owned())),
            None => ContextSource::Dir(source.into()),
        };
        Ok(Self { name: name.to_owned(), source })
    }
}

/// `FOLDER`, `FOLDER:TAG`, `FOLDER@DIGEST`.
fn layout(place: &str) -> Result<ContextSource, ParseBuildContextError> {
    let bad = || ParseBuildContextError::Layout(place.to_owned());
    let (folder, which) = if let Some((folder, digest)) = place.split_once('@') {
        (folder, LayoutImage::Digest(digest.parse().map_err(|_| bad())?))
    } else {
        match place.rsplit_once(':') {
            Some((folder, tag)) if !tag.contains('/') => (folder, LayoutImage::Tag(tag.to_owned())),
            _ => (place, LayoutImage::Only),
        }
    };
    if folder.is_empty() {
        return Err(bad());
    }
    Ok(ContextSource::Layout(folder.into(), which))
}

impl BuildContext {
    /// Whether a name in a Dockerfile means this context: the same text, or
    /// the same image with `docker.io/library/` and `:latest` left out or not.
    pub fn stands_for(&self, written: &str) -> bool {
        if self.name.eq_ignore_ascii_case(written) {
            return true;
        }
        match (self.name.parse::<ImageRef>(), written.parse::<ImageRef>()) {
            (Ok(name), Ok(written)) => name == written,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_stands_for_every_spelling_of_its_image() {
        let context: BuildContext =
            "python:3.7.2-slim=docker-image://localhost/tandem/python:3.11-bookworm"
                .parse()
                .unwrap();
        for written in
            ["python:3.7.2-slim", "docker.io/python:3.7.2-slim", "library/python:3.7.2-slim"]
        {
            assert!(context.stands_for(written), "{written}");
        }
        assert!(!context.stands_for("python:3.12-slim"));
        let plain: BuildContext = "python=dir".parse().unwrap();
        assert!(plain.stands_for("docker.io/library/python:latest"));
        for bad in ["python", "=x", "a=", "a=git://x", "a=docker-image://A"] {
            assert!(bad.parse::<BuildContext>().is_err(), "{bad}");
        }
    }
}
