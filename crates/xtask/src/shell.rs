//! Running other programs: shown before they start, their failure an error.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail};

/// The repository's root folder: two above this crate.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// A command to be run in the repository's root folder.
pub(crate) fn command(program: impl AsRef<OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(root());
    command
}

/// The cargo that started us.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), args);
    // `cargo run` sets these for us; passed on, they would make the inner
    // cargo believe in another package and rebuild what reads them.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Shows and runs a command; an exit code other than zero is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let text = show(command);
    let status = command.status().with_context(|| cannot_start(command))?;
    check(&text, status)
}

/// Runs a command, passes its output on line by line, and hands each line of
/// its standard output to `on_line` as well. The status is the caller's.
pub(crate) fn run_watched(
    command: &mut Command,
    mut on_line: impl FnMut(&str),
) -> Result<ExitStatus> {
    show(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| cannot_start(command))?;
    let stdout = child.stdout.take().context("no pipe to the command's output")?;
    let mut reader = BufReader::new(stdout);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        let line = String::from_utf8_lossy(&bytes);
        print!("{line}");
        on_line(line.trim_end());
        bytes.clear();
    }
    Ok(child.wait()?)
}

/// Runs a command silently and returns its standard output; `None` when it is
/// not installed. A failing exit code is not an error: dpkg-query reports
/// unknown names that way.
pub(crate) fn ask(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program is on PATH.
pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path)
            .chain(["/usr/sbin".into(), "/sbin".into()])
            .any(|dir| dir.join(program).is_file())
    })
}

/// When the newest file beneath these paths was changed; paths that are not
/// there count for nothing.
pub(crate) fn newest(paths: &[PathBuf]) -> Option<SystemTime> {
    paths.iter().filter_map(|path| newest_below(path)).max()
}

fn newest_below(path: &Path) -> Option<SystemTime> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    if !meta.is_dir() {
        return meta.modified().ok();
    }
    std::fs::read_dir(path).ok()?.flatten().filter_map(|entry| newest_below(&entry.path())).max()
}

/// `1 min 3 s` and the like.
pub(crate) fn human(time: Duration) -> String {
    match time.as_secs() {
        secs @ 0..60 => format!("{secs} s"),
        secs => format!("{} min {} s", secs / 60, secs % 60),
    }
}

/// Prints the command as a person would type it.
fn show(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    let mut text = words.join(" ");
    if let Some(name) = Path::new(command.get_program()).file_name() {
        text = text.replacen(&*words[0], &name.to_string_lossy(), 1);
    }
    eprintln!("+ {text}");
    text
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start {}: is it installed?", command.get_program().to_string_lossy())
}

fn check(text: &str, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{text}` ended with {status}");
    }
    Ok(())
}

/// Says how a program that a person started ended, when it went wrong.
pub(crate) fn report(command: &Command, status: ExitStatus) {
    if !status.success() {
        eprintln!("{} ended with {status}", command.get_program().to_string_lossy());
    }
}
