use std::{collections::HashMap, io, os::fd::RawFd};

use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use oci_spec::runtime::Spec;

use crate::confine::{Filter, Program, Report, Stage, bound, die_with_parent, keep, reset_signals};

/// The last steps of a container's init, inside its namespaces and as its
/// user: what libcontainer leaves to its caller.
#[derive(Clone)]
pub(super) struct AppExecutor {
    pub(super) program: Program,
    /// `None` leaves all system calls open.
    pub(super) filter: Option<Filter>,
    /// Capabilities to end with, when more were lent for the filter.
    pub(super) last: Option<LastCapabilities>,
    /// The writing end of a [`Report`].
    pub(super) report: RawFd,
    /// A pidfd of the supervisor.
    pub(super) supervisor: RawFd,
}

/// What an app may have, as bit masks.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastCapabilities {
    pub(super) bounding: u64,
    pub(super) held: u64,
}

impl AppExecutor {
    /// Closes what the app must not have.
    fn confine(&self) -> Result<(), (Stage, io::Error)> {
        if let Some(filter) = &self.filter {
            filter.install().map_err(|e| (Stage::Seccomp, e))?;
        }
        if let Some(last) = self.last {
            bound(last.bounding).map_err(|e| (Stage::User, e))?;
            keep(last.held).map_err(|e| (Stage::User, e))?;
        }
        Ok(())
    }
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
        let (stage, error) = match self.confine() {
            Err(failure) => failure,
            Ok(()) => (Stage::Execute, self.program.execute()),
        };
        Report::complain(self.report, stage, &error);
        Err(ExecutorError::Other(io::Error::other(error).to_string()))
    }
}
