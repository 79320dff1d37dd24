//! The app's process.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::wait::{WaitPidFlag, WaitStatus, waitpid},
    unistd::{Gid, Pid, Uid, setgroups, setresgid, setresuid},
};
use tandem_guest::wire::{Boot, Failure, FromGuest};

use super::{debug, program, step, user};

/// The app while it runs.
pub(super) struct App {
    pid: Pid,
    /// Standard output and error, until they are taken.
    outputs: [Option<OwnedFd>; 2],
    /// Processes killed for want of memory before it started.
    killed_before: u64,
}

impl App {
    /// Executes the app.
    pub(super) fn start(boot: &Boot) -> Result<Self, Failure> {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let user = user::find(&boot.user, &text("/etc/passwd"), &text("/etc/group"))?;
        fs::create_dir_all(&boot.cwd).map_err(step("making the working directory"))?;
        let env = program::environment(&boot.env, &user.home, &boot.hostname);
        let search = env.iter().find(|(name, _)| name == "PATH");
        let search = search.map_or(program::DEFAULT_PATH, |(_, value)| value);
        let name = boot.args.first().map_or("", String::as_str);
        let file = program::find(name, &boot.cwd, search)?;
        let mut command = Command::new(file);
        command
            .arg0(name)
            .args(boot.args.iter().skip(1))
            .env_clear()
            .envs(env)
            .current_dir(&boot.cwd)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: the closure makes system calls only and allocates nothing:
        // the lists were made before.
        unsafe {
            let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
            command.pre_exec(move || become_user(&groups, user.uid, user.gid));
        }
        let killed_before = out_of_memory_kills();
        let child = command.spawn().map_err(|e| program::refusal(&e))?;
        Self::of(child, killed_before).map_err(step("starting the app"))
    }

    fn of(child: Child, killed_before: u64) -> io::Result<Self> {
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        Ok(Self {
            pid: Pid::from_raw(pid),
            outputs: [child.stdout.map(Into::into), child.stderr.map(Into::into)],
            killed_before,
        })
    }

    /// Standard output and standard error.
    pub(super) fn take_outputs(&mut self) -> [Option<OwnedFd>; 2] {
        self.outputs.each_mut().map(Option::take)
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, number: i32) {
        // SAFETY: a system call without memory.
        unsafe { libc::kill(self.pid.as_raw(), number) };
    }

    /// Collects every process that has ended. Returns the app's end.
    pub(super) fn reap(&self) -> Option<FromGuest> {
        let mut exit = None;
        loop {
            let (pid, code) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, code),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
                Err(nix::errno::Errno::EINTR) => continue,
                Ok(WaitStatus::StillAlive) | Err(_) => return exit,
                Ok(_) => continue,
            };
            if pid == self.pid {
                let out_of_memory = code == 137 && out_of_memory_kills() > self.killed_before;
                exit = Some(FromGuest::Exited { code, out_of_memory });
            }
        }
    }
}

/// Runs in the new process.
fn become_user(groups: &[Gid], uid: u32, gid: u32) -> io::Result<()> {
    debug::close();
    for number in 1..=64 {
        // SAFETY: only the disposition changes; others are refused.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    nix::sys::signal::SigSet::empty().thread_set_mask()?;
    nix::unistd::setsid()?;
    setgroups(groups)?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setresgid(gid, gid, gid)?;
    Ok(setresuid(uid, uid, uid)?)
}

/// How many processes this kernel has killed for want of memory.
fn out_of_memory_kills() -> u64 {
    let text = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}
