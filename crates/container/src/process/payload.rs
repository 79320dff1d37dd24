use std::os::fd::AsRawFd as _;

use async_trait::async_trait;
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use tandem_backend::{BackendError, InstanceStore, Launch, Payload, Running};
use tandem_model::InstanceRecord;
use tandem_probe::{identity, now};

use super::{ENGINE, app::App, ports::publish};
use crate::{
    confine::Report,
    descendants::kill_descendants,
    launch::{is_fleeting, prepare_rootfs},
    rootfs::InstanceDirs,
    running::{Kin, RunningApp},
    stdio::Stdio,
};

/// Brings up one instance as an ordinary process.
struct ProcessPayload {
    dirs: InstanceDirs,
}

/// The part of a supervisor that starts `record`'s app without isolation and
/// without limits, even when it has some.
pub fn process_payload(
    store: &InstanceStore,
    record: &InstanceRecord,
) -> Result<Box<dyn Payload>, BackendError> {
    Ok(Box::new(ProcessPayload { dirs: InstanceDirs::new(store.dir(&record.id)) }))
}

#[async_trait(?Send)]
impl Payload for ProcessPayload {
    async fn launch(&mut self, launch: &mut Launch<'_>) -> Result<Box<dyn Running>, BackendError> {
        let start = now();
        launch.record.runtime.engine = Some(ENGINE.to_owned());
        let proxies = publish(launch.record)?;
        let prepared = prepare_rootfs(launch.store, launch.record, &self.dirs, None, false)?;
        let start = launch.phase("rootfs", start);

        let failed = |e| BackendError::engine("starting the app", e);
        let supervisor = pidfd_open(getpid(), PidfdFlags::empty()).map_err(|e| failed(e.into()))?;
        let stdio = Stdio::new(&prepared.user, false).map_err(failed)?;
        let report = Report::new().map_err(failed)?;
        let app = App {
            rootfs: self.dirs.rootfs(),
            cwd: launch.record.spec.cwd.clone(),
            user: prepared.user,
            program: prepared.program,
            supervisor: supervisor.as_raw_fd(),
        };
        let pid = app.start(&stdio, &report).map_err(failed)?;
        let executed = report.wait().map_err(failed)?;
        let name = launch.record.spec.args.first().map_or("", String::as_str);
        executed.map_err(|complaint| complaint.into_error(name, &app.cwd))?;
        let ends = stdio.into_ends();
        let running =
            RunningApp::watch(pid, Kin::Descendants, ends, launch.output.clone(), proxies)
                .map_err(failed)?;
        launch.record.runtime.process = u32::try_from(pid).ok().and_then(identity);
        launch.phase("create", start);
        Ok(Box::new(running))
    }

    async fn clean_up(&mut self, record: &InstanceRecord) -> Vec<String> {
        let mut problems = Vec::new();
        // Lets the proxies, given up just now, close their ports.
        tokio::task::yield_now().await;
        match kill_descendants() {
            0 => {}
            left => problems.push(format!("{left} processes cannot be ended")),
        }
        if let Err(e) = self.dirs.clean_up(!is_fleeting(record)) {
            problems.push(format!("the file system stays mounted: {e}"));
        }
        problems
    }
}
