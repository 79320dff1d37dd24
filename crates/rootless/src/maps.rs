//! Making the namespace and giving it its ids.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use nix::{
    sched::{CloneFlags, unshare},
    sys::wait::waitpid,
    unistd::{ForkResult, fork},
};

use crate::ids::{Ranges, map, own};

/// Puts this process into a new user namespace in which it is root. Returns
/// why there is only a single id, when that is so. The process must have a
/// single thread.
pub(crate) fn make(ranges: &Ranges) -> io::Result<Option<String>> {
    let (uid, gid) = own();
    let writers = match (ranges.usable(), program("newuidmap"), program("newgidmap")) {
        (false, ..) => Err(format!("{} has no range in /etc/subuid and /etc/subgid", ranges.name)),
        (true, Some(users), Some(groups)) => Ok((users, groups)),
        _ => Err("newuidmap and newgidmap are not installed (Debian package uidmap)".to_owned()),
    };
    let refused = match writers {
        Ok((users, groups)) => {
            // The programs may write the maps from outside only.
            let users = arguments(users, &map(uid, &ranges.users));
            let groups = arguments(groups, &map(gid, &ranges.groups));
            match from_outside(&[users, groups])? {
                Ok(()) => return Ok(None),
                Err(refused) => refused,
            }
        }
        Err(reason) => {
            unshare(CloneFlags::CLONE_NEWUSER)?;
            reason
        }
    };
    // One id needs no privilege, as long as groups cannot be dropped by it.
    let map = |path: &str, id: u32| {
        let there = fs::read_to_string(path).is_ok_and(|map| !map.trim().is_empty());
        if there { Ok(()) } else { fs::write(path, format!("0 {id} 1\n")) }
    };
    map("/proc/self/uid_map", uid)?;
    fs::write("/proc/self/setgroups", "deny")?;
    map("/proc/self/gid_map", gid)?;
    Ok(Some(refused))
}

fn arguments(program: PathBuf, lines: &[[u32; 3]]) -> (PathBuf, Vec<String>) {
    (program, lines.iter().flatten().map(ToString::to_string).collect())
}

/// Makes the namespace while a child that stays outside waits, and lets the
/// child run the programs that write its maps. The inner result is theirs.
fn from_outside(programs: &[(PathBuf, Vec<String>)]) -> io::Result<Result<(), String>> {
    let (mut go, ready) = io::pipe()?;
    let (mut answer, tell) = io::pipe()?;
    let process = std::process::id().to_string();
    // SAFETY: there is a single thread, so the child may do anything.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop((ready, answer));
            let mut tell = tell;
            // Its end instead of a byte: there is no namespace, or no parent.
            if matches!(go.read(&mut [0]), Ok(1)) {
                for (program, arguments) in programs {
                    if let Err(reason) = run(program, &process, arguments) {
                        let _ = tell.write_all(reason.as_bytes());
                        break;
                    }
                }
            }
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { nix::libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop((go, tell));
            let made = unshare(CloneFlags::CLONE_NEWUSER);
            let mut ready = ready;
            let mut told = String::new();
            let asked = made.is_ok().then(|| ready.write_all(b"g"));
            drop(ready);
            let heard = answer.read_to_string(&mut told);
            let _ = waitpid(child, None);
            made?;
            asked.transpose()?;
            heard?;
            Ok(if told.is_empty() { Ok(()) } else { Err(told) })
        }
    }
}

fn run(program: &PathBuf, process: &str, arguments: &[String]) -> Result<(), String> {
    let name = program.display();
    let output = Command::new(program)
        .arg(process)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{name} cannot be started: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} refused: {}", text.lines().next().unwrap_or("no reason given").trim()))
}

/// A program of the system, also where `PATH` is odd.
fn program(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"]
        .into_iter()
        .map(|dir| PathBuf::from(dir).join(name))
        .find(|path| path.is_file())
}
