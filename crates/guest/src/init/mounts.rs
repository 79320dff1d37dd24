//! The root file system and what every program expects in it.

use std::{
    fmt::Write as _,
    fs, io,
    os::unix::fs::{DirBuilderExt as _, symlink},
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
};
use tandem_guest::wire::{MemoryMount, Mount, SharedMount};

use super::volumes;

/// Where the root file system is mounted before it becomes `/`.
const NEW_ROOT: &str = "/root";

/// How long the disk may take to appear after its driver was loaded.
const DISK_LIMIT: Duration = Duration::from_secs(10);

fn make_dir(path: impl AsRef<Path>) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o755).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

fn mount_new(kind: &str, target: &str, flags: MsFlags, options: Option<&str>) -> io::Result<()> {
    make_dir(target)?;
    Ok(mount(Some(kind), target, Some(kind), flags, options)?)
}

/// Mounts the kernel's device nodes at `/dev`.
pub(crate) fn devices() -> io::Result<()> {
    match mount_new("devtmpfs", "/dev", MsFlags::MS_NOSUID, Some("mode=0755")) {
        // The kernel did so itself.
        Err(e) if e.raw_os_error() == Some(libc::EBUSY) => Ok(()),
        result => result,
    }
}

/// Mounts the disk.
pub(crate) fn root(disk: &str) -> io::Result<&'static Path> {
    make_dir(NEW_ROOT)?;
    let deadline = Instant::now() + DISK_LIMIT;
    loop {
        match mount(Some(disk), NEW_ROOT, Some("ext4"), MsFlags::MS_NOATIME, None::<&str>) {
            Ok(()) => return Ok(Path::new(NEW_ROOT)),
            Err(Errno::ENOENT | Errno::ENXIO) if Instant::now() < deadline => {
                sleep(Duration::from_millis(1));
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// Makes `root` the root of everything (the last step of switch_root(8)), with
/// the kernel's file systems mounted in it as a container has them.
pub(crate) fn enter(root: &Path) -> io::Result<()> {
    for dir in ["dev", "proc", "sys"] {
        make_dir(root.join(dir))?;
    }
    mount(Some("/dev"), &root.join("dev"), None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
    std::env::set_current_dir(root)?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
    nix::unistd::chroot(".")?;
    std::env::set_current_dir("/")?;
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount_new("proc", "/proc", safe, None)?;
    mount_new("sysfs", "/sys", safe, None)?;
    let terminals = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    mount_new("devpts", "/dev/pts", terminals, Some("newinstance,ptmxmode=0666,mode=0620,gid=5"))?;
    mount_new("tmpfs", "/dev/shm", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some("mode=1777"))?;
    let _ = mount_new("mqueue", "/dev/mqueue", safe, None);
    let links = [
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
    ];
    for (target, link) in links {
        let _ = symlink(target, link);
    }
    Ok(())
}

/// Mounts memory and volumes over the image's files, outer places before those
/// within them.
pub(crate) fn over(mounts: &[Mount]) -> io::Result<()> {
    let mut ordered: Vec<&Mount> = mounts.iter().collect();
    ordered.sort_by_key(|mount| mount.target().matches('/').count());
    for wanted in ordered {
        let done = match wanted {
            Mount::Memory(wanted) => memory(wanted),
            Mount::Volume(wanted) => volumes::attach(wanted),
            Mount::Shared(wanted) => shared(wanted),
        };
        done.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", wanted.target())))?;
    }
    Ok(())
}

/// Mounts a folder of the host (Linux, `Documentation/filesystems/9p.rst`).
fn shared(wanted: &SharedMount) -> io::Result<()> {
    fs::create_dir_all(&wanted.target)?;
    let mut flags = MsFlags::MS_NODEV;
    flags.set(MsFlags::MS_RDONLY, wanted.read_only);
    // What changes on one side is seen on the other at once.
    let options = Some("trans=virtio,version=9p2000.L,msize=262144,cache=mmap");
    let deadline = Instant::now() + DISK_LIMIT;
    loop {
        match mount(Some(wanted.tag.as_str()), wanted.target.as_str(), Some("9p"), flags, options) {
            Ok(()) => return Ok(()),
            // Its driver is on its way.
            Err(Errno::ENOENT | Errno::EINVAL) if Instant::now() < deadline => {
                sleep(Duration::from_millis(20));
            }
            Err(e) => return Err(e.into()),
        }
    }
}

fn memory(wanted: &MemoryMount) -> io::Result<()> {
    fs::create_dir_all(&wanted.target)?;
    let mut options = format!("mode={:o}", wanted.mode.unwrap_or(0o1777));
    if let Some(size) = wanted.size_bytes {
        let _ = write!(options, ",size={size}");
    }
    for (key, id) in [("uid", wanted.uid), ("gid", wanted.gid)] {
        if let Some(id) = id {
            let _ = write!(options, ",{key}={id}");
        }
    }
    let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    flags.set(MsFlags::MS_NOEXEC, !wanted.exec);
    flags.set(MsFlags::MS_RDONLY, wanted.read_only);
    let target = wanted.target.as_str();
    Ok(mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options.as_str()))?)
}

/// Makes `root`, a folder of a system that runs, a root with the kernel's file
/// systems in it as a container has them. Once is enough.
pub(crate) fn furnish(root: &Path) -> io::Result<()> {
    if root.join("proc/self").exists() {
        return Ok(());
    }
    let none = None::<&str>;
    // A mount of its own, so that it can be made read-only by itself.
    mount(Some(root), root, none, MsFlags::MS_BIND, none)?;
    for dir in ["dev", "proc", "sys"] {
        make_dir(root.join(dir))?;
    }
    mount(Some("/dev"), &root.join("dev"), none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("sysfs"), &root.join("sys"), Some("sysfs"), safe, none)?;
    Ok(mount(Some("proc"), &root.join("proc"), Some("proc"), safe, none)?)
}

/// Makes a furnished folder the root of this process alone.
pub(crate) fn step_into(root: &Path) -> io::Result<()> {
    nix::unistd::chroot(root)?;
    std::env::set_current_dir("/")
}

/// Lets nobody change the image's files any more; `MS_BIND` among the flags
/// says it of this mount only, and not of the whole file system.
pub(crate) fn read_only(bind: MsFlags) -> io::Result<()> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NOATIME | bind;
    Ok(mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)?)
}
