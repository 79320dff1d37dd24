use std::{collections::HashMap, io, os::fd::RawFd};

use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use oci_spec::runtime::Spec;

use crate::confine::{Filter, Program, Report, Stage, die_with_parent, reset_signals};

/// The last steps of a container's init, inside its namespaces and as its
/// user: what libcontainer leaves to its caller.
#[derive(Clone)]
pub(super) struct AppExecutor {
    pub(super) program: Program,
    pub(super) filter: Filter,
    /// The writing end of a [`Report`].
    pub(super) report: RawFd,
    /// A pidfd of the supervisor.
    pub(super) supervisor: RawFd,
}

impl Executor for AppExecutor {
    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        // From here on init waits for the start; should the supervisor be
        // killed meanwhile, nobody would ever start or end it.
        die_with_parent(self.supervisor)
            .map_err(|e| ExecutorValidationError::ArgValidationError(e.to_string()))
    }

    fn setup_envs(&self, _: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        // The program brings its own.
        Ok(())
    }

    fn exec(&self, _: &Spec) -> Result<(), ExecutorError> {
        reset_signals();
        let (stage, error) = match self.filter.install() {
            Err(e) => (Stage::Seccomp, e),
            Ok(()) => (Stage::Execute, self.program.execute()),
        };
        Report::complain(self.report, stage, &error);
        Err(ExecutorError::Other(io::Error::other(error).to_string()))
    }
}
