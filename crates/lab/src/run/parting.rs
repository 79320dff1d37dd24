use tandem_model::RunEvent;

use super::Run;
use crate::{
    stage::Stage,
    trial::{Kept, take_away},
};

impl Run<'_> {
    /// Tells of an instance that was left running.
    pub(super) fn tell_kept(&mut self, lane: usize, kept: Kept, stage: &mut Stage<'_>) {
        stage.emit(RunEvent::Kept {
            lane: self.setups[lane].0.clone(),
            instance: kept.id.to_string(),
            name: kept.name.clone(),
            url: kept.url.clone(),
        });
        self.kept.push(kept);
    }

    /// A run that was stopped leaves nothing behind, what it had kept least of
    /// all.
    pub(super) async fn take_kept_away(
        &mut self,
        stage: &mut Stage<'_>,
        cleaned: &mut Vec<String>,
    ) {
        for kept in std::mem::take(&mut self.kept) {
            match take_away(kept.backend.as_ref(), &kept.id, &kept.name).await {
                Ok(line) => cleaned.push(line),
                Err(problem) => {
                    stage.warn(&problem);
                    cleaned.push(problem);
                }
            }
        }
    }
}
