use tandem_backend::BackendError;
use tandem_model::ProcessIdentity;
use tandem_probe::is_stopped;

/// Whether QEMU's process runs at all. One that somebody holds with SIGSTOP
/// answers nobody, and says so to nobody.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pulse(Option<ProcessIdentity>);

impl Pulse {
    /// Of this process; of none, everything is as it should be.
    pub(crate) fn of(qemu: Option<ProcessIdentity>) -> Self {
        Self(qemu)
    }

    /// Why nobody need wait for an answer.
    pub(crate) fn check(self) -> Result<(), BackendError> {
        self.stopped().map_or(Ok(()), |why| Err(BackendError::engine("QEMU", why)))
    }

    /// The same as part of a sentence; `None` when it runs, or has ended.
    pub(crate) fn stopped(self) -> Option<String> {
        let qemu = self.0.filter(|qemu| is_stopped(*qemu))?;
        Some(format!(
            "its process {0} is stopped and answers nobody; `kill -CONT {0}` lets it go on, and `tandem kill` ends the machine",
            qemu.pid
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    use tandem_probe::identity;

    use super::*;

    #[test]
    fn a_stopped_process_is_told_and_one_that_goes_on_is_not() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pulse = Pulse::of(identity(child.id()));
        let pid = Pid::from_raw(child.id().cast_signed());
        assert!(pulse.check().is_ok());
        kill(pid, Signal::SIGSTOP).unwrap();
        while pulse.check().is_ok() {
            std::thread::yield_now();
        }
        let said = pulse.check().unwrap_err().to_string();
        assert!(said.contains(&format!("kill -CONT {}", child.id())), "{said}");
        kill(pid, Signal::SIGCONT).unwrap();
        while pulse.check().is_err() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(pulse.check().is_ok(), "an end is told by others");
    }
}
