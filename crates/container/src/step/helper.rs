use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::ExitCode,
};

use nix::{
    mount::{MntFlags, umount2},
    sched::{CloneFlags, unshare},
    sys::stat::{Mode, umask},
    unistd::{ForkResult, fork},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpid, pidfd_open, pidfd_send_signal,
        waitid,
    },
};
use tandem_backend::{BackendError, StepSpec};

use super::{
    Answer, Request,
    command::{CA_BUNDLE, StepCommand},
    mounts::mount_all,
    stubs::Stubs,
};
use crate::{
    bundle::environment,
    confine::{Filter, Kind, Program, Report, Root, Target, User, find_program, variable},
    network,
    rootfs::{Overlay, private_mounts},
    running::{exit_code, give_to},
};

/// The hidden entry point `tandem __step`. Its standard input is a socket: a
/// [`StepSpec`] comes in as a line of JSON and an answer goes out; outputs are
/// the command's own. The process must have a single thread.
pub fn step_main() -> ExitCode {
    // SAFETY: standard input is open, and nobody else uses it.
    let stdin = unsafe { BorrowedFd::borrow_raw(0) };
    let Ok(socket) = stdin.try_clone_to_owned().map(UnixStream::from) else {
        return ExitCode::from(125);
    };
    let mut line = String::new();
    let request = match BufReader::new(&socket).read_line(&mut line) {
        Ok(_) => serde_json::from_str::<Request<StepSpec>>(&line),
        Err(e) => Err(serde_json::Error::io(e)),
    };
    let result = match request {
        Ok(request) => run(&request.step, &request.filter, &socket),
        Err(e) => Err(failed(e)),
    };
    let answer = match result {
        Ok(code) => Answer::Ended(code),
        Err(e) => Answer::Failed(e.to_failure()),
    };
    let mut bytes = serde_json::to_vec(&answer).unwrap_or_default();
    bytes.push(b'\n');
    let sent = (&socket).write_all(&bytes);
    ExitCode::from(if sent.is_ok() { 0 } else { 125 })
}

fn failed(e: impl std::fmt::Display) -> BackendError {
    BackendError::engine("the build step", e)
}

/// Variables by which the usual tools find certificates.
const CA_VARIABLES: [&str; 8] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "AWS_CA_BUNDLE",
];

/// Runs the step to its end.
fn run(spec: &StepSpec, filter: &Filter, socket: &UnixStream) -> Result<i32, BackendError> {
    umask(Mode::from_bits_truncate(0o022));
    private_mounts().map_err(|e| BackendError::engine("making a mount namespace", e))?;
    // The work folder serves as the mount point too: once mounted, overlayfs
    // holds it by itself.
    let merged = spec.work.as_path();
    let overlay = Overlay {
        lower: &spec.lower,
        upper: &spec.upper,
        work: &spec.work,
        source: "tandem-step",
        no_devices: true,
        volatile: true,
    };
    overlay.mount(merged).map_err(|e| BackendError::io("mount the layers on", merged, e))?;
    let root = Root::open(merged).map_err(|e| BackendError::io("open", merged, e))?;
    let (user, told) = User::find(&root, &spec.user)?;
    if let Some(told) = told {
        eprintln!("warning: {told}");
    }
    for number in [1, 2] {
        // SAFETY: both are open descriptors that nobody closes meanwhile.
        let output = unsafe { BorrowedFd::borrow_raw(number) };
        // A terminal or a file of the builder's may stay what it is.
        let _ = give_to(output, &user);
    }
    let mut env = environment(&spec.env, &user, None);
    if spec.ca_bundle.is_some() {
        for name in CA_VARIABLES {
            if variable(&env, name).is_none() {
                env.push(format!("{name}={CA_BUNDLE}"));
            }
        }
    }
    root.make_dirs(spec.cwd.as_ref())
        .map_err(|e| BackendError::io("make the working directory", &spec.cwd, e))?;
    let files = &there(["/etc/resolv.conf", "/etc/hosts"].map(Path::new));
    let mut stubs = make_stubs(&root, merged, files).map_err(failed)?;
    mount_all(&spec.mounts, &root, merged, &mut stubs).map_err(failed)?;
    // The program may be among what is mounted.
    let name = spec.args.first().map_or("", String::as_str);
    let path = find_program(&root, name, &spec.cwd, &env)?;
    let program = Program::new(&path, &spec.args, &env)?;
    let helper = pidfd_open(getpid(), PidfdFlags::empty()).map_err(failed)?;
    let command = StepCommand {
        merged,
        cwd: &spec.cwd,
        user: &user,
        program: &program,
        filter,
        ca_bundle: spec.ca_bundle.as_deref(),
        files,
        helper: helper.as_raw_fd(),
    };
    drop(root);
    let child = start(&command, spec, name)?;
    let code = wait(&child, socket)?;
    let _ = umount2(merged, MntFlags::MNT_DETACH);
    stubs.remove(&spec.upper).map_err(failed)?;
    Ok(code)
}

