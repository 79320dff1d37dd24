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
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    for place in disks(&mounts).chain(["/"]) {
        let _ = mount(None::<&str>, place, None::<&str>, flags, None::<&str>);
    }
}

/// Where volumes are mounted (proc_pid_mounts(5)). A place whose name is
/// written with escapes is left out: its journal brings it to rest.
fn disks(mounts: &str) -> impl Iterator<Item = &str> {
    mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (place, kind) = (words.next()?, words.next()?);
        (kind == "ext4" && place != "/").then_some(place)
    })
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
