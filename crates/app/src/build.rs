use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use tandem_build::{
    BuildContext, BuildError, BuildEvent, BuildOptions, Built, ContextSource, build,
};
use tandem_container::StepEngine;
use tandem_home::Scratch;
use tandem_image::{Extract, Image, Rebase, extract};

use crate::{App, AppError, Cancel, base::stand_in, work::blocking};

impl App {
    /// Builds an image. Dropping the future, or cancelling, ends the step that
    /// runs and leaves nothing behind.
    pub async fn build(
        &self,
        options: &BuildOptions,
        events: &mut (dyn FnMut(BuildEvent) + Send),
        cancel: &Cancel,
    ) -> Result<Built, AppError> {
        let runner = StepEngine::new(self.program.clone());
        tokio::select! {
            built = build(&self.images, &self.home, &runner, options, events) => Ok(built?),
            () = cancel.cancelled() => Err(BuildError::Cancelled.into()),
        }
    }

    /// Builds an image; when its base image is neither here nor in reach of
    /// the network, makes one from Debian packages and builds on that. The
    /// substitution is told through `notice` and stands in the outcome.
    pub(crate) async fn build_with_stand_in(
        &self,
        mut options: BuildOptions,
        notice: &mut (dyn FnMut(&str, &str) + Send),
        events: &mut (dyn FnMut(BuildEvent) + Send),
        cancel: &Cancel,
    ) -> Result<Built, AppError> {
        loop {
            let (base, failure) = match self.build(&options, events, cancel).await {
                Err(AppError::Build(e @ BuildError::UnknownBase { .. })) => match &e {
                    BuildError::UnknownBase { base, .. } => (base.clone(), e),
                    _ => return Err(e.into()),
                },
                other => return other,
            };
            let known = |context: &BuildContext| context.stands_for(&base);
            let kind = base.parse().ok().as_ref().and_then(stand_in);
            let Some(kind) = kind.filter(|_| !options.build_contexts.iter().any(known)) else {
                return Err(failure.into());
            };
            notice(
                "bootstrap",
                &format!("{base} cannot be fetched: a base made from Debian packages stands in"),
            );
            let mut line = |text: &str| notice("bootstrap-log", text);
            let made = tokio::select! {
                made = self.ensure_base(kind, &mut line) => made?,
                () = cancel.cancelled() => return Err(BuildError::Cancelled.into()),
            };
            notice("bootstrap", &format!("{made} stands in for {base}"));
            let source = ContextSource::Image(made);
            options.build_contexts.push(BuildContext { name: base, source });
        }
    }
}

/// A build context that came as a stream; removed when dropped.
#[derive(Debug)]
pub struct StreamedContext {
    scratch: Scratch,
    /// The whole stream, when it was a Dockerfile and no archive.
    pub dockerfile: Option<String>,
}

impl StreamedContext {
    /// The folder.
    pub fn folder(&self) -> PathBuf {
        self.scratch.path().join("context")
    }
}

/// Where else the files of a built image go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildOutput {
    /// A folder of plain files.
    Folder(PathBuf),
    /// A tar archive of them; standard output if none.
    Tar(Option<PathBuf>),
}

impl App {
    /// Takes a build context from a stream: a tar archive, compressed or not,
    /// or a Dockerfile alone.
    pub fn stream_context(&self, mut from: impl Read) -> Result<StreamedContext, AppError> {
        let failed = |e| AppError::io("read", "standard input", e);
        let scratch = self.home.scratch("context")?;
        let mut stream = StreamedContext { scratch, dockerfile: None };
        let folder = stream.folder();
        fs::create_dir(&folder).map_err(|e| AppError::io("make the folder", &folder, e))?;
        let mut head = Vec::new();
        from.by_ref().take(TAR_BLOCK).read_to_end(&mut head).map_err(failed)?;
        let tar = head.get(257..262) == Some(b"ustar");
        if tar || tandem_image::is_compressed(&head) {
            let all = head.chain(from);
            let plain = tandem_image::decompressed_archive(all).map_err(failed)?;
            let options = Extract {
                rebase: Rebase::Keep,
                owner: None,
                privileges: true,
                limits: tandem_image::Limits::of(&self.home)?,
            };
            extract(plain, &folder, &options).map_err(|e| {
                AppError::Usage(format!("the build context on standard input cannot be read: {e}"))
            })?;
            return Ok(stream);
        }
        let mut text = head;
        from.take(LONGEST_DOCKERFILE).read_to_end(&mut text).map_err(failed)?;
        let text = String::from_utf8(text).ok().filter(|text| !text.contains('\0'));
        stream.dockerfile = Some(text.ok_or_else(|| {
            AppError::Usage("standard input is neither a tar archive nor a Dockerfile: give a folder, or pipe `tar c .`".to_owned())
        })?);
        Ok(stream)
    }

    /// Writes the files of an image somewhere else.
    pub async fn export_files(&self, image: &Image, output: BuildOutput) -> Result<(), AppError> {
        let (home, store, image) = (self.home.clone(), self.images.clone(), image.clone());
        blocking("writing the files", move |_| {
            match output {
                BuildOutput::Folder(to) => tandem_build::export_folder(&home, &store, &image, &to)?,
                BuildOutput::Tar(None) => {
                    let out = std::io::BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
                    tandem_build::export_tar(&home, &store, &image, out)?;
                }
                BuildOutput::Tar(Some(path)) => {
                    let file =
                        fs::File::create(&path).map_err(|e| AppError::io("make", &path, e))?;
                    let out = std::io::BufWriter::with_capacity(1 << 20, file);
                    tandem_build::export_tar(&home, &store, &image, out)?;
                }
            }
            Ok(())
        })
        .await
    }
}

/// The first block of a tar archive tells what it is.
const TAR_BLOCK: u64 = 512;
/// No Dockerfile is longer.
const LONGEST_DOCKERFILE: u64 = 16 << 20;

/// Whether a folder holds something to build.
pub(crate) fn has_dockerfile(dir: &Path) -> bool {
    dir.join("Dockerfile").is_file()
}
