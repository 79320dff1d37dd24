//! Changing the system: as root directly, otherwise through sudo.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// A command that runs as root.
pub(crate) fn command(program: &str, args: &[&str]) -> Result<Command> {
    if is_root() {
        return Ok(shell::command(program, args));
    }
    if !shell::on_path("sudo") {
        bail!(
            "system packages are missing and need root, but there is no sudo: run `cargo xtask setup` as root once"
        );
    }
    let mut command = shell::command("sudo", &[program]);
    command.args(args);
    Ok(command)
}

/// Writes a file that only root may write, with mode 0644 or 0755.
pub(crate) fn write(path: &str, text: &str, executable: bool) -> Result<()> {
    let mode = if executable { "0755" } else { "0644" };
    let script = "cat > \"$1\" && chmod \"$2\" \"$1\"";
    let mut child = command("sh", &["-c", script, "sh", path, mode])?
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start a shell to write {path}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes()).with_context(|| format!("cannot write {path}"))?;
    }
    if !child.wait()?.success() {
        bail!("cannot write {path}");
    }
    Ok(())
}

/// Whether we are root ourselves.
pub(crate) fn is_root() -> bool {
    shell::ask(&mut shell::command("id", &["-u"])).is_some_and(|uid| uid.trim() == "0")
}
