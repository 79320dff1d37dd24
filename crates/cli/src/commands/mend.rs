//! `tandem doctor --fix`: the commands that mend what was found.

use std::{
    io::{IsTerminal as _, stderr, stdin},
    os::fd::AsFd as _,
    process::Stdio,
};

use anyhow::{Context as _, bail};
use tandem_model::{Capability, CapabilityStatus};

use super::Context;
use crate::prompt::confirmed;

/// Other engines are their owners' to install and to start.
const OF_OTHERS: [&str; 2] = ["docker_engine", "podman_engine"];

/// Runs what mends the findings, after asking a person at a terminal. Each
/// command is said before it begins; one that fails does not stop the next.
pub(super) async fn mend(context: &Context, findings: &[Capability]) -> anyhow::Result<()> {
    let commands = commands(findings, nix::unistd::geteuid().is_root());
    if commands.is_empty() {
        context.say("nothing here is mended by a command");
        return Ok(());
    }
    for command in &commands {
        context.say(&format!("mends: {command}"));
    }
    if stdin().is_terminal() && !confirmed("Run these commands?", false).await? {
        bail!("nothing was changed: run what you agree with by hand");
    }
    let mut failed = Vec::new();
    for command in &commands {
        context.say(&format!("running: {command}"));
        // Standard output is for the findings.
        let output = stderr().as_fd().try_clone_to_owned()?;
        let status = tokio::process::Command::new("sh")
            .args(["-c", command])
            .stdout(Stdio::from(output))
            .status()
            .await
            .context("sh cannot be started")?;
        if !status.success() {
            failed.push(format!("`{command}` ended with {status}"));
        }
    }
    if !failed.is_empty() {
        bail!("{}: see what it said above", failed.join(", "));
    }
    Ok(())
}

/// What can be run, in the order of the findings and each once.
fn commands(findings: &[Capability], is_root: bool) -> Vec<String> {
    let mut commands = Vec::new();
    for finding in findings {
        if finding.status == CapabilityStatus::Ok || OF_OTHERS.contains(&finding.id.as_str()) {
            continue;
        }
        for command in finding.commands() {
            // What a person has to start anew or to choose is no mend of ours.
            if !command.contains("sudo ") || command.contains("sudo tandem") {
                continue;
            }
            let command = command.replace("apt-get install ", "apt-get install -y ");
            if !commands.contains(&command) {
                commands.push(command);
            }
        }
    }
    // A new machine has no lists of what there is to install.
    if commands.iter().any(|command| command.contains("apt-get install ")) {
        commands.retain(|command| command != UPDATE);
        commands.insert(0, UPDATE.to_owned());
    }
    if is_root {
        commands = commands.iter().map(|command| command.replace("sudo ", "")).collect();
    }
    commands
}

const UPDATE: &str = "sudo apt-get update";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_mends_this_machine_is_run() {
        let found = |id: &str, fix: &str| Capability::missing(id, "-", Some(fix));
        let findings = [
            Capability::ok("seccomp", "-"),
            found("qemu", "sudo apt-get install qemu-system-x86"),
            found("vm_guest", "sudo apt-get install qemu-system-x86"),
            found("docker_engine", "start it with `sudo systemctl start docker`"),
            found("container_engine", "use `sudo tandem`, outside of other containers"),
            found("vm_kvm", "`sudo modprobe kvm_intel || sudo modprobe kvm_amd`, once it is on"),
            found("disk_space", "export TANDEM_HOME=/elsewhere"),
        ];
        let expected = [
            "apt-get update",
            "apt-get install -y qemu-system-x86",
            "modprobe kvm_intel || modprobe kvm_amd",
        ];
        assert_eq!(commands(&findings, true), expected);
        assert_eq!(commands(&findings, false)[1], "sudo apt-get install -y qemu-system-x86");
        assert!(commands(&findings[3..5], true).is_empty());
    }
}
