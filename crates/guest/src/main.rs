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
//! `--init` instead. In a `full` machine, which has systemd, it is the agent
//! (`agent`), the start of the app's service (`app`) and its end (`ended`).
//! Called `tandem-work` it does the work of the laboratory's experiments.

mod agent;
mod container;
mod init;
mod system;
mod tool;

use std::process::ExitCode;

use tandem_guest::wire;

fn main() -> ExitCode {
    let name = std::env::args().next().unwrap_or_default();
    if tandem_work::is_called(&name) {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        return tandem_work::run(&arguments);
    }
    if let Some(tool) = name.strip_prefix(wire::TOOL) {
        return tool::run(tool);
    }
    let word = std::env::args().nth(1).unwrap_or_default();
    match word.as_str() {
        "agent" => return system::serve(),
        "app" => return system::become_app(),
        "ended" => return system::tell_end(),
        _ if std::process::id() != 1 => {}
        container::JOB => return container::run(),
        _ => return init::run(),
    }
    eprintln!(
        "tandem-guest is a program of virtual machines and containers: it is started by their kernel, their engine or systemd"
    );
    ExitCode::from(2)
}
