//! The first process of a `micro` virtual machine.
//!
//! ```text
//! kernel ─▶ modules ─▶ root ─▶ network ─▶ app ──▶ agent ─▶ end
//!           i          r       n          x       requests  power off
//! ```
//!
//! The letters are the marks on the debug port. There is no udev, no DHCP, no
//! file system check and no thread: what the app does not need is not done.
//!
//! With the word `container-init` it is the first process of a container with
//! `--init` instead, and with `agent` it is the agent alone, for a machine that
//! has a first process of its own.

mod agent;
mod container;
mod init;
mod tool;

use std::process::ExitCode;

use tandem_guest::wire;

fn main() -> ExitCode {
    let name = std::env::args().next().unwrap_or_default();
    if let Some(tool) = name.strip_prefix(wire::TOOL) {
        return tool::run(tool);
    }
    if std::env::args_os().nth(1).is_some_and(|word| word == "agent") {
        return agent::serve();
    }
    if std::process::id() != 1 {
        eprintln!(
            "tandem-guest is the first process of a virtual machine or container, or with the word `agent` its agent"
        );
        return ExitCode::from(2);
    }
    if std::env::args_os().nth(1).is_some_and(|word| word == container::JOB) {
        return container::run();
    }
    init::run()
}
