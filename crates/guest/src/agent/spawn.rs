//! Becoming a program as an image wants it.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use nix::{
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
    let master = connect(&mut command, wanted, &user).map_err(step("opening a terminal"))?;
    let has_terminal = master.is_some();
    // SAFETY: the closure makes system calls only and allocates nothing: the
    // lists were made before.
    unsafe {
        let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        command.pre_exec(move || {
            before()?;
            become_user(&groups, user.uid, user.gid, has_terminal)
        });
    }
    let mut child = command.spawn().map_err(|e| program::refusal(&e))?;
    let pid = i32::try_from(child.id()).unwrap_or_default();
    // The command still holds the program's side of its terminal.
    drop(command);
    let streams = streams(&mut child, master, wanted).map_err(step("opening its streams"))?;
    Ok((pid, streams))
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
    let (master, slave) = terminal::open(user, size)?;
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

/// Runs in the new process.
fn become_user(groups: &[Gid], uid: u32, gid: u32, has_terminal: bool) -> io::Result<()> {
    for number in 1..=64 {
        // SAFETY: only the disposition changes; others are refused.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    nix::sys::signal::SigSet::empty().thread_set_mask()?;
    nix::unistd::setsid()?;
    // SAFETY: takes numbers; the first stream is a terminal then.
    if has_terminal && unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    setgroups(groups)?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setresgid(gid, gid, gid)?;
    Ok(setresuid(uid, uid, uid)?)
}
