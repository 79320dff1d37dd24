//! Something of this home as one file for somebody else.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};
use tandem_image::ArchiveFormat;

use crate::{App, AppError, BundleEvent, BundleRequest, Cancel, DiskFormat, new_path};

/// What is given away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "snake_case")]
pub enum GiftKind {
    /// An instance with its image, volumes and snapshots, for another Tandem.
    Instance,
    /// Its image, for any engine.
    Image,
    /// The disk of a `full` machine, which boots in any QEMU.
    Disk,
    /// Its image in a bundle, with what its build steps made.
    Bundle,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct Given {
    /// Its whole path.
    pub file: String,
    /// Its length.
    #[ts(type = "number")]
    pub bytes: u64,
    /// What the other side types; absent for a disk.
    pub taken_with: Option<String>,
}

impl App {
    /// Writes an instance, or what belongs to it, to a new file: whole or not
    /// at all. `note` gets a line now and then. Dropping the future ends the
    /// work.
    pub async fn give(
        &self,
        instance: &str,
        kind: GiftKind,
        file: &str,
        note: impl Fn(String) + Send + Sync + 'static,
        cancel: &Cancel,
    ) -> Result<Given, AppError> {
        let path = new_path(file)?;
        let image = self.inspect(instance)?.spec.image;
        let shown = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let taken_with = match kind {
            GiftKind::Instance => {
                self.export_instance(instance, &path).await?;
                Some(format!("tandem import {shown}"))
            }
            GiftKind::Image => {
                let format = ArchiveFormat::Docker;
                self.save_images(&[image], format, Some(path.clone()), |_| {}).await?;
                Some(format!("tandem load -i {shown}"))
            }
            GiftKind::Disk => {
                self.export_disk(instance, DiskFormat::Qcow2, &path).await?;
                None
            }
            GiftKind::Bundle => {
                let request = BundleRequest { images: vec![image], ..BundleRequest::default() };
                let tell = move |event| {
                    if let BundleEvent::Note(line) = event {
                        note(line);
                    }
                };
                self.create_bundle(&request, &path, tell, cancel).await?;
                Some(format!("tandem bundle open {shown}"))
            }
        };
        Ok(Given { bytes: length(&path)?, file: path.display().to_string(), taken_with })
    }
}

fn length(path: &Path) -> Result<u64, AppError> {
    Ok(fs::metadata(path).map_err(|e| AppError::io("look at", path, e))?.len())
}
