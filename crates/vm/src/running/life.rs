//! From the app's execution to QEMU's end.

use std::{io, os::unix::process::ExitStatusExt, process::ExitStatus, rc::Rc, time::Duration};

use tandem_backend::{BackendError, Output, Stream, pump};
use tandem_model::Exit;
use tokio::{
    io::{DuplexStream, duplex},
    net::UnixStream,
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use super::console::Console;
use crate::{
    agent::{self, Agent, Session},
    machine::Machine,
    payload::Kind,
    qmp::Qmp,
};

/// How long QEMU may take to write its disk down and end.
const QUIT_LIMIT: Duration = Duration::from_secs(10);

/// How long an operating system may take to shut down after its app's end.
const SHUTDOWN: Duration = Duration::from_mins(1);

/// Output on its way into the log.
const PIPE: usize = 64 * 1024;

/// A machine with everything that belongs to it.
pub(super) struct Life {
    machine: Machine,
    qmp: Rc<Qmp>,
    /// `None` when nobody inside talks to us.
    guest: Option<Session<DuplexStream>>,
    console: Console,
    logs: [JoinHandle<()>; 2],
    /// How long the guest may take to switch itself off after the app's end;
    /// without it, it need not.
    shutdown: Duration,
}

/// Why a machine's life is over.
enum End {
    /// The app ended.
    App { code: i32, out_of_memory: bool },
    /// The guest does not keep to the protocol.
    Guest(String),
    /// QEMU ended by itself.
    Qemu(io::Result<ExitStatus>),
    /// We were asked to end it.
    Killed,
    /// A guest without an agent switched itself off.
    Off,
}

impl Life {
    pub(super) fn new(
        machine: Machine,
        qmp: Rc<Qmp>,
        channel: UnixStream,
        console: Console,
        app_output: &Output,
        kind: Kind,
    ) -> (Self, Option<Agent>) {
        let shutdown = if kind == Kind::Full { SHUTDOWN } else { Duration::ZERO };
        let into_log = |stream| {
            let (output, source) = duplex(PIPE);
            (output, tokio::task::spawn_local(pump(source, stream, app_output.clone())))
        };
        let (stdout, stdout_log) = into_log(Stream::Stdout);
        let (stderr, stderr_log) = into_log(Stream::Stderr);
        let (guest, agent) = if kind == Kind::Foreign {
            (None, None)
        } else {
            let (guest, agent) = Session::open(channel, [stdout, stderr]);
            (Some(guest), Some(agent))
        };
        (Self { machine, qmp, guest, console, logs: [stdout_log, stderr_log], shutdown }, agent)
    }

    /// Runs to the end and tells how it was. QEMU is gone then, and the app's
    /// output is in the log.
    pub(super) async fn run(mut self, mut killed: watch::Receiver<bool>) -> Exit {
        let end = match &mut self.guest {
            Some(guest) => with_agent(guest, &mut self.machine, &mut killed).await,
            None => alone(&mut self.machine, &mut killed).await,
        };
        if matches!(end, End::App { .. }) {
            // Asked to be killed meanwhile, it is switched off at once.
            tokio::select! {
                _ = timeout(self.shutdown, self.machine.child.wait()) => {}
                _ = killed.wait_for(|killed| *killed) => {}
            }
            // The guest's files are at rest; now QEMU writes what it holds.
            let _ = self.qmp.quit().await;
        } else {
            let _ = self.machine.child.start_kill();
        }
        let _ = self.machine.end(QUIT_LIMIT).await;
        drop(self.guest);
        for log in self.logs {
            let _ = log.await;
        }
        explain(end, &mut self.machine, &mut self.console, &self.qmp).await
    }
}

/// How a machine ends whose guest has an agent.
async fn with_agent(
    guest: &mut Session<DuplexStream>,
    machine: &mut Machine,
    killed: &mut watch::Receiver<bool>,
) -> End {
    tokio::select! {
        end = guest.listen() => match end {
            // QEMU is at its end.
            agent::End::Closed => End::Qemu(machine.end(QUIT_LIMIT).await),
            agent::End::App { code, out_of_memory } => End::App { code, out_of_memory },
            agent::End::Broken(how) => End::Guest(how),
        },
        status = machine.child.wait() => {
            // What the guest said before is still to be read.
            match guest.listen().await {
                agent::End::App { code, out_of_memory } => End::App { code, out_of_memory },
                _ => End::Qemu(status),
            }
        }
        _ = killed.wait_for(|killed| *killed) => End::Killed,
    }
}

/// How a machine ends of whose guest we know nothing.
async fn alone(machine: &mut Machine, killed: &mut watch::Receiver<bool>) -> End {
    tokio::select! {
        status = machine.child.wait() => match status {
            Ok(status) if status.success() => End::Off,
            status => End::Qemu(status),
        },
        _ = killed.wait_for(|killed| *killed) => End::Killed,
    }
}

async fn explain(end: End, machine: &mut Machine, console: &mut Console, qmp: &Qmp) -> Exit {
    let failed = |error: BackendError| Exit {
        code: 137,
        out_of_memory: false,
        error: Some(error.to_failure()),
    };
    match end {
        // A hostile guest may say any number; exit codes have a byte.
        End::App { code, out_of_memory } => Exit { code: code & 0xff, out_of_memory, error: None },
        End::Off => Exit { code: 0, out_of_memory: false, error: None },
        End::Killed => {
            // One of whose guest we know nothing may have stood still for long.
            let panic = console.panic().await;
            let error = panic.map(|it| BackendError::engine("the guest", it).to_failure());
            Exit { code: 137, out_of_memory: false, error }
        }
        End::Guest(e) => {
            failed(BackendError::engine("the guest", format!("it broke the protocol with {e}")))
        }
        End::Qemu(status) => {
            if let Some(panic) = console.panic().await {
                return failed(BackendError::engine("the guest", panic));
            }
            if qmp.panicked().await {
                let panic = "its kernel panicked, and wrote nothing of it to the serial console";
                return failed(BackendError::engine("the guest", panic));
            }
            if let Some(signal) = status.as_ref().ok().and_then(ExitStatusExt::signal) {
                return failed(BackendError::engine("QEMU", killed(signal)));
            }
            let status = status.map_or_else(|e| e.to_string(), |status| status.to_string());
            let said = machine.errors().await;
            let reason = console.reason(&said).await;
            failed(BackendError::engine("QEMU", format!("it ended by itself ({status}): {reason}")))
        }
    }
}

/// What a signal says that ended QEMU.
fn killed(signal: i32) -> String {
    match signal {
        libc::SIGKILL => "it was killed (SIGKILL): by somebody, or by this machine's kernel for want of memory, which `sudo dmesg` tells".to_owned(),
        libc::SIGSYS => "it was killed (SIGSYS) for a system call that its sandbox forbids: what runs in the guest may have taken it over".to_owned(),
        other => format!("it was ended by signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_is_told_as_one() {
        assert!(killed(libc::SIGKILL).contains("want of memory"));
        assert!(killed(libc::SIGSYS).contains("sandbox"));
        assert_eq!(killed(libc::SIGSEGV), "it was ended by signal 11");
    }
}
