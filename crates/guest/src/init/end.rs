//! The end of the machine.

use std::{thread::sleep, time::Duration};

use nix::{
    mount::{MsFlags, mount},
    sys::{
        reboot::{RebootMode, reboot},
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};

/// Ends every process but this one.
pub(super) fn kill_all() {
    let everybody = Pid::from_raw(-1);
    let _ = kill(everybody, Signal::SIGKILL);
}

/// Brings the files to rest on the disk.
pub(super) fn settle() {
    kill_all();
    while waitpid(None, Some(WaitPidFlag::empty())).is_ok() {}
    nix::unistd::sync();
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    let _ = mount(None::<&str>, "/", None::<&str>, flags, None::<&str>);
}

/// Switches the machine off. The host does so by itself once it has heard of
/// the end; this is for one that does not listen.
pub(super) fn power_off() -> ! {
    sleep(Duration::from_secs(2));
    loop {
        let _ = reboot(RebootMode::RB_POWER_OFF);
        sleep(Duration::from_secs(1));
    }
}
