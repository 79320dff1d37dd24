//! Names of images that belong to a run alone, so that nobody's own moves.
//! They begin with the process that made them: what a killed run leaves is
//! known by that.

use std::path::Path;

use tandem_model::{ErrorCode, ImageRef};
use tandem_probe::alive;

use crate::{App, AppError};

/// Subjects with our program in them.
pub(super) const WORK: &str = "localhost/tandem/work";

/// What the experiment `build` builds, and `snapshot` commits.
pub(super) const REBUILT: &str = "localhost/tandem/rebuilt";

/// Marks a volume with the process whose run it belongs to.
pub(super) const RUN: &str = "dev.tandem.run";

/// The name of an image that a run of this process makes.
pub(super) fn name_of(kind: &str, run: &str) -> String {
    format!("{kind}:{}-{run}", std::process::id())
}

/// The process whose run made an image of this name; `None` when it is
/// nobody's but a person's.
fn maker(name: &str) -> Option<u32> {
    let run = [WORK, REBUILT].iter().find_map(|kind| name.strip_prefix(kind)?.strip_prefix(':'))?;
    run.split_once('-')?.0.parse().ok()
}

impl App {
    /// Ends at once the instances of runs that were killed: an app may still be
    /// on its way out, for as long as a stop may take, under a name that the
    /// run needs when it goes on.
    pub(crate) async fn end_instances_of_the_dead(&self) -> Result<(), AppError> {
        let records = self.instances.list()?.into_iter();
        for left in records.filter(|it| it.spec.owner.is_some_and(|owner| !alive(owner))) {
            match self.remove(left.id.as_str(), true, true).await {
                // Its supervisor was there first.
                Err(e) if e.code() == ErrorCode::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Takes away what runs left which were killed: names of images, volumes.
    pub(crate) fn drop_what_is_of_the_dead(&self) -> Result<(), AppError> {
        let is_dead = |pid: u32| !Path::new("/proc").join(pid.to_string()).exists();
        self.drop_names(&|name| maker(name).is_some_and(is_dead))?;
        for volume in self.volumes()? {
            let run = volume.labels.get(RUN).and_then(|pid| pid.parse().ok());
            if run.is_some_and(is_dead) && volume.instances.is_empty() {
                // An engine that is not there keeps its part until another time.
                let _ = self.remove_volume(&volume.name, true);
            }
        }
        Ok(())
    }

    /// Takes these names away; what they were.
    pub(super) fn drop_names(
        &self,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<ImageRef>, AppError> {
        let all = self.images.list(false)?.into_iter().filter_map(|image| image.reference);
        let mut gone = Vec::new();
        for name in all.filter(|name| wanted(&name.to_string())) {
            self.images.remove(&name, true)?;
            gone.push(name);
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_runs_have_a_maker() {
        assert_eq!(maker(&name_of(WORK, "2a")), Some(std::process::id()));
        assert_eq!(maker("localhost/tandem/rebuilt:77-build-4d-1-0-cold"), Some(77));
        for other in [
            "docker.io/library/hello-flask:latest",
            "localhost/tandem/work",
            "localhost/tandem/work:latest",
            "localhost/tandem/workshop:7-x",
            "localhost/tandem/python:3.11-bookworm",
        ] {
            assert_eq!(maker(other), None, "{other}");
        }
    }
}
