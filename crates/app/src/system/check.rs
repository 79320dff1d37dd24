use serde::Serialize;
use tandem_image::CheckOptions;
pub use tandem_image::Finding;
use tokio::sync::mpsc;

use crate::{App, AppError, work::blocking};

/// What a check of the home came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// What is not as it should be, or was not.
    pub findings: Vec<Finding>,
    /// How many of them were mended.
    pub repaired: usize,
}

impl CheckReport {
    /// Whether all is well now.
    pub fn is_sound(&self) -> bool {
        self.repaired == self.findings.len()
    }
}

impl App {
    /// Checks images, layers and what belongs to them; mends what can be
    /// mended with `repair`. `progress` gets what takes its time.
    pub async fn check(
        &self,
        repair: bool,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<CheckReport, AppError> {
        let (store, instances) = (self.images.clone(), self.instances.clone());
        let (send, mut lines) = mpsc::unbounded_channel();
        let work = blocking("checking the home", move |_| {
            let is_up = |id: &str| instances.find(id).is_ok_and(|record| record.state.is_up());
            let progress = |line: &str| drop(send.send(line.to_owned()));
            Ok(store.check(CheckOptions { repair, is_up: &is_up, progress: &progress })?)
        });
        tokio::pin!(work);
        let findings = loop {
            tokio::select! {
                biased;
                Some(line) = lines.recv() => progress(&line),
                found = &mut work => break found?,
            }
        };
        let repaired = findings.iter().filter(|finding| finding.repaired.is_some()).count();
        Ok(CheckReport { findings, repaired })
    }
}
