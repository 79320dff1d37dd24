//! What a program may do, from before it is executed.

use std::{ffi::CStr, fs, io, path::Path};

use nix::mount::{MsFlags, mount};
use tandem_guest::wire::{Confinement, Failure};

use super::step;

/// Where the control groups are, as in a container.
const GROUPS: &str = "/sys/fs/cgroup";

/// The group of the app and of what is executed beside it.
const GROUP: &str = "/sys/fs/cgroup/app";

/// The file of a control group that takes processes.
pub(crate) type Group = &'static CStr;

/// That of the group which [`prepare`] makes.
pub(crate) const OWN_GROUP: Group = c"/sys/fs/cgroup/app/cgroup.procs";

/// The last capability that a mask has room for.
const CAPABILITIES: i32 = 64;

/// Makes the control group that a limit needs.
pub(crate) fn prepare(confinement: &Confinement) -> Result<(), Failure> {
    let Some(pids) = confinement.pids else { return Ok(()) };
    make_group(pids).map_err(step("limiting the number of processes"))
}

/// Mounts the control groups below the folder `root`.
pub(crate) fn mount_groups(root: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let target = root.join(GROUPS.trim_start_matches('/'));
    Ok(mount(Some("cgroup2"), &target, Some("cgroup2"), flags, None::<&str>)?)
}

fn make_group(pids: u64) -> io::Result<()> {
    mount_groups(Path::new("/"))?;
    fs::write(Path::new(GROUPS).join("cgroup.subtree_control"), "+pids")?;
    fs::create_dir(GROUP)?;
    fs::write(Path::new(GROUP).join("pids.max"), pids.to_string())
}

/// Confines this process, which is still root. Makes system calls only and
/// allocates nothing. `group` is where its processes are counted.
pub(crate) fn apply(confinement: &Confinement, group: Group) -> io::Result<()> {
    if confinement.pids.is_some() {
        enter(group)?;
    }
    for limit in &confinement.limits {
        let value = libc::rlimit { rlim_cur: limit.soft, rlim_max: limit.hard };
        // SAFETY: one valid structure is passed to be read.
        if unsafe { libc::setrlimit(limit.resource, &raw const value) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    if let Some(mask) = confinement.capabilities {
        drop_capabilities(mask)?;
    }
    if confinement.no_new_privileges {
        // SAFETY: takes numbers and touches no memory.
        if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn enter(group: Group) -> io::Result<()> {
    // SAFETY: the path is a valid string, the descriptor is closed here, and
    // one byte of a constant is read.
    let written = unsafe {
        let fd = libc::open(group.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        let written = if fd < 0 { -1 } else { libc::write(fd, c"0".as_ptr().cast(), 1) };
        libc::close(fd);
        written
    };
    if written == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes what is not in the mask from the bounding set: no execution brings it
/// back, and a user other than root has none anyway.
fn drop_capabilities(mask: u64) -> io::Result<()> {
    for number in (0..CAPABILITIES).filter(|number| mask & 1 << number == 0) {
        // SAFETY: takes a number and touches no memory.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) } != 0 {
            return match io::Error::last_os_error() {
                // The kernel knows no capability with this number or above.
                e if e.raw_os_error() == Some(libc::EINVAL) => Ok(()),
                e => Err(e),
            };
        }
    }
    Ok(())
}
