use tandem_model::BackendKind;

use crate::{App, AppError};

impl App {
    /// Brings the home into order after crashes: instances whose supervisors
    /// were killed, half-made instance folders, abandoned scratch folders.
    /// Returns a line for each thing that was cleaned, and for each instance
    /// that could not be: one that resists must not block every command.
    pub async fn reap(&self) -> Result<Vec<String>, AppError> {
        let mut cleaned = Vec::new();
        // What lies there can still be looked at.
        if self.home.is_read_only() {
            return Ok(cleaned);
        }
        for record in self.instances.list()? {
            match self.backend(record.spec.backend).reap(&record.id).await {
                Ok(lines) => cleaned.extend(lines),
                Err(tandem_backend::BackendError::NoInstance(_)) => {}
                Err(e) => cleaned
                    .push(format!("instance {} could not be cleared away: {e}", record.spec.name)),
            }
        }
        match self.backend(BackendKind::Container).sweep().await {
            Ok(lines) => cleaned.extend(lines),
            Err(e) => cleaned.push(format!("networks could not be cleared away: {e}")),
        }
        let folders = self.instances.sweep()?;
        if folders > 0 {
            cleaned.push(format!("{folders} half-made instance folders"));
        }
        for folder in self.home.reap_scratch()? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            cleaned.push(format!("the work folder {name}"));
        }
        Ok(cleaned)
    }
}
