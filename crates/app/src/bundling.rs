use std::collections::BTreeMap;

use serde::Serialize;
use tandem_image::Transfer;

use crate::BundleEvent;

/// How far a bundle has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct Bundling {
    /// What was begun, the latest last.
    pub steps: Vec<String>,
    /// The last line of the step that goes on.
    pub line: Option<String>,
    /// Bytes that have moved in it.
    #[ts(type = "number")]
    pub done: u64,
    /// Bytes in all, once known.
    #[ts(type = "number | null")]
    pub total: Option<u64>,
    #[serde(skip)]
    #[ts(skip)]
    moved: BTreeMap<String, u64>,
}

impl Bundling {
    /// Takes one event in.
    pub fn apply(&mut self, event: &BundleEvent) {
        match event {
            BundleEvent::Note(text) => {
                *self = Self { steps: std::mem::take(&mut self.steps), ..Self::default() };
                self.steps.push(text.clone());
            }
            BundleEvent::Log(text) => self.line = Some(text.clone()),
            BundleEvent::Moved(Transfer::Planned { bytes, .. }) => {
                self.moved.clear();
                (self.done, self.total) = (0, Some(*bytes));
            }
            BundleEvent::Moved(Transfer::Moved { digest, done, .. }) => {
                self.moved.insert(digest.to_string(), *done);
                self.done = self.moved.values().sum();
            }
            BundleEvent::Moved(Transfer::Again { reason, .. }) => self.line = Some(reason.clone()),
            BundleEvent::Moved(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_begins_with_nothing_moved() {
        let digest = tandem_model::Digest::from_sha256(&[1; 32]);
        let mut bundling = Bundling::default();
        bundling.apply(&BundleEvent::Note("building".to_owned()));
        bundling.apply(&BundleEvent::Log("step 1".to_owned()));
        let planned = Transfer::Planned { layers: vec![digest.clone()], bytes: 10 };
        bundling.apply(&BundleEvent::Moved(planned));
        for done in [4, 7] {
            let moved = Transfer::Moved { digest: digest.clone(), done, total: 8 };
            bundling.apply(&BundleEvent::Moved(moved));
        }
        assert_eq!((bundling.done, bundling.total), (7, Some(10)));
        assert_eq!(bundling.line.as_deref(), Some("step 1"));
        bundling.apply(&BundleEvent::Note("writing".to_owned()));
        assert_eq!(bundling.steps, ["building", "writing"]);
        assert_eq!((bundling.done, bundling.total, bundling.line), (0, None, None));
    }
}
