//! Becoming a program as an image wants it.

use std::{
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::Path,
    process::{Child, Command, Stdio},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    unistd::{Gid, Uid, setgroups, setresgid, setresuid},
};
use tandem_guest::wire::{Execute, Failure, TOOL};

use super::{program, step, task::Streams, terminal, user};

/// Starts a program and returns its process id with our ends of its streams.
/// `before` runs in the new process, before it gives privileges up; it must
/// make system calls only and allocate nothing.
pub(super) fn spawn(
    wanted: &Execute,
    before: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> Result<(i32, Streams), Failure> {
    if wanted.args.first().is_some_and(|name| name.starts_with(TOOL)) {
        return tool(wanted);
    }
    let (mut command, user) = command(wanted)?;
    let master = connect(&mut command, wanted, &user).map_err(step("opening a terminal"))?;
    let has_terminal = master.is_some();
    give_up_before_execution(&mut command, &user, has_terminal, before);
    let mut child = command.spawn().map_err(|e| program::refusal(&e))?;
    let pid = i32::try_from(child.id()).unwrap_or_default();
    // The command still holds the program's side of its terminal.
    drop(command);
    let streams = streams(&mut child, master, wanted).map_err(step("opening its streams"))?;
    Ok((pid, streams))
}

/// The program as a command, and whose it is.
fn command(wanted: &Execute) -> Result<(Command, user::User), Failure> {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let user = user::find(&wanted.user, &text("/etc/passwd"), &text("/etc/group"))?;
    if !Path::new(&wanted.cwd).is_dir() {
        return Err(Failure::NoDirectory { path: wanted.cwd.clone() });
    }
    let env = program::environment(&wanted.env, &user.home);
    let search = env.iter().find(|(name, _)| name == "PATH");
    let search = search.map_or(program::DEFAULT_PATH, |(_, value)| value);
    let name = wanted.args.first().map_or("", String::as_str);
    let file = program::find(name, &wanted.cwd, search)?;
    let mut command = Command::new(file);
    command.arg0(name).args(wanted.args.iter().skip(1)).env_clear().envs(env);
    command.current_dir(&wanted.cwd);
    Ok((command, user))
}

/// Becomes the program, with the streams of this process; comes back only when
/// that fails. The streams go to its user, who may open them by name.
pub(crate) fn become_program(
    wanted: &Execute,
    before: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> Failure {
    let (mut command, user) = match command(wanted) {
        Ok(found) => found,
        Err(failure) => return failure,
    };
    for stream in [io::stdin().as_fd(), io::stdout().as_fd(), io::stderr().as_fd()] {
        // A stream that is somebody else's stays so.
        let _ = nix::unistd::fchown(stream, Some(Uid::from_raw(user.uid)), None);
    }
    give_up_before_execution(&mut command, &user, wanted.terminal.is_some(), before);
    program::refusal(&command.exec())
}

/// Lets the command's process run `before` and give its privileges up.
fn give_up_before_execution(
    command: &mut Command,
    user: &user::User,
    has_terminal: bool,
    before: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) {
    let (uid, gid) = (user.uid, user.gid);
    let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    // SAFETY: the closure makes system calls only and allocates nothing: the
    // list was made before.
    unsafe {
        command.pre_exec(move || {
            before()?;
            become_user(&groups, uid, gid, has_terminal)
        });
    }
}

/// Starts one of the agent's own tools: this program under another name, as
/// root and without what confines the app.
fn tool(wanted: &Execute) -> Result<(i32, Streams), Failure> {
    let mut command = Command::new(format!("/proc/{}/exe", std::process::id()));
    command.arg0(&wanted.args[0]).env_clear().current_dir("/");
    command.stdin(if wanted.stdin { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: the closure makes system calls only and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            nix::sys::signal::SigSet::empty().thread_set_mask()?;
            nix::unistd::setsid()?;
            Ok(())
        });
    }
    let mut child = command.spawn().map_err(|e| program::refusal(&e))?;
    let pid = i32::try_from(child.id()).unwrap_or_default();
    let streams = streams(&mut child, None, wanted).map_err(step("opening its streams"))?;
    Ok((pid, streams))
}

/// Gives the program its streams; our side of a terminal when it gets one.
fn connect(
    command: &mut Command,
    wanted: &Execute,
    user: &user::User,
) -> io::Result<Option<fs::File>> {
    if wanted.detach {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        return Ok(None);
    }
    let Some(size) = wanted.terminal else {
        command.stdin(if wanted.stdin { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        return Ok(None);
    };
    let (master, slave) = terminal::open(user.uid, size)?;
    command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
    Ok(Some(master))
}

fn streams(child: &mut Child, master: Option<fs::File>, wanted: &Execute) -> io::Result<Streams> {
    if let Some(master) = master {
        let input = wanted.stdin.then(|| master.try_clone()).transpose()?;
        return Ok(Streams {
            input,
            outputs: [Some(master.try_clone()?), None],
            terminal: Some(master),
        });
    }
    Ok(Streams {
        input: child.stdin.take().map(|fd| non_blocking(fd.into())).transpose()?,
        outputs: [
            child.stdout.take().map(|fd| non_blocking(fd.into())).transpose()?,
            child.stderr.take().map(|fd| non_blocking(fd.into())).transpose()?,
        ],
        terminal: None,
    })
}

pub(super) fn non_blocking(fd: OwnedFd) -> io::Result<fs::File> {
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(fd.into())
}

/// Lets whoever uses the stream wait.
pub(super) fn blocking(fd: &impl AsFd) -> io::Result<()> {
    fcntl(fd, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(())
}

/// Runs in the new process.
fn become_user(groups: &[Gid], uid: u32, gid: u32, has_terminal: bool) -> io::Result<()> {
    for number in 1..=64 {
        // SAFETY: only the disposition changes; others are refused.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    nix::sys::signal::SigSet::empty().thread_set_mask()?;
    match nix::unistd::setsid() {
        // It leads a session already.
        Ok(_) | Err(Errno::EPERM) => {}
        Err(e) => return Err(e.into()),
    }
    // SAFETY: takes numbers; the first stream is a terminal then.
    if has_terminal && unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    setgroups(groups)?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setresgid(gid, gid, gid)?;
    Ok(setresuid(uid, uid, uid)?)
}
