use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tandem_backend::{BackendError, Launch};
use tandem_home::make_private_dir;

use super::payload::ContainerPayload;
use crate::{
    cgroup,
    checkpoint::{Checkpoint, Given, Grounds, drop_pending, restore},
    launch::Prepared,
    network::Connected,
    stdio::{Ends, Stdio},
};

/// The memory that an app is to have.
pub(super) struct Resumed<'a> {
    pub(super) images: &'a Path,
    pub(super) checkpoint: &'a Checkpoint,
}

impl ContainerPayload {
    /// Brings the app back with its memory, in place of making it. Returns its
    /// process id. The images are used up in any case: whoever starts the
    /// instance after a failure gets a fresh app.
    pub(super) async fn resume(
        &self,
        launch: &Launch<'_>,
        prepared: &Prepared,
        network: &mut Connected,
        files: &[(PathBuf, &'static str)],
        saved: &Resumed<'_>,
    ) -> Result<(i32, Ends), BackendError> {
        refuse_elsewhere(launch, saved.checkpoint)?;
        let work = self.dirs.bundle();
        let record = &*launch.record;
        let made = |e| BackendError::engine("the control groups", e);
        // Devices are closed before anybody is in it, limits come afterwards:
        // they are the app's, and CRIU would need some of them itself.
        cgroup::make(&self.layout, &self.group).map_err(made)?;
        let mut staged = Staged::default();
        let mut given: Vec<(String, PathBuf)> = Vec::new();
        for (source, place) in files {
            let source = staged.bind(&work, source, *place == crate::init::INIT)?;
            given.push(((*place).to_owned(), source));
        }
        for place in saved.checkpoint.cgroup_places() {
            let folder = self.folder_shown_at(place)?;
            given.push((place.to_owned(), staged.bind(&work, &folder, true)?));
        }
        let stdio = Stdio::new(&prepared.user, record.spec.options.stdin);
        let stdio = stdio.map_err(|e| BackendError::engine("making the app's streams", e))?;
        let (stdin, stdout, stderr, ends) = stdio.split();
        let grounds = Grounds {
            rootfs: &self.dirs.rootfs(),
            work: &work,
            groups: &record.runtime.cgroups,
            network: network.namespace(),
            given: &Given(given),
        };
        let streams = [stdin, stdout, stderr];
        let restored = restore(saved.images, saved.checkpoint, &grounds, &streams).await;
        drop_pending(self.dirs.instance())?;
        let pid = restored?;
        cgroup::update(&self.layout, &record.runtime.cgroups, &record.spec.resources)?;
        cgroup::check_limits(&record.runtime.cgroups, &record.spec.resources)?;
        network.ready();
        Ok((pid, ends))
    }

    /// The folder of our group that is to be seen at a place inside: of
    /// version 1 each hierarchy is a folder there.
    fn folder_shown_at(&self, place: &str) -> Result<PathBuf, BackendError> {
        let name = Path::new(place).file_name();
        let folders = self.layout.folders(&self.group);
        let own = folders
            .iter()
            .find(|folder| folder.parent().and_then(Path::file_name) == name || folders.len() == 1);
        own.cloned().ok_or_else(|| BackendError::Unavailable {
            what: "the saved memory".into(),
            why: format!("the app saw control groups at {place}, which this machine has not"),
            fix: "restore it with --without-memory".into(),
        })
    }
}

/// A socket that is bound to an address needs that one again.
fn refuse_elsewhere(launch: &Launch<'_>, checkpoint: &Checkpoint) -> Result<(), BackendError> {
    let Some(address) = checkpoint.address.filter(|_| checkpoint.bound) else { return Ok(()) };
    if launch.record.runtime.ip == Some(address.into()) {
        return Ok(());
    }
    Err(BackendError::Unavailable {
        what: "the saved memory".into(),
        why: format!("the app listens at {address} itself, and another instance has that address"),
        fix: "stop that one and start this one again".into(),
    })
}

/// Mounts of the supervisor's own, with the attributes that they are to have
/// inside: CRIU mounts what it is given as it is.
#[derive(Default)]
struct Staged(Vec<PathBuf>);

impl Staged {
    fn bind(&mut self, work: &Path, source: &Path, locked: bool) -> Result<PathBuf, BackendError> {
        if !locked {
            return Ok(source.to_owned());
        }
        let at = work.join(format!("given-{}", self.0.len()));
        let io = |e: std::io::Error| BackendError::io("mount", source, e);
        if source.is_dir() {
            make_private_dir(&at)?;
        } else {
            std::fs::File::create(&at).map_err(io)?;
        }
        let none: Option<&str> = None;
        let bind = MsFlags::MS_BIND;
        mount(Some(source), &at, none, bind, none).map_err(|e| io(e.into()))?;
        self.0.push(at.clone());
        let mut closed = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        if source.is_dir() {
            closed |= MsFlags::MS_NOEXEC;
        }
        mount(none, &at, none, bind | MsFlags::MS_REMOUNT | closed, none)
            .map_err(|e| io(e.into()))?;
        Ok(at)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for at in &self.0 {
            // Whoever clears the folder must not go through it.
            let _ = umount2(at, MntFlags::MNT_DETACH);
        }
    }
}