/// Those of the machine's files that it has, each with its place in the image,
/// which is the same. Where it has one of them not, the image's own stays.
fn there<'p>(files: impl IntoIterator<Item = &'p Path>) -> Vec<(&'p Path, &'p Path)> {
    files.into_iter().filter(|file| file.is_file()).map(|file| (file, file)).collect()
}

/// Makes the places to mount on while the layer can still be watched. As with
/// Docker the folders of kernel file systems stay in it, and the files do not.
fn make_stubs(root: &Root, merged: &Path, files: &[(&Path, &Path)]) -> io::Result<Stubs> {
    let mut stubs = Stubs::default();
    for folder in ["/proc", "/sys", "/dev"] {
        root.make_dirs(Path::new(folder))?;
    }
    for (_, place) in files {
        stubs.make(merged, place, || {
            let target = Target::open(root, place, Kind::File)?;
            Ok(((), target.made))
        })?;
    }
    Ok(stubs)
}

/// Forks the command into namespaces of its own; returns its pidfd once it
/// was executed.
fn start(command: &StepCommand<'_>, spec: &StepSpec, name: &str) -> Result<OwnedFd, BackendError> {
    let null = File::open("/dev/null").map_err(failed)?;
    let report = Report::new().map_err(failed)?;
    let mut kinds = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    if !spec.host_network {
        kinds |= CloneFlags::CLONE_NEWNET;
    }
    unshare(kinds).map_err(|e| BackendError::engine("making namespaces", e))?;
    if !spec.host_network {
        network::loopback_up().map_err(failed)?;
    }
    // SAFETY: this process has a single thread, so the child may do whatever
    // the parent could.
    let pid = match unsafe { fork() }.map_err(failed)? {
        ForkResult::Parent { child } => child.as_raw(),
        ForkResult::Child => command.run(report.writer()),
    };
    let pid = Pid::from_raw(pid).ok_or_else(|| failed("it has no process id"))?;
    let child = pidfd_open(pid, PidfdFlags::empty()).map_err(failed)?;
    let executed = report.wait().map_err(failed)?;
    executed.map_err(|complaint| complaint.into_error(name, &spec.cwd))?;
    // Only the command holds the outputs from now on, so that whoever reads
    // them sees their end when it ends.
    for number in [1, 2] {
        // SAFETY: both are open descriptors; nothing here prints.
        unsafe { libc::dup2(null.as_raw_fd(), number) };
    }
    Ok(child)
}

/// Waits for the command, and ends it when nobody waits for its answer.
fn wait(child: &OwnedFd, socket: &UnixStream) -> Result<i32, BackendError> {
    loop {
        let mut watched =
            [PollFd::new(child, PollFlags::IN), PollFd::new(socket, PollFlags::RDHUP)];
        match poll(&mut watched, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.map_err(failed)?,
        };
        if !watched[0].revents().is_empty() {
            let status = waitid(WaitId::PidFd(child.as_fd()), WaitIdOptions::EXITED);
            return Ok(exit_code(status));
        }
        let _ = pidfd_send_signal(child, Signal::KILL);
        let _ = waitid(WaitId::PidFd(child.as_fd()), WaitIdOptions::EXITED);
        return Err(BackendError::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_file_that_the_machine_lacks_is_not_mounted() {
        let dir = tempfile::tempdir().unwrap();
        let [hosts, resolv, lost] =
            ["hosts", "resolv.conf", "lost"].map(|name| dir.path().join(name));
        std::fs::write(&hosts, "").unwrap();
        // As a machine without its resolver has it.
        std::os::unix::fs::symlink("run/stub.conf", &resolv).unwrap();
        let found = there([&resolv, &lost, &hosts].map(PathBuf::as_path));
        assert_eq!(found, [(hosts.as_path(), hosts.as_path())]);
    }
}
