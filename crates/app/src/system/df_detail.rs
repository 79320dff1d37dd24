use serde::Serialize;
use tandem_model::{Digest, InstanceState};

use crate::{App, AppError};

/// What each image, instance and volume of the home takes. What images share
/// is counted for each of them, so these do not add up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DfDetail {
    /// The images.
    pub images: Vec<DfImage>,
    /// The instances.
    pub instances: Vec<DfInstance>,
    /// The volumes.
    pub volumes: Vec<DfVolume>,
}

/// An image on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DfImage {
    /// Name and tag; `<none>` for one that lost its name.
    pub name: String,
    /// The manifest's digest.
    pub digest: Digest,
    /// Bytes of the unpacked layers.
    pub size_bytes: u64,
    /// Those of them that others have too.
    pub shared_bytes: u64,
    /// Those that no other image has.
    pub unique_bytes: u64,
    /// How many instances were made from it.
    pub instances: usize,
}

/// An instance on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DfInstance {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image's reference.
    pub image: String,
    /// Where it stands.
    pub state: InstanceState,
    /// What it wrote, allocated bytes; absent where another engine keeps it.
    pub own_bytes: Option<u64>,
}

/// A volume on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DfVolume {
    /// Its name.
    pub name: String,
    /// Names of the instances that have it.
    pub instances: Vec<String>,
    /// Allocated bytes.
    pub size_bytes: u64,
}

impl App {
    /// What each image, instance and volume takes.
    pub fn disk_use_of_each(&self) -> Result<DfDetail, AppError> {
        let rows = self.instances(true)?;
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let sizes = self.instance_sizes(&ids)?;
        let images = self.images(true)?.into_iter().map(|image| DfImage {
            instances: rows.iter().filter(|row| row.digest == image.digest).count(),
            name: image.tag.map_or(image.name.clone(), |tag| format!("{}:{tag}", image.name)),
            digest: image.digest,
            size_bytes: image.size_bytes,
            shared_bytes: image.size_bytes.saturating_sub(image.unique_bytes),
            unique_bytes: image.unique_bytes,
        });
        let images = images.collect();
        let volumes = self.volumes()?.into_iter().map(|volume| DfVolume {
            // One that is being removed takes nothing.
            size_bytes: tandem_probe::allocated_bytes(&volume.path).unwrap_or_default(),
            name: volume.name,
            instances: volume.instances,
        });
        let instances = rows.into_iter().map(|row| DfInstance {
            own_bytes: sizes.get(&row.id).map(|size| size.own_bytes),
            id: row.id,
            name: row.name,
            image: row.image,
            state: row.state,
        });
        Ok(DfDetail { images, instances: instances.collect(), volumes: volumes.collect() })
    }
}
