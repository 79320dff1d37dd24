use serde::Serialize;
use tandem_image::{HistoryEntry, LayerChange, LayerChangeKind, TreeLayer};
use tandem_model::Digest;

use crate::{App, AppError};

/// Changed paths of a layer that are shown; a base image has tens of
/// thousands.
const SHOWN: usize = 200;

/// An image with all that is shown of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct ImageDetail {
    /// Its whole reference.
    pub image: String,
    /// The manifest's digest.
    pub digest: Digest,
    /// Bytes of the unpacked layers.
    #[ts(type = "number")]
    pub size_bytes: u64,
    /// Those of them that no other image shares.
    #[ts(type = "number")]
    pub unique_bytes: u64,
    /// The layers, bottom first.
    pub layers: Vec<LayerDetail>,
    /// What made it, the first step first.
    pub history: Vec<HistoryStep>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Ports that it says it listens on, `8080/tcp`.
    pub ports: Vec<String>,
}

/// What one layer does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct LayerDetail {
    /// Digest of the blob.
    pub digest: Digest,
    /// The command that made it, as far as the image tells.
    pub created_by: String,
    /// Bytes of the blob.
    #[ts(type = "number")]
    pub size_bytes: u64,
    /// Allocated bytes, unpacked.
    #[ts(type = "number")]
    pub unpacked_bytes: u64,
    /// Other images that have it.
    pub shared_with: Vec<String>,
    /// Paths that were not there.
    pub added: usize,
    /// Paths that are others now.
    pub changed: usize,
    /// Paths that are no more.
    pub hidden: usize,
    /// The largest of them.
    pub paths: Vec<ChangedPath>,
}

/// A path that a layer adds (`+`), changes (`~`) or hides (`-`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct ChangedPath {
    /// What happens to it.
    pub sign: char,
    /// Absolute.
    pub path: String,
    /// Of the new file, or of what is hidden.
    #[ts(type = "number")]
    pub bytes: u64,
}

/// A step of an image's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct HistoryStep {
    /// The command, as the builder wrote it down.
    pub created_by: String,
    /// The layer that it made, if any.
    pub layer: Option<Digest>,
    /// Bytes of that, unpacked.
    #[ts(type = "number")]
    pub unpacked_bytes: u64,
}

impl App {
    /// Layers, history and settings of a local image.
    pub async fn image_detail(&self, name: &str) -> Result<ImageDetail, AppError> {
        let config = self.image(name)?.config.config().clone().unwrap_or_default();
        let history = self.image_history(name)?.into_iter().map(HistoryStep::from).collect();
        let tree = self.image_tree(name).await?;
        let words = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        let command = [words(config.entrypoint()), words(config.cmd())].concat();
        Ok(ImageDetail {
            image: tree.image,
            digest: tree.digest,
            size_bytes: tree.size_bytes,
            unique_bytes: tree.unique_bytes,
            layers: tree.layers.into_iter().map(LayerDetail::from).collect(),
            history,
            command,
            ports: words(config.exposed_ports()),
        })
    }
}

impl From<HistoryEntry> for HistoryStep {
    fn from(entry: HistoryEntry) -> Self {
        let HistoryEntry { created_by, layer, unpacked_bytes, .. } = entry;
        Self { created_by, layer, unpacked_bytes }
    }
}

impl From<TreeLayer> for LayerDetail {
    fn from(layer: TreeLayer) -> Self {
        let count = |kind| layer.changes.iter().filter(|change| change.kind == kind).count();
        let (added, changed, hidden) = (
            count(LayerChangeKind::Added),
            count(LayerChangeKind::Changed),
            count(LayerChangeKind::Hidden),
        );
        let mut changes: Vec<_> = layer.changes.iter().collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.bytes));
        Self {
            paths: changes.into_iter().take(SHOWN).map(ChangedPath::from).collect(),
            digest: layer.digest,
            created_by: layer.created_by,
            size_bytes: layer.size_bytes,
            unpacked_bytes: layer.unpacked_bytes,
            shared_with: layer.shared_with,
            added,
            changed,
            hidden,
        }
    }
}

impl From<&LayerChange> for ChangedPath {
    fn from(change: &LayerChange) -> Self {
        let sign = match change.kind {
            LayerChangeKind::Added => '+',
            LayerChangeKind::Changed => '~',
            LayerChangeKind::Hidden => '-',
        };
        Self { sign, path: format!("/{}", change.path.display()), bytes: change.bytes }
    }
}
