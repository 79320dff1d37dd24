//! What all measures share: the images, and the peers that run beside us.

use std::{cell::OnceCell, path::PathBuf, rc::Rc, time::Duration};

use anyhow::{Result, anyhow};

use super::{
    ground::Ground,
    peers::{BigImage, Docker, Engine, Podman, Same, Tandem},
};

/// A peer that is started when the first measure wants it; the error is why
/// there is none.
type Late<T> = OnceCell<Result<Rc<T>, String>>;

/// The images and the peers of a run.
pub(crate) struct Field {
    docker: Late<Docker>,
    podman: Late<Podman>,
    big: Late<BigImage>,
    same: Late<Same>,
    /// How long live charts are drawn.
    pub(crate) live: Duration,
    /// Last, and so removed last: the peers' folders lie in it.
    pub(crate) ground: Ground,
}

impl Field {
    pub(crate) fn new(ground: Ground, live: Duration) -> Self {
        let (docker, podman) = (Late::new(), Late::new());
        Self { ground, docker, podman, live, big: Late::new(), same: Late::new() }
    }

    pub(crate) fn docker(&self) -> Result<Rc<Docker>> {
        first(&self.docker, || Docker::prepare(&self.ground))
    }

    pub(crate) fn podman(&self) -> Result<Rc<Podman>> {
        first(&self.podman, || Podman::prepare(&self.ground))
    }

    /// An image of 250 MB, as an archive and behind registries.
    pub(crate) fn big(&self) -> Result<Rc<BigImage>> {
        first(&self.big, || BigImage::make(&self.ground))
    }

    /// What a machine of ours is made of.
    pub(crate) fn same(&self) -> Result<Rc<Same>> {
        first(&self.same, || Same::of_ours(&self.ground))
    }

    /// The engine of this name.
    pub(crate) fn engine(&self, name: &str) -> Result<Rc<dyn Engine>> {
        Ok(match name {
            super::peers::DOCKER => self.docker()?,
            super::peers::PODMAN => self.podman()?,
            lane => Rc::new(Tandem::new(&self.ground, lane)?),
        })
    }

    /// A folder of this name for a contender's files; removed at the end.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.ground.scratch().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

fn first<T>(cell: &Late<T>, make: impl FnOnce() -> Result<T>) -> Result<Rc<T>> {
    let made = cell.get_or_init(|| make().map(Rc::new).map_err(|error| format!("{error:#}")));
    made.clone().map_err(|reason| anyhow!(reason))
}
