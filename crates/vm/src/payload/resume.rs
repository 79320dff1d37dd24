//! A launch that goes on from a saved state instead of booting.

use std::path::PathBuf;

use tandem_backend::{BackendError, Launch, Running};
use tandem_model::HostInstant;
use tokio::{io::AsyncReadExt as _, net::UnixStream};

use super::{Kind, identity::new_identity, launch::END_LIMIT};
use crate::{
    machine::Machine,
    qmp::{Form, Qmp, QmpError},
    running::{Console, Parts, RunningVm},
    snapshot::{MachineState, Resume, Source},
};

/// A QEMU that waits for its state.
pub(super) struct Up {
    pub(super) machine: Machine,
    pub(super) qmp: Qmp,
    pub(super) debug: UnixStream,
    pub(super) console: Console,
    pub(super) channel: UnixStream,
}

/// Brings the state back and lets the guest go on.
pub(super) async fn go_on(
    mut up: Up,
    launch: &mut Launch<'_>,
    resume: &Resume,
    here: MachineState,
    dir: PathBuf,
    kind: Kind,
    start: HostInstant,
) -> Result<Box<dyn Running>, BackendError> {
    let name = &launch.record.spec.name;
    let unfit = |why: String| BackendError::Unavailable {
        what: "the saved memory of this instance".to_owned(),
        why,
        fix: format!(
            "bring back its disk alone with `tandem snapshot restore --without-memory {name} SNAPSHOT`"
        ),
    };
    if let Some(why) = resume.state.misfit(&here) {
        return Err(unfit(why));
    }
    let form = match resume.source {
        Source::Mapped => Form::Whole,
        Source::Template => Form::DevicesOnly,
    };
    let restored = async {
        up.qmp.restore_from(&resume.files(&dir).0, form).await?;
        up.qmp.reach("completed").await
    };
    match restored.await {
        Ok(()) => up.qmp.close_state().await,
        Err(QmpError::Closed) => {
            let _ = up.machine.end(END_LIMIT).await;
            return Err(unfit(format!("QEMU cannot read it ({})", up.machine.errors().await)));
        }
        Err(e) => return Err(unfit(format!("QEMU cannot read it ({e})"))),
    }
    let start = launch.phase("restore", start);
    // From now on the disk changes, and the state would not fit to it again.
    Resume::clear(&dir)?;
    drain(up.debug);
    let identity = resume.is_new.then(|| new_identity(launch.record));
    let limits = launch.record.spec.resources;
    let app_output = &launch.output;
    let Up { machine, qmp, console, channel, .. } = up;
    // The kernel is the one that was saved.
    let state = resume.state.clone();
    let running = RunningVm::watch(Parts {
        machine,
        qmp,
        channel,
        console,
        app_output,
        dir,
        state,
        limits,
        // Nothing is saved of a machine that has some.
        has_volumes: false,
        kind,
        terminal: launch.record.spec.options.terminal,
    });
    running.revive(identity).await?;
    launch.phase("resume", start);
    Ok(Box::new(running))
}

/// A guest that writes to its debug port must not stop QEMU.
pub(super) fn drain(mut debug: UnixStream) {
    tokio::task::spawn_local(async move {
        let mut buffer = [0; 512];
        while debug.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    });
}
