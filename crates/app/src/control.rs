use std::{process::Command, time::Duration};

use tandem_backend::signal_number;
use tandem_model::{ExecSpec, InstanceRecord};

use crate::{
    App, AppError,
    spec::{not_a_signal, signal_of, variable_name},
};

/// The number of SIGKILL.
const KILL: i32 = 9;

impl App {
    /// Sends a signal, by name or number, to the app of a running instance.
    /// One that nothing withstands is waited for.
    pub async fn kill(&self, instance: &str, signal: &str) -> Result<(), AppError> {
        let number = self.signal(instance, signal).await?;
        let (KILL, Ok(record)) = (number, self.instances.find(instance)) else { return Ok(()) };
        self.ended(&record.id).await?;
        Ok(())
    }

    /// Sends a signal, by name or number; returns its number.
    pub async fn signal(&self, instance: &str, signal: &str) -> Result<i32, AppError> {
        let number = signal_number(signal).ok_or_else(|| not_a_signal(signal))?;
        let record = self.instances.find(instance)?;
        self.backend(record.spec.backend).signal(&record.id, number).await?;
        Ok(number)
    }

    /// A command that, run with the caller's streams, executes `spec` in a
    /// running instance and ends with its exit code.
    pub async fn exec(&self, instance: &str, spec: &ExecSpec) -> Result<Command, AppError> {
        let record = self.instances.find(instance)?;
        if let Some(cwd) = spec.cwd.as_deref().filter(|cwd| !cwd.starts_with('/')) {
            return Err(AppError::Usage(format!(
                "the working directory `{cwd}` is not absolute: begin it with /"
            )));
        }
        for variable in &spec.env {
            variable_name(variable)?;
        }
        Ok(self.backend(record.spec.backend).exec_command(&record.id, spec).await?)
    }

    /// Stops an instance, when it runs, with its own signal or this one, and
    /// starts it again.
    pub async fn restart(
        &self,
        instance: &str,
        grace: Option<Duration>,
        signal: Option<&str>,
    ) -> Result<InstanceRecord, AppError> {
        let number = signal_of(signal)?;
        let record = self.instances.find(instance)?;
        if record.state.is_up() {
            let backend = self.backend(record.spec.backend);
            backend.stop_for_start(&record.id, grace, number).await?;
        }
        self.start(record.id.as_str()).await
    }

    /// Holds every process of a running instance still.
    pub async fn pause(&self, instance: &str) -> Result<(), AppError> {
        let record = self.instances.find(instance)?;
        Ok(self.backend(record.spec.backend).pause(&record.id).await?)
    }

    /// Lets a paused instance go on.
    pub async fn unpause(&self, instance: &str) -> Result<(), AppError> {
        let record = self.instances.find(instance)?;
        Ok(self.backend(record.spec.backend).resume(&record.id).await?)
    }
}
