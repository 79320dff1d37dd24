use std::fs;

use serde::Serialize;

use crate::{App, AppError, PruneFilter};

/// What may be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneRequest {
    /// Every image that no instance was made from, not only those without a
    /// name.
    pub all: bool,
    /// Volumes without a name of a person's that no instance has.
    pub volumes: bool,
    /// What all of it has to be.
    pub filters: Vec<PruneFilter>,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ts_rs::TS)]
pub struct Pruned {
    /// Names of instances that did not run.
    pub instances: Vec<String>,
    /// Names of networks that no instance used.
    pub networks: Vec<String>,
    /// Names of images.
    pub images: Vec<String>,
    /// Names of volumes.
    pub volumes: Vec<String>,
    /// Bytes that the home is smaller by.
    #[ts(type = "number")]
    pub freed_bytes: u64,
}

impl App {
    /// Removes what nothing needs: instances that ended, networks without
    /// instances, images without a name, unpacked layers and disks of images
    /// that are gone, what builds remember, and parts of downloads.
    pub async fn prune(&self, request: PruneRequest) -> Result<Pruned, AppError> {
        let filters = &request.filters;
        if request.volumes {
            PruneFilter::check_volumes(filters)?;
        }
        let before = self.disk_use()?.bytes;
        let mut pruned = Pruned {
            instances: self.remove_ended(filters).await?,
            networks: self.prune_networks(filters)?,
            ..Pruned::default()
        };
        if request.volumes {
            pruned.volumes = self.prune_volumes(false, filters)?;
        }
        pruned.images = self.prune_images(request.all, filters)?.names;
        // What builds remember has no labels, and its date is that of its use.
        if filters.is_empty() {
            self.forget_builds(request.all)?;
        }
        let after = self.disk_use()?.bytes;
        pruned.freed_bytes = before.saturating_sub(after);
        Ok(pruned)
    }

    /// Removes the instances that do not run and for which the filters hold,
    /// and nothing else.
    pub async fn prune_instances(&self, filters: &[PruneFilter]) -> Result<Pruned, AppError> {
        let before = self.disk_use()?.bytes;
        let instances = self.remove_ended(filters).await?;
        let freed_bytes = before.saturating_sub(self.disk_use()?.bytes);
        Ok(Pruned { instances, freed_bytes, ..Pruned::default() })
    }

    async fn remove_ended(&self, filters: &[PruneFilter]) -> Result<Vec<String>, AppError> {
        let mut removed = Vec::new();
        for record in self.instances.list()? {
            let fits = PruneFilter::all_hold(filters, Some(record.created_at), &record.spec.labels);
            if record.state.is_up() || !fits {
                continue;
            }
            match self.remove(record.id.as_str(), false, false).await {
                Ok(()) => removed.push(record.spec.name),
                // Removed, or started, in this moment.
                Err(_) if self.instances.load(&record.id).map_or(true, |it| it.state.is_up()) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(removed)
    }

    /// Forgets what build steps made: all of it, or what is of no use any more
    /// because its layer is gone.
    fn forget_builds(&self, all: bool) -> Result<(), AppError> {
        if all {
            let dir = self.home.cache().join("build");
            if dir.exists() {
                fs::remove_dir_all(&dir).map_err(|e| AppError::io("remove", dir, e))?;
            }
            return Ok(());
        }
        Ok(tandem_build::forget_stale_steps(&self.home, &self.images)?)
    }
}
