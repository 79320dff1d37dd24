//! Network namespaces: made, entered for a moment, locked.

use std::{
    fs,
    fs::File,
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::sched::{CloneFlags, setns, unshare};
use rustix::fs::{FlockOperation, flock};
use tandem_rootless::Standing;

use super::{ground::in_thread, netlink::Netlink};

/// The network namespace that the calling thread is in.
fn present() -> io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}

/// A number that tells the thread's network namespace from others.
pub(super) fn number() -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(present()?.metadata()?.ino())
}

/// Makes a namespace with nothing but loopback. The calling thread stays where
/// it is.
pub(super) fn make_empty() -> io::Result<OwnedFd> {
    apart(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        loopback_up()?;
        Ok(present()?.into())
    })
}

/// Does something inside a namespace. The calling thread stays where it is.
pub(super) fn visit<T: Send>(
    namespace: &OwnedFd,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    apart(|| {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        work()
    })
}

/// Does something in a thread that ends with it, wherever it went.
fn apart<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    in_thread(work).unwrap_or_else(|| Err(io::Error::other("a thread panicked")))
}

/// Makes a namespace and a connection into it. The calling thread is in it
/// for a moment, so the process must have no other threads.
pub(super) fn make() -> io::Result<(OwnedFd, Netlink)> {
    there_and_back(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        // No addresses of version 6 on eth0: nothing here routes them, and
        // their detection would only cost time. Loopback keeps its own.
        let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        // As in Docker: any user may bind any port, and ping.
        let _ = fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
        let _ = fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
        Ok((present()?.into(), Netlink::open()?))
    })
}

/// Does something inside a namespace. The calling thread is in it for that
/// moment, so the process must have no other threads.
pub(super) fn inside<T: Send>(
    namespace: &OwnedFd,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    there_and_back(|| {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        work()
    })
}

/// Does something that changes the thread's namespace, and comes back. Who may
/// not come back lets a thread go that ends there.
fn there_and_back<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    if Standing::of_process().is_machine_root() {
        let host = present()?;
        let result = work();
        setns(&host, CloneFlags::CLONE_NEWNET)?;
        return result;
    }
    let runtime = tokio::runtime::Handle::current();
    let work = move || {
        let _inside = runtime.enter();
        work()
    };
    apart(work)
}

/// Brings the loopback link of the thread's namespace up (netdevice(7)).
pub(crate) fn loopback_up() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: an all-zero request is valid; the name is set below.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = libc::c_char::from_ne_bytes([*byte]);
    }
    let up = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = i16::try_from(up).unwrap_or(0x41);
    // SAFETY: the request names a link and holds its new flags.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Keeps others from changing bridges until it is dropped. All processes of a
/// network namespace lock the same file, the namespace.
pub(super) fn lock() -> io::Result<File> {
    let namespace = present()?;
    flock(&namespace, FlockOperation::LockExclusive)?;
    Ok(namespace)
}

/// The same; `None` when somebody is changing bridges.
pub(super) fn try_lock() -> io::Result<Option<File>> {
    let namespace = present()?;
    match flock(&namespace, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(namespace)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_the_network() {
        let first = lock().unwrap();
        assert!(try_lock().unwrap().is_none());
        drop(first);
        // Waits, should another command hold it just now.
        assert!(lock().is_ok());
    }
}
