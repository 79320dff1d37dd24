//! Which containers' memory can be kept, and taking hold of them for it.

use std::{path::Path, time::Instant};

use tandem_backend::{BackendError, Held, hold_with_memory};
use tandem_container::checkpoint_works;
use tandem_model::{BackendKind, InstanceRecord, InstanceState, MountSource};

use crate::{App, AppError};

impl App {
    /// Says why the memory of this instance, which is no machine, cannot be
    /// kept, before anything is done.
    pub(crate) async fn refuse_memory(&self, record: &InstanceRecord) -> Result<(), AppError> {
        let name = record.spec.name.clone();
        let wrong = |state, next| Err(BackendError::WrongState { name, state, next }.into());
        match record.state {
            InstanceState::Running => {}
            InstanceState::Paused => {
                let next = format!("let it go on with `tandem unpause {}`", record.spec.name);
                return wrong("paused", next);
            }
            _ => {
                let start = format!("start it first with `tandem start {}`", record.spec.name);
                let next = format!("{start}, or leave out --memory");
                return wrong("not running, so it has no memory to keep", next);
            }
        }
        if let Some(why) = unfit(record) {
            return Err(unavailable(why));
        }
        self.probed().await.map_err(unavailable)
    }

    /// Says why memory that was kept cannot come back on this machine.
    pub(crate) async fn refuse_restore(&self) -> Result<(), AppError> {
        self.probed().await.map_err(|why| {
            BackendError::Unavailable {
                what: "the saved memory".into(),
                why,
                fix: "add --without-memory to get the disk and the volumes".into(),
            }
            .into()
        })
    }

    async fn probed(&self) -> Result<(), String> {
        let home = self.home.clone();
        let probe = tokio::task::spawn_blocking(move || checkpoint_works(&home));
        probe.await.map_err(|e| e.to_string())?
    }

    /// Holds a running container still with its memory in a folder; since when
    /// comes along.
    pub(crate) async fn held_with_memory(
        &self,
        record: &InstanceRecord,
        into: &Path,
    ) -> Result<(Option<Held>, Instant), AppError> {
        let held = hold_with_memory(&self.instances.dir(&record.id), into).await?;
        let (held, since) = held.ok_or_else(|| BackendError::WrongState {
            name: record.spec.name.clone(),
            state: "ending just now",
            next: format!("start it again with `tandem start {}`", record.spec.name),
        })?;
        let now = Instant::now();
        Ok((Some(held), now.checked_sub(since).unwrap_or(now)))
    }
}

/// What keeps this one's memory from being saved.
fn unfit(record: &InstanceRecord) -> Option<String> {
    let spec = &record.spec;
    if spec.backend != BackendKind::Container {
        return Some(format!("the {} backend keeps none", spec.backend));
    }
    if spec.options.terminal {
        return Some("the app has a terminal (-t), whose other side is not its own".into());
    }
    let outside = |source: &MountSource| !matches!(source, MountSource::Tmpfs { .. });
    let late = |target: &str| ["/dev/", "/sys/"].iter().any(|dir| target.starts_with(dir));
    let mount = spec.options.mounts.iter().find(|it| outside(&it.source) && late(&it.target));
    mount.map(|it| format!("it has something of the host mounted at {}", it.target))
}

fn unavailable(why: String) -> AppError {
    BackendError::Unavailable {
        what: "a snapshot with memory".into(),
        why,
        fix: "leave out --memory to keep the disk and the volumes".into(),
    }
    .into()
}
