//! Whether CRIU can take a process down and bring it back here. That its program
//! is there says nothing: releases lag behind kernels.

use std::{
    ffi::OsString,
    fs, io,
    net::{Ipv4Addr, TcpListener},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use serde::{Deserialize, Serialize};
use tandem_home::Home;
use tandem_model::Capability;
use tandem_rootless::Standing;

use super::program::{self, LOG};

/// The longest that each step of the probe may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A finding and what it depends on.
#[derive(Debug, Serialize, Deserialize)]
struct Cached {
    boot: String,
    program: PathBuf,
    /// When the program's file was changed.
    changed: Option<SystemTime>,
    finding: Result<(), String>,
}

/// Why no process can be checkpointed here; `Ok` when one was, and came back.
/// Tried with a real process once in a boot of the machine.
pub fn checkpoint_works(home: &Home) -> Result<(), String> {
    if !Standing::of_process().is_machine_root() {
        return Err("CRIU needs the machine's root, and this is an ordinary user".to_owned());
    }
    let program = program::find().ok_or("the program `criu` is not installed")?;
    let changed = fs::metadata(&program).and_then(|it| it.modified()).ok();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let note = home.cache().join("criu-2.json");
    if let Ok(Some(cached)) = tandem_home::read_json::<Cached>(&note)
        && (cached.boot.as_str(), &cached.program, cached.changed)
            == (boot.as_str(), &program, changed)
    {
        return cached.finding;
    }
    let finding = attempt(home, &program);
    // Without the note the next command tries again.
    let _ = tandem_home::write_json_volatile(
        &note,
        &Cached { boot, program, changed, finding: finding.clone() },
    );
    finding
}

/// The finding for `tandem doctor`.
pub fn checkpoint_capability(home: &Home) -> Capability {
    const ID: &str = "container_checkpoint";
    match checkpoint_works(home) {
        Ok(()) => Capability::ok(
            ID,
            "CRIU takes a process with a socket down and brings it back: snapshots of running containers can keep the memory",
        ),
        Err(reason) => {
            let fix = match program::find() {
                None => "sudo apt-get install criu",
                Some(_) => {
                    "install a CRIU that knows this kernel, e.g. the one of the next Debian release"
                }
            };
            let fix = Standing::of_process().is_machine_root().then_some(fix);
            Capability::missing(ID, format!("snapshots keep the disk only: {reason}"), fix)
        }
    }
}

fn attempt(home: &Home, criu: &Path) -> Result<(), String> {
    let scratch = home.scratch("criu").map_err(|e| e.to_string())?;
    let failed = |e: io::Error| e.to_string();
    // What listens is what most apps have, and what an old CRIU stumbles over.
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let mut process = Ended(
        Command::new("setsid")
            .args(["sleep", "60"])
            .stdin(OwnedFd::from(socket))
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
    let what = words.first().copied().unwrap_or_default();
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let child = program::command(criu, &words, dir, dir).spawn();
    let mut child = Ended(child.map_err(|e| e.to_string())?);
    let begin = Instant::now();
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
    let log = fs::read(dir.join(LOG)).unwrap_or_default();
    let reason = program::reason(&String::from_utf8_lossy(&log));
    let reason = reason.unwrap_or_else(|| "it says no reason".to_owned());
    Err(format!("`criu {what}` of a trivial process fails ({reason})"))
}
