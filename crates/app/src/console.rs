use std::{
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
};

use tandem_backend::{BackendError, Peer, connect};
use tandem_model::{BackendKind, InstanceId, InstanceRecord, InstanceState};
use tokio::net::UnixStream;

use crate::{App, AppError};

/// Where a machine's console is kept, in its instance's folder.
const KEPT: &str = "logs/console.log";

impl App {
    /// Joins the caller to the serial console of a running machine: what it
    /// said lately and says from now on comes out, what goes in is typed there.
    pub async fn console(&self, instance: &str) -> Result<(InstanceRecord, UnixStream), AppError> {
        let record = self.machine_with_console(instance)?;
        let name = record.spec.name.clone();
        let wrong = |state, next| BackendError::WrongState { name: name.clone(), state, next };
        match record.state {
            InstanceState::Paused => {
                let next = format!("let it go on first with `tandem unpause {name}`");
                return Err(wrong("paused", next).into());
            }
            InstanceState::Starting => {
                let next = format!("`tandem logs --boot -f {name}` shows how it boots");
                return Err(wrong("starting", next).into());
            }
            _ => {}
        }
        let stream = connect(&self.instances.dir(&record.id), Peer::Console).await?;
        let stream = stream.ok_or_else(|| {
            let next =
                format!("start it with `tandem start {name}`; `tandem logs --boot {name}` shows its last console");
            wrong("not running", next)
        })?;
        Ok((record, stream))
    }

    /// Hands over what a machine's console has said since its last start, and
    /// with `follow` what it says until the machine ends.
    pub async fn boot_log(
        &self,
        instance: &str,
        follow: bool,
        piece: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<(), AppError> {
        let record = self.machine_with_console(instance)?;
        let path = self.console_log(&record.id);
        let mut changes = self.changes_of_logs(&record);
        let mut file = None;
        let mut buffer = vec![0; 16 * 1024];
        loop {
            // The state is read before the file: what is written in between is
            // then still shown.
            let over = !follow || !self.is_up(&record.id)?;
            if file.is_none() {
                file = match File::open(&path) {
                    Ok(file) => Some(file),
                    Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                    Err(e) => return Err(AppError::io("open", &path, e)),
                };
            }
            if let Some(file) = &mut file {
                loop {
                    match file.read(&mut buffer).map_err(|e| AppError::io("read", &path, e))? {
                        0 => break,
                        count => piece(&buffer[..count]),
                    }
                }
            }
            if over {
                return Ok(());
            }
            changes.next().await;
        }
    }

    /// Where a machine's console is kept.
    pub(crate) fn console_log(&self, id: &InstanceId) -> PathBuf {
        self.instances.dir(id).join(KEPT)
    }

    pub(crate) fn machine_with_console(&self, instance: &str) -> Result<InstanceRecord, AppError> {
        let record = self.instances.find(instance)?;
        if record.spec.backend == BackendKind::Vm {
            return Ok(record);
        }
        let name = record.spec.name;
        Err(BackendError::Unavailable {
            what: format!("a serial console of {name}"),
            why: "only virtual machines have one".to_owned(),
            fix: format!("`tandem logs {name}` shows what its app says"),
        }
        .into())
    }
}
