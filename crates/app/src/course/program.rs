//! The program of ours that does the work of experiments, inside the subject.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use tandem_image::{Image, Layer, digest_of_file};
use tandem_model::{Digest, ImageRef, Lane};

use crate::{App, AppError, LogOptions, RunOptions, subject::Ready};

use super::{
    bench::{Bench, told},
    names::{WORK, name_of},
};

/// The experiments that let it work.
const WORKING: [&str; 4] = ["overhead", "neighbour", "isolation", "elasticity"];

/// Where it lies inside.
pub(super) const PROGRAM: &str = "/tandem-work";

/// Whether an experiment wants the program in its subject.
pub(crate) fn is_wanted(experiment: &str) -> bool {
    WORKING.contains(&experiment)
}

impl App {
    /// The subject with the program as one more layer, under a name of this
    /// run: so every lane has the same bytes, an engine that is not ours and a
    /// virtual machine's disk too.
    pub(crate) fn with_program(&self, ready: Ready, run: &str) -> Result<Ready, AppError> {
        let file = tandem_vm::guest_program(&self.program)?;
        let failed = |e| AppError::io("copy", &file, e);
        let _lease = self.images.lease()?;
        let scratch = self.home.scratch("work")?;
        let layer = scratch.path().join("layer");
        fs::create_dir(&layer).map_err(failed)?;
        let inside = layer.join(tandem_work::NAME);
        fs::copy(&file, &inside).map_err(failed)?;
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o755)).map_err(failed)?;
        // The same program makes the same layer, whenever it is added.
        let handle = fs::File::options().write(true).open(&inside).map_err(failed)?;
        handle.set_modified(std::time::UNIX_EPOCH).map_err(failed)?;
        let digest = digest_of_file(&inside).map_err(failed)?;
        let image = self.added(&ready.image, &layer, run)?;
        let mut subject = ready.subject;
        subject.digest = image.digest.clone();
        // The person's name stands for the image without the program.
        subject.image = image.reference.to_string();
        Ok(Ready { image, subject, program: Some(digest), ..ready })
    }

    fn added(&self, base: &Image, layer: &Path, run: &str) -> Result<Image, AppError> {
        let layer = self.images.commit_layer_dir(layer, base.top_chain_id().as_ref())?;
        let mut layers = base.layers.clone();
        layers.push(Layer::from(layer));
        let name: ImageRef = name_of(WORK, run).parse()?;
        Ok(self.images.put_image(&name, base.config.clone(), &layers)?)
    }

    /// Takes the name of [`App::with_program`] away again.
    pub(crate) fn without_program(&self, ready: &Ready) {
        if ready.program.is_some() {
            // It may be in use by what could not be removed, which was said.
            let _ = self.remove_image(&ready.image.reference.to_string(), true);
        }
    }
}

impl Bench<'_> {
    /// The subject's image in a lane, with our program in place of the app.
    pub(super) fn working(&self, lane: Lane, name: &str, job: &[&str]) -> RunOptions {
        let mut options = self.options(lane, name);
        options.entrypoint = Some(PROGRAM.to_owned());
        options.command = job.iter().map(|word| (*word).to_owned()).collect();
        // Its files are root's, whoever runs the app.
        options.user = Some("0".to_owned());
        options
    }

    /// The same for a job that writes to the disk and ends by itself. Files of
    /// an instance that goes with its owner need not survive a crash, so
    /// nothing there would wait for the disk; these do.
    pub(super) fn lasting(&self, lane: Lane, name: &str, job: &[&str]) -> RunOptions {
        RunOptions { owner: None, ..self.working(lane, name, job) }
    }

    /// Waits until a job has said a line.
    pub(super) async fn says(&self, instance: &str, line: &str) -> Result<(), String> {
        let end = tokio::time::Instant::now() + self.limit;
        loop {
            let mut said = false;
            let mut look = |it: tandem_backend::LogLine| said |= it.text.trim_end() == line;
            self.app.logs(instance, LogOptions::default(), &mut look).await.map_err(told)?;
            if said {
                return Ok(());
            }
            let ended = !self.app.inspect(instance).map_err(told)?.state.is_up();
            if ended || tokio::time::Instant::now() > end {
                return Err(format!("{instance} does no work: it never said `{line}`"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a job said first must be that it is the program that we added.
    pub(super) fn same_program<'l>(
        &self,
        mut lines: impl Iterator<Item = &'l str>,
    ) -> Result<&Digest, String> {
        let ours = self.program.as_ref().ok_or("the subject has no program of ours")?;
        let line = lines.next().ok_or("the program inside said nothing")?;
        match line.strip_prefix("digest ") {
            Some(digest) if digest == ours.as_str() => Ok(ours),
            _ => {
                Err(format!("inside runs another program than ours ({ours}): it said {line:.200}"))
            }
        }
    }
}
