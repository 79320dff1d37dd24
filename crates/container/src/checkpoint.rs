//! Whether CRIU can checkpoint and restore a process here. That its program is
//! there says nothing: releases lag behind kernels.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tandem_home::Home;
use tandem_model::Capability;

/// The longest that each step of the probe may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A finding and what it depends on.
#[derive(Debug, Serialize, Deserialize)]
struct Cached {
    boot: String,
    program: PathBuf,
    finding: Result<(), String>,
}

/// Why no process can be checkpointed here; `Ok` when one was, and came back.
/// Tried with a real process once in a boot of the machine.
pub fn checkpoint_works(home: &Home) -> Result<(), String> {
    let program = program().ok_or("the program `criu` is not installed")?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let note = home.cache().join("criu.json");
    if let Ok(Some(cached)) = tandem_home::read_json::<Cached>(&note)
        && (cached.boot.as_str(), &cached.program) == (boot.as_str(), &program)
    {
        return cached.finding;
    }
    let finding = attempt(home, &program);
    // Without the note the next command tries again.
    let _ = tandem_home::write_json_volatile(
        &note,
        &Cached { boot, program, finding: finding.clone() },
    );
    finding
}

/// The finding for `tandem doctor`.
pub fn checkpoint_capability(home: &Home) -> Capability {
    const ID: &str = "container_checkpoint";
    match checkpoint_works(home) {
        Ok(()) => Capability::limited(
            ID,
            "CRIU checkpoints and restores a process here; Tandem's snapshots keep the disk only so far",
            None,
        ),
        Err(reason) => Capability::missing(
            ID,
            format!("snapshots keep the disk only: {reason}"),
            program().is_none().then_some("apt-get install criu"),
        ),
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|dir| dir.join("criu"))
        .find(|program| program.is_file())
}

fn attempt(home: &Home, criu: &Path) -> Result<(), String> {
    let scratch = home.scratch("criu").map_err(|e| e.to_string())?;
    let failed = |e: io::Error| e.to_string();
    let mut process = Ended(
        Command::new("setsid")
            .args(["sleep", "60"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?,
    );
    let pid = process.0.id().to_string();
    step(criu, scratch.path(), &["dump", "--tree", &pid])?;
    let _ = process.0.wait();
    let restored = step(criu, scratch.path(), &["restore", "--restore-detached"]);
    if let Some(pid) = pid.parse().ok().and_then(rustix::process::Pid::from_raw)
        && restored.is_ok()
    {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    restored
}

/// A child that ends with the value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn step(criu: &Path, dir: &Path, words: &[&str]) -> Result<(), String> {
    let log = dir.join("log");
    let child = Command::new(criu)
        .args(words)
        .arg("--images-dir")
        .arg(dir)
        .args(["-o", "log"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = Ended(child.map_err(|e| e.to_string())?);
    let begin = Instant::now();
    let what = words.first().copied().unwrap_or_default();
    loop {
        match child.0.try_wait().map_err(|e| e.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(_) => break,
            None if begin.elapsed() > LIMIT => {
                return Err(format!("`criu {what}` did not end within {} s", LIMIT.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    let text = fs::read_to_string(&log).unwrap_or_default();
    let reason = text.lines().find_map(|line| Some(line.split_once("Error (")?.1));
    let reason =
        reason.and_then(|line| Some(line.split_once("): ")?.1)).unwrap_or("it says no reason");
    Err(format!("`criu {what}` of a trivial process fails ({reason})"))
}
