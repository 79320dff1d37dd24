//! The experiments whose trial is one launch.

use async_trait::async_trait;
use tandem_model::{ResultDocument, Verdict};

use super::{Bench, Experiment, Method, TrialEnd};
use crate::analysis::verdicts;

/// Time to the first answer.
pub(super) struct Startup;

/// Memory and disk after the app has answered.
pub(super) struct Size;

/// Both in one run.
pub(super) struct Compare;

impl Method for Startup {
    fn id(&self) -> &'static str {
        "startup"
    }

    fn compared(&self) -> &'static [&'static str] {
        &["first_response", "tenth_response"]
    }

    fn judge(&self, document: &ResultDocument) -> Vec<Verdict> {
        verdicts::startup(document)
    }
}

#[async_trait]
impl Experiment for Startup {
    fn least_warmup(&self) -> u32 {
        1
    }

    async fn trial(&self, bench: &mut Bench<'_, '_>) -> Result<(), TrialEnd> {
        bench.launch_measured().await.map(drop)
    }
}

impl Method for Size {
    fn id(&self) -> &'static str {
        "size"
    }

    fn compared(&self) -> &'static [&'static str] {
        &["image_bytes", "instance_bytes", "memory_host"]
    }

    fn judge(&self, document: &ResultDocument) -> Vec<Verdict> {
        verdicts::size(document)
    }
}

#[async_trait]
impl Experiment for Size {
    fn least_warmup(&self) -> u32 {
        1
    }

    async fn trial(&self, bench: &mut Bench<'_, '_>) -> Result<(), TrialEnd> {
        bench.launch_measured().await.map(drop)
    }
}

impl Method for Compare {
    fn id(&self) -> &'static str {
        "compare"
    }

    fn compared(&self) -> &'static [&'static str] {
        &["first_response", "tenth_response", "memory_host", "image_bytes", "instance_bytes"]
    }

    fn judge(&self, document: &ResultDocument) -> Vec<Verdict> {
        let mut all = verdicts::startup(document);
        all.extend(verdicts::size(document));
        all
    }
}

#[async_trait]
impl Experiment for Compare {
    fn least_warmup(&self) -> u32 {
        1
    }

    async fn trial(&self, bench: &mut Bench<'_, '_>) -> Result<(), TrialEnd> {
        bench.launch_measured().await.map(drop)
    }
}
