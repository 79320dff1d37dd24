//! Taking away what an instance with a killed supervisor left.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tandem_backend::BackendError;
use tandem_home::Home;
use tandem_model::InstanceId;

use crate::rootfs::{InstanceDirs, overlay_source};

/// How long killed processes may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Kills every process that has the instance's file system mounted.
pub(crate) fn processes(id: &InstanceId) -> Result<Vec<String>, BackendError> {
    let deadline = Instant::now() + PATIENCE;
    let mut killed = 0;
    loop {
        let found = with_overlay(&overlay_source(id));
        if found.is_empty() {
            break;
        }
        if Instant::now() > deadline {
            let reason = format!("{} processes cannot be ended", found.len());
            return Err(BackendError::engine("cleaning up after the app", reason));
        }
        killed = killed.max(found.len());
        for pid in found {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok((killed > 0).then(|| format!("{killed} processes")).into_iter().collect())
}

/// Processes in whose mount namespace an overlay has this source. A child
/// inherits the namespace and cannot shed it, whatever its parents do.
fn with_overlay(source: &str) -> Vec<Pid> {
    let mark = format!(" - overlay {source} ");
    let me = std::process::id();
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != me)
        .filter(|pid| {
            fs::read_to_string(format!("/proc/{pid}/mountinfo"))
                .is_ok_and(|mounts| mounts.contains(&mark))
        })
        .filter_map(|pid| Pid::from_raw(pid.try_into().ok()?))
        .collect()
}

/// Removes what only a running instance needs.
pub(crate) fn files(home: &Home, id: &InstanceId) -> Result<Vec<String>, BackendError> {
    let dirs = InstanceDirs::new(home.instances().join(id.as_str()));
    let bundle = dirs.bundle();
    let there = bundle.exists();
    dirs.clean_up(true).map_err(|e: io::Error| BackendError::io("remove", &bundle, e))?;
    Ok(there.then(|| format!("bundle {}", bundle.display())).into_iter().collect())
}
