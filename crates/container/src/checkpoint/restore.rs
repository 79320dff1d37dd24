//! Bringing an app back from its images, as a child of this process.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
    path::{Path, PathBuf},
};

use nix::sched::{CloneFlags, unshare};
use tandem_backend::BackendError;

use super::{
    dump::NETWORK,
    images::{Checkpoint, GivenMount},
    program,
};

/// What stands ready for the processes that come back.
pub(crate) struct Grounds<'a> {
    /// The merged file system, with the volumes mounted.
    pub(crate) rootfs: &'a Path,
    /// A folder for the log.
    pub(crate) work: &'a Path,
    /// Folders of the control group that they are to be in.
    pub(crate) groups: &'a [PathBuf],
    /// The network namespace.
    pub(crate) network: Option<BorrowedFd<'a>>,
    /// Files in place of what was mounted there, by place.
    pub(crate) given: &'a Given,
}

/// Sources of mounts by their places inside; what is in none of them is
/// mounted on the merged file system already.
#[derive(Debug, Default)]
pub(crate) struct Given(pub(crate) Vec<(String, PathBuf)>);

impl Given {
    fn source(&self, mount: &GivenMount, rootfs: &Path) -> PathBuf {
        let own = self.0.iter().find(|(place, _)| *place == mount.place);
        own.map_or_else(|| below(rootfs, &mount.place), |(_, source)| source.clone())
    }
}

fn below(root: &Path, place: &str) -> PathBuf {
    root.join(place.trim_start_matches('/'))
}

fn failed(why: impl std::fmt::Display) -> BackendError {
    BackendError::Unavailable {
        what: "the saved memory".into(),
        why: format!("CRIU cannot bring the app back ({why})"),
        fix: "the files are those of the snapshot, and the next start begins without the memory"
            .into(),
    }
}

/// Brings the app back whose images lie in `images`, with these ends of pipes
/// as its standard streams. Returns the id of its first process, a child of
/// the calling thread, as its own wish to die with its parent needs it.
pub(crate) async fn restore(
    images: &Path,
    checkpoint: &Checkpoint,
    grounds: &Grounds<'_>,
    streams: &[OwnedFd; 3],
) -> Result<i32, BackendError> {
    let program = program::find().ok_or_else(|| failed("the program `criu` is not installed"))?;
    let pid_file = grounds.work.join("criu.pid");
    let mut inherited: Vec<(RawFd, String)> = Vec::new();
    for (stream, inode) in streams.iter().zip(checkpoint.streams) {
        inherited.extend(inode.map(|inode| (stream.as_raw_fd(), format!("pipe:[{inode}]"))));
    }
    if checkpoint.namespace {
        let network = grounds.network.ok_or_else(|| failed("it had a network of its own"))?;
        inherited.push((network.as_raw_fd(), NETWORK.to_owned()));
    }
    let source = |mount: &GivenMount| grounds.given.source(mount, grounds.rootfs);
    let mounts: Vec<_> =
        checkpoint.mounts.iter().map(|mount| (mount.key.as_str(), source(mount))).collect();
    let words = words(grounds.rootfs, &pid_file, &inherited, &mounts);
    let mut command = program::command(&program, &words, images, grounds.work);
    let mut groups = Vec::new();
    for folder in grounds.groups {
        let path = folder.join("cgroup.procs");
        let open = OpenOptions::new().write(true).open(&path);
        groups.push(open.map_err(|e| BackendError::io("open", path, e))?);
    }
    let numbers: Vec<RawFd> = inherited.iter().map(|(number, _)| *number).collect();
    let own_view = Path::new("/proc/self/ns/cgroup").exists();
    let prepare = move || enter(&mut groups, &numbers, own_view);
    // SAFETY: the closure makes system calls on descriptors that are open in
    // the child, and allocates nothing.
    unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, prepare) };
    let mut command = tokio::process::Command::from(command);
    let child = command.kill_on_drop(true).spawn().map_err(failed)?;
    program::ended(child, grounds.work).await.map_err(failed)?;
    let text = fs::read_to_string(&pid_file).map_err(failed)?;
    text.trim().parse().map_err(failed)
}

/// What the child does before it is CRIU: whatever that makes is in the app's
/// group and sees no other one, and ends with us.
fn enter(groups: &mut [File], kept: &[RawFd], own_view: bool) -> io::Result<()> {
    for group in groups {
        group.write_all(b"0")?;
    }
    if own_view {
        unshare(CloneFlags::CLONE_NEWCGROUP)?;
    }
    for number in kept {
        // SAFETY: a flag of an open descriptor is cleared.
        if unsafe { libc::fcntl(*number, libc::F_SETFD, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: the call has no memory to misuse.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// What `criu` is told to restore.
fn words(
    rootfs: &Path,
    pid_file: &Path,
    inherited: &[(RawFd, String)],
    mounts: &[(&str, PathBuf)],
) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["restore".into(), "--root".into(), rootfs.into()];
    words.extend(["--pidfile".into(), pid_file.into()]);
    words.extend(
        ["--restore-detached", "--restore-sibling", "--manage-cgroups=ignore", "--tcp-close"]
            .map(OsString::from),
    );
    words.push("--file-locks".into());
    for (number, key) in inherited {
        words.extend(["--inherit-fd".into(), format!("fd[{number}]:{key}").into()]);
    }
    for (key, source) in mounts {
        let mut text = OsString::from(format!("mnt[{key}]:"));
        text.push(source);
        words.extend(["--external".into(), text]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_gives_every_stream_and_mount() {
        let given = Given(vec![("/etc/hosts".into(), "/bundle/hosts".into())]);
        let mount =
            |place: &str| GivenMount { key: "k".into(), place: place.into(), cgroup: false };
        let root = Path::new("/root fs");
        assert_eq!(given.source(&mount("/etc/hosts"), root), Path::new("/bundle/hosts"));
        assert_eq!(given.source(&mount("/data"), root), Path::new("/root fs/data"));
        let inherited = [(7, "pipe:[42]".to_owned())];
        let words =
            words(root, Path::new("/w/criu.pid"), &inherited, &[("m0", "/root fs/data".into())]);
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        let pairs: Vec<_> = words.windows(2).collect();
        assert!(pairs.contains(&["--root", "/root fs"].as_slice()));
        assert!(pairs.contains(&["--inherit-fd", "fd[7]:pipe:[42]"].as_slice()));
        assert!(pairs.contains(&["--external", "mnt[m0]:/root fs/data"].as_slice()));
        assert!(words.contains(&"--restore-sibling"), "it must be our child");
    }
}
