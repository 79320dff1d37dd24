//! The programs of the app's service.

use std::{fs, io, path::Path, process::ExitCode, str::FromStr as _};

use nix::sys::signal::Signal;
use tandem_guest::wire::{APP_ROOT, Failure, SERVICE_FILE, Service};

use super::{pipes, service_file};
use crate::{
    agent::{Notice, OWN_GROUP, apply, become_program, step},
    init::{files, mounts},
};

/// Becomes the app; comes back only when that fails.
pub(crate) fn become_app() -> ExitCode {
    let pipes = pipes();
    let pid = i32::try_from(std::process::id()).unwrap_or_default();
    // Open until the app is executed.
    let held = pipes.tell(&Notice::Started(pid));
    let failure = execute();
    drop(held);
    eprintln!("tandem-guest: the app cannot be executed: {failure:?}");
    let code = if failure == Failure::NotFound { 127 } else { 126 };
    let _ = pipes.tell(&Notice::Failed(failure));
    ExitCode::from(code)
}

fn execute() -> Failure {
    let Found { service: Service { app, confinement }, is_alone } = match service() {
        Ok(found) => found,
        Err(e) => return step("reading what the app is")(e),
    };
    // The agent has seen to it, where there is one.
    let own = is_alone.then(files::of_system);
    let entered = pipes()
        .connect(&app)
        .and_then(|()| mounts::furnish(Path::new(APP_ROOT)))
        .and_then(|()| mounts::step_into(Path::new(APP_ROOT)));
    if let Err(e) = entered {
        return step("entering the image's folder")(e);
    }
    if let Some(own) = own {
        own.mount();
    }
    // An image may name a folder that it does not have.
    let _ = fs::create_dir_all(&app.cwd);
    become_program(&app, move || apply(&confinement, OWN_GROUP))
}

/// What the app is.
struct Found {
    service: Service,
    /// No Tandem runs the machine: the disk says it.
    is_alone: bool,
}

fn service() -> io::Result<Found> {
    let (text, is_alone) = match fs::read(service_file()) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => (fs::read(SERVICE_FILE)?, true),
        result => (result?, false),
    };
    Ok(Found { service: serde_json::from_slice(&text)?, is_alone })
}

/// Tells how the app ended, as systemd puts it (systemd.exec(5),
/// `$EXIT_STATUS`).
pub(crate) fn tell_end() -> ExitCode {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let code = code_of(&variable("EXIT_CODE"), &variable("EXIT_STATUS"));
    match pipes().tell(&Notice::Ended(code)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("tandem-guest: the agent cannot be told: {e}");
            ExitCode::FAILURE
        }
    }
}

fn code_of(kind: &str, status: &str) -> i32 {
    if kind == "exited" {
        return status.parse().unwrap_or(255);
    }
    Signal::from_str(&format!("SIG{status}")).map_or(255, |signal| 128 + signal as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_code_as_shells_have_it() {
        assert_eq!(code_of("exited", "3"), 3);
        assert_eq!(code_of("killed", "KILL"), 137);
        assert_eq!(code_of("dumped", "SEGV"), 139);
        assert_eq!(code_of("", ""), 255);
    }
}
