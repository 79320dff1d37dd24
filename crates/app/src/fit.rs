//! What fits on this machine, by its own results.

use tandem_lab::{Guide, LabError, Room, available_memory, guide};
use tandem_model::ResultDocument;
use tandem_probe::free_bytes;

use crate::{App, AppError};

/// Most results that are looked at, the latest ones.
const MOST: usize = 200;

impl App {
    /// How many instances of a subject fit on this machine, what a class of so
    /// many needs, and when to choose which lane, by the results of this home.
    ///
    /// # Errors
    ///
    /// Refused with what to measure when there are too few.
    pub fn fit_guide(&self, subject: &str, class: u32) -> Result<Guide, AppError> {
        if class == 0 {
            return Err(AppError::Usage("a class has at least one member".to_owned()));
        }
        let store = self.results()?;
        let rows = store.list().map_err(LabError::from)?;
        // A file may say that it was measured here: only what was counts.
        let own = rows.iter().filter(|row| row.finished_at.is_some() && row.origin.is_none());
        let mut documents: Vec<ResultDocument> = Vec::new();
        for row in own.take(MOST) {
            documents.extend(store.show(&row.id).map_err(LabError::from)?.document);
        }
        let home = self.home.root();
        let room = Room {
            fingerprint: self.machine().fingerprint,
            memory_bytes: available_memory().ok_or_else(|| {
                AppError::Usage("this kernel does not tell how much memory is free".to_owned())
            })?,
            disk_bytes: free_bytes(home).map_err(|e| AppError::io("look at", home, e))?,
            cores: self.machine().cores,
        };
        guide(&documents, room, subject, class).map_err(|e| AppError::Usage(e.to_string()))
    }
}
