//! What a class needs, made ready: built, pulled or fetched where it is
//! missing, and then looked up.

use tandem_build::{
    BuildContext, BuildOptions, ContextSource,
    samples::{Sample, materialize, samples},
};
use tandem_image::{Image, bootstrap::BaseKind};
use tandem_lab::LabError;
use tandem_model::{ErrorCode, ImageRef, ResultDocument, RunEvent};
use tandem_vm::{CarriedKernel, kernel_of};

use super::{BundleEvent, BundleRequest, Tell, gather::Wanted};
use crate::{App, AppError, Cancel, base::stand_in, work::blocking};

impl App {
    /// Everything that the request wants, here and now.
    pub(super) async fn wanted(
        &self,
        request: &BundleRequest,
        tell: Tell<'_>,
        cancel: &Cancel,
    ) -> Result<Wanted, AppError> {
        let usual = request.images.is_empty();
        if !request.no_build {
            if usual {
                self.build_samples(tell, cancel).await?;
            }
            for name in &request.images {
                self.pull_if_missing(name, tell).await?;
            }
        }
        let images = if usual { self.class_images()? } else { self.named(&request.images)? };
        let results = if request.results { self.finished_results()? } else { Vec::new() };
        Ok(Wanted {
            images: self.with_bases(images)?,
            kernel: self.kernel(request, tell).await?,
            lessons: if usual { self.own_lessons()? } else { Vec::new() },
            results,
        })
    }

    /// Builds the samples as a class without a registry will: on bases made
    /// from Debian packages, where such can be made here.
    async fn build_samples(&self, tell: Tell<'_>, cancel: &Cancel) -> Result<(), AppError> {
        for sample in samples() {
            let base: ImageRef = sample.base.parse()?;
            let made = match stand_in(&base) {
                Some(kind) => self.base_for_class(kind, tell).await?,
                None => None,
            };
            self.build_sample(sample, made, tell, cancel).await?;
        }
        Ok(())
    }

    async fn base_for_class(
        &self,
        kind: BaseKind,
        tell: Tell<'_>,
    ) -> Result<Option<ImageRef>, AppError> {
        if self.base_here(kind).is_none() {
            tell(BundleEvent::Note(format!("making {}", self.base_name(kind))));
        }
        let mut line = |text: &str| tell(BundleEvent::Log(text.to_owned()));
        match self.ensure_base(kind, &mut line).await {
            Ok(name) => Ok(Some(name)),
            Err(e) if matches!(e.code(), ErrorCode::Cancelled | ErrorCode::NoSpace) => Err(e),
            Err(e) => {
                let text = format!("the registry's base is carried instead of one of ours: {e}");
                tell(BundleEvent::Note(text));
                Ok(None)
            }
        }
    }

    async fn build_sample(
        &self,
        sample: &Sample,
        base: Option<ImageRef>,
        tell: Tell<'_>,
        cancel: &Cancel,
    ) -> Result<(), AppError> {
        tell(BundleEvent::Note(format!("building {}", sample.name)));
        let scratch = self.home.scratch("sample")?;
        let context = scratch.path().join(sample.name);
        materialize(sample.name, &context)?;
        let context_of = |name: ImageRef| BuildContext {
            name: sample.base.to_owned(),
            source: ContextSource::Image(name),
        };
        let options = BuildOptions {
            context,
            tags: vec![sample.name.parse()?],
            build_contexts: base.into_iter().map(context_of).collect(),
            corporate_network: true,
            ..BuildOptions::default()
        };
        let log = |event| match event {
            RunEvent::Preparing { message: line, .. } | RunEvent::Log { line, .. } => {
                tell(BundleEvent::Log(line));
            }
            RunEvent::Warning { message } => tell(BundleEvent::Note(message)),
            _ => {}
        };
        let mut notice = |step: &str, text: &str| log(crate::subject::notice(step, text));
        let mut event = |event| crate::subject::build_event(event).into_iter().for_each(log);
        self.build_with_stand_in(options, &mut notice, &mut event, cancel).await?;
        Ok(())
    }

    async fn pull_if_missing(&self, name: &str, tell: Tell<'_>) -> Result<(), AppError> {
        let mut line = |text: &str| tell(BundleEvent::Note(text.to_owned()));
        self.image_or_pull(name, &mut line).await.map(drop)
    }

    fn named(&self, names: &[String]) -> Result<Vec<Image>, AppError> {
        names.iter().map(|name| self.image(name)).collect()
    }

    /// The samples and the bases of our own that are here.
    fn class_images(&self) -> Result<Vec<Image>, AppError> {
        let mut names: Vec<ImageRef> = Vec::new();
        for sample in samples() {
            names.push(sample.name.parse()?);
        }
        names.extend([BaseKind::Python, BaseKind::Debian].map(|kind| self.base_name(kind)));
        Ok(names.iter().filter_map(|name| self.images.resolve(name).ok()).collect())
    }

    /// The images, and those that they were built on: a build in the other
    /// home begins with them. Their layers are carried anyway.
    fn with_bases(&self, images: Vec<Image>) -> Result<Vec<Image>, AppError> {
        let mut all: Vec<Image> = Vec::new();
        for image in &images {
            if !all.iter().any(|other| other.reference == image.reference) {
                all.push(image.clone());
            }
        }
        let names = self.images.list(false)?.into_iter().filter_map(|it| it.reference);
        let others = names.filter_map(|name| self.images.resolve(&name).ok());
        for other in others.filter(|other| !other.layers.is_empty()) {
            let is_below = |image: &Image| {
                image.layers.len() > other.layers.len() && image.layers.starts_with(&other.layers)
            };
            let known = all.iter().any(|image| image.reference == other.reference);
            if !known && images.iter().any(is_below) {
                all.push(other);
            }
        }
        Ok(all)
    }

    fn finished_results(&self) -> Result<Vec<ResultDocument>, AppError> {
        let store = self.results()?;
        let mut documents = Vec::new();
        for row in store.list().map_err(LabError::from)? {
            documents.extend(store.show(&row.id).map_err(LabError::from)?.document);
        }
        Ok(documents)
    }

    /// The kernel, fetched where that is wanted. A class can do without one,
    /// unless it was asked for.
    async fn kernel(
        &self,
        request: &BundleRequest,
        tell: Tell<'_>,
    ) -> Result<Option<CarriedKernel>, AppError> {
        if !request.kernel && !request.images.is_empty() {
            return Ok(None);
        }
        let (home, fetch) = (self.home.clone(), !request.no_build);
        let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
        let work = blocking("looking for the kernel", move |_| {
            let mut say = |line: &str| drop(sender.send(line.to_owned()));
            Ok(kernel_of(&home, fetch, &mut say)?)
        });
        let mut work = std::pin::pin!(work);
        let found = loop {
            tokio::select! {
                biased;
                Some(line) = lines.recv() => tell(BundleEvent::Note(line)),
                found = &mut work => break found,
            }
        };
        match found {
            Ok(None) if request.kernel => Err(AppError::Usage(
                "this home has no kernel for virtual machines yet: leave --no-build out, or start one machine first".to_owned(),
            )),
            Err(e) if !request.kernel && e.code() == ErrorCode::Unavailable => {
                tell(BundleEvent::Note(format!("no kernel for virtual machines is carried: {e}")));
                Ok(None)
            }
            other => other,
        }
    }
}
