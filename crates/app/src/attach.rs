use tandem_backend::{AttachWishes, Attached, BackendError};
use tandem_model::{InstanceId, InstanceRecord, InstanceState};

use crate::{App, AppError};

impl App {
    /// Attaches to the app of a running instance, from its next output on.
    pub async fn attach(
        &self,
        instance: &str,
        wishes: AttachWishes,
    ) -> Result<(InstanceRecord, Attached), AppError> {
        let record = self.instances.find(instance)?;
        if record.state == InstanceState::Paused {
            let name = record.spec.name;
            let next = format!("let it go on first with `tandem unpause {name}`");
            return Err(BackendError::WrongState { name, state: "paused", next }.into());
        }
        let attached = self.backend(record.spec.backend).attach(&record.id, wishes).await?;
        Ok((record, attached))
    }

    /// Starts an instance that exists, with the caller attached from the
    /// app's first byte on.
    pub async fn start_attached(
        &self,
        instance: &str,
        wishes: AttachWishes,
    ) -> Result<(InstanceRecord, Attached), AppError> {
        let record = self.instances.find(instance)?;
        let backend = self.backend(record.spec.backend);
        if record.state.is_up() {
            match self.attach(instance, wishes).await {
                // It has ended in this moment.
                Err(_) if !self.is_up(&record.id)? => {}
                other => return other,
            }
        }
        Ok(backend.start_attached(&record.id, wishes, &mut |_| {}).await?)
    }

    /// Lets an instance stand on its own that was to end with this process.
    pub async fn disown(&self, instance: &str) -> Result<(), AppError> {
        let record = self.instances.find(instance)?;
        Ok(self.backend(record.spec.backend).disown(&record.id).await?)
    }

    /// Resolves once the instance has ended: with its record, unless it was to
    /// be removed then.
    pub(crate) async fn ended(&self, id: &InstanceId) -> Result<Option<InstanceRecord>, AppError> {
        let mut changes = match self.instances.load(id) {
            Ok(record) => self.changes_of(&record),
            Err(BackendError::NoInstance(_)) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        while self.is_up(id)? {
            changes.next().await;
        }
        match self.instances.load(id) {
            Err(BackendError::NoInstance(_)) => Ok(None),
            other => Ok(Some(other?)),
        }
    }

    /// Whether it is starting or running. An instance that is gone is not.
    pub(crate) fn is_up(&self, id: &InstanceId) -> Result<bool, AppError> {
        match self.instances.load(id) {
            Ok(record) => {
                Ok(record.state.is_up()
                    && record.runtime.supervisor.is_some_and(tandem_probe::alive))
            }
            Err(BackendError::NoInstance(_)) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}
