use std::{fs::OpenOptions, io::Write as _};

use nix::{
    sys::wait::waitpid,
    unistd::{ForkResult, Pid, fork},
};
use tandem_probe::CgroupLayout;

/// Shortens the wait of the next move between control groups.
///
/// The first move after a while makes the kernel wait for a grace period of
/// its read-copy-update machinery, about ten milliseconds
/// (`cgroup_threadgroup_rwsem` in kernel/cgroup/cgroup.c); others that follow
/// soon do not wait again. A child that moves to the group it is in already
/// takes that wait upon itself while the file system and the network are made.
#[derive(Debug)]
pub(crate) struct WarmUp(Option<Pid>);

impl WarmUp {
    /// Begins. The calling process must have a single thread. When it cannot
    /// be done nothing is lost but time.
    pub(crate) fn begin() -> Self {
        let layout = CgroupLayout::read();
        let own = ["pids", "memory", ""].into_iter().find_map(|name| layout.own_folder(name));
        let Some(own) = own else { return Self(None) };
        let file = OpenOptions::new().write(true).open(own.join("cgroup.procs"));
        let Ok(mut file) = file else { return Self(None) };
        // SAFETY: there is a single thread, and the child only writes and ends.
        match unsafe { fork() } {
            Ok(ForkResult::Parent { child }) => Self(Some(child)),
            Ok(ForkResult::Child) => {
                let _ = file.write_all(b"0");
                // SAFETY: ends the child without running anything of ours.
                unsafe { libc::_exit(0) }
            }
            Err(_) => Self(None),
        }
    }
}

impl Drop for WarmUp {
    fn drop(&mut self) {
        if let Some(child) = self.0 {
            let _ = waitpid(child, None);
        }
    }
}
