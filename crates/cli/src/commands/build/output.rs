//! `-o`.

use std::path::PathBuf;

use tandem_app::{AppError, BuildOutput};
use tandem_image::{ArchiveFormat, Image};

use crate::commands::Context;

/// Where a built image goes besides the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    /// Its files.
    Files(BuildOutput),
    /// The image; to standard output if there is no path.
    Archive(ArchiveFormat, Option<PathBuf>),
}

impl Output {
    /// Whether standard output is taken.
    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Self::Files(BuildOutput::Tar(None)) | Self::Archive(_, None))
    }
}

/// Reads `DIR`, `-` or `type=…,dest=…`.
pub(super) fn parse(text: &str) -> Result<Output, AppError> {
    let wrong = || {
        AppError::Usage(format!(
            "`{text}` is no output: expected a folder, - or type=local|tar|oci|docker,dest=PATH"
        ))
    };
    if text == "-" {
        return Ok(Output::Files(BuildOutput::Tar(None)));
    }
    if !text.contains('=') && !text.is_empty() {
        return Ok(Output::Files(BuildOutput::Folder(text.into())));
    }
    let (mut kind, mut dest) = (None, None);
    for field in text.split(',') {
        match field.split_once('=').ok_or_else(wrong)? {
            ("type", value) => kind = Some(value),
            ("dest" | "destination", value) => dest = Some(value).filter(|it| !it.is_empty()),
            _ => return Err(wrong()),
        }
    }
    let path = dest.filter(|dest| *dest != "-").map(PathBuf::from);
    Ok(match (kind, path) {
        (Some("local"), Some(path)) => Output::Files(BuildOutput::Folder(path)),
        (Some("tar"), path) => Output::Files(BuildOutput::Tar(path)),
        (Some("oci"), path) => Output::Archive(ArchiveFormat::Oci, path),
        (Some("docker"), path) => Output::Archive(ArchiveFormat::Docker, path),
        _ => return Err(wrong()),
    })
}

/// Writes it.
pub(super) async fn write(
    context: &Context,
    image: &Image,
    tag: Option<&str>,
    output: Output,
) -> Result<(), AppError> {
    match output {
        Output::Files(files) => context.app.export_files(image, files).await,
        Output::Archive(format, path) => {
            let name = tag.map_or_else(|| image.reference.to_string(), str::to_owned);
            context.app.save_images(&[name], format, path, |_| {}).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read() {
        let folder = |path: &str| Output::Files(BuildOutput::Folder(path.into()));
        assert_eq!(parse("out").unwrap(), folder("out"));
        assert_eq!(parse("type=local,dest=out").unwrap(), folder("out"));
        assert!(parse("-").unwrap().is_stdout() && parse("type=oci").unwrap().is_stdout());
        assert_eq!(
            parse("type=docker,dest=a.tar").unwrap(),
            Output::Archive(ArchiveFormat::Docker, Some("a.tar".into()))
        );
        for bad in ["", "type=local", "type=x,dest=a", "dest=a", "type=tar,name=x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
