use serde::Serialize;
use tandem_model::Digest;

use super::Store;
use crate::Image;

/// One step that made an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryEntry {
    /// When it was done.
    pub created_at: Option<jiff::Timestamp>,
    /// The command, as the builder wrote it down.
    pub created_by: String,
    /// A note of the builder's.
    pub comment: String,
    /// The layer's blob; none for a step that changed no file.
    pub layer: Option<Digest>,
    /// Bytes of the blob.
    pub size_bytes: u64,
    /// Allocated bytes of the unpacked layer; 0 where it is not unpacked.
    pub unpacked_bytes: u64,
}

impl Store {
    /// What made an image, the first step first (OCI image specification,
    /// config.md, "history"). Layers that no step claims come last, without a
    /// command.
    pub fn history(&self, image: &Image) -> Vec<HistoryEntry> {
        let mut layers = image.layers.iter().zip(image.chain_ids());
        let mut entries = Vec::new();
        let mut entry = |created: Option<&str>, by: &str, comment: &str, empty: bool| {
            let layer = if empty { None } else { layers.next() };
            let usage = layer.as_ref().and_then(|(_, chain_id)| self.layer_usage(chain_id).ok());
            entries.push(HistoryEntry {
                created_at: created.and_then(|text| text.parse().ok()),
                created_by: by.to_owned(),
                comment: comment.to_owned(),
                size_bytes: layer.as_ref().map_or(0, |(layer, _)| layer.size),
                layer: layer.map(|(layer, _)| layer.digest.clone()),
                unpacked_bytes: usage.map_or(0, |usage| usage.allocated_bytes),
            });
        };
        for step in image.config.history().iter().flatten() {
            entry(
                step.created().as_deref(),
                step.created_by().as_deref().unwrap_or_default(),
                step.comment().as_deref().unwrap_or_default(),
                step.empty_layer().unwrap_or(false),
            );
        }
        let claimed = image.config.history().iter().flatten();
        let claimed = claimed.filter(|step| !step.empty_layer().unwrap_or(false)).count();
        for _ in claimed..image.layers.len() {
            entry(None, "", "", false);
        }
        entries
    }
}
