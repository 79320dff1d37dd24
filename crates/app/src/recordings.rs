//! Results that come with the program, for a class without KVM, QEMU or
//! patience: recorded by Tandem on the machine that they name.

use std::io::Read as _;

use flate2::read::GzDecoder;
use tandem_lab::{LabError, read_document};
use tandem_model::ResultDocument;

use crate::{App, AppError, course::method};

/// The documents as `tandem result export --format json` wrote them, gzip.
pub(crate) const RECORDED: &[&[u8]] = &[
    include_bytes!("../recordings/startup.json.gz"),
    include_bytes!("../recordings/size.json.gz"),
    include_bytes!("../recordings/density.json.gz"),
    include_bytes!("../recordings/build.json.gz"),
    include_bytes!("../recordings/resize.json.gz"),
    include_bytes!("../recordings/elasticity.json.gz"),
    include_bytes!("../recordings/snapshot.json.gz"),
    include_bytes!("../recordings/persistence.json.gz"),
    include_bytes!("../recordings/portability.json.gz"),
    include_bytes!("../recordings/isolation.json.gz"),
    include_bytes!("../recordings/overhead.json.gz"),
    include_bytes!("../recordings/neighbour.json.gz"),
];

/// Largest that is unpacked.
const LARGEST: u64 = 64 << 20;

impl App {
    /// Takes the recorded results in that are not here yet; their ids.
    pub fn import_recorded(&self) -> Result<Vec<String>, AppError> {
        let store = self.results()?;
        let known = store.list().map_err(LabError::from)?;
        let mut taken = Vec::new();
        for packed in RECORDED {
            let document = unpacked(packed)?;
            if known.iter().any(|row| row.id == document.id) {
                continue;
            }
            store.take_in(&document, "recorded").map_err(LabError::from)?;
            taken.push(document.id);
        }
        Ok(taken)
    }
}

fn unpacked(packed: &[u8]) -> Result<ResultDocument, AppError> {
    let damaged = |why: String| AppError::Usage(format!("a recorded result is damaged: {why}"));
    let mut bytes = Vec::new();
    let read = GzDecoder::new(packed).take(LARGEST).read_to_end(&mut bytes);
    read.map_err(|e| damaged(e.to_string()))?;
    let document = read_document(&bytes).map_err(|e| damaged(e.to_string()))?;
    Ok(judged(document))
}

/// The recording with the claims judged by this version from its trials, which
/// stay what they were: a recording does not say what a later version has
/// learned to say better.
fn judged(mut document: ResultDocument) -> ResultDocument {
    document.verdicts =
        method(&document.experiment).map_or_else(Vec::new, |method| method.judge(&document));
    document
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_experiment_has_a_whole_recording() {
        let documents: Vec<_> = RECORDED.iter().map(|it| unpacked(it).unwrap()).collect();
        let ids: BTreeSet<_> = documents.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids.len(), RECORDED.len());
        for experiment in tandem_lab::CATALOGUE {
            let recorded = documents.iter().find(|it| it.experiment == experiment.id);
            let recorded = recorded.unwrap_or_else(|| panic!("{} is missing", experiment.id));
            assert!(!recorded.summary.is_empty(), "{}", experiment.id);
            assert!(!recorded.verdicts.is_empty(), "{}", experiment.id);
            let told = recorded.verdicts.iter().any(|it| it.why.contains("95 % interval"));
            assert!(told || !["startup", "size"].contains(&experiment.id), "{recorded:?}");
            // The bare process has no limits, which no claim speaks of.
            let unfair = recorded.verdicts.iter().any(|it| it.why.contains("unfair"));
            assert!(!unfair, "{:?}", recorded.verdicts);
        }
    }
}
