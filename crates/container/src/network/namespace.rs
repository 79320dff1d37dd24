//! Network namespaces: made, entered for a moment, locked.

use std::{fs, fs::File, io, os::fd::OwnedFd};

use nix::sched::{CloneFlags, setns, unshare};
use rustix::fs::{FlockOperation, flock};

use super::netlink::Netlink;

/// The network namespace that the calling thread is in.
fn present() -> io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}

/// A number that tells the thread's network namespace from others.
pub(super) fn number() -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(present()?.metadata()?.ino())
}

/// Makes a namespace and a connection into it. The calling thread is in it
/// for a moment, so the process must have no other threads.
pub(super) fn make() -> io::Result<(OwnedFd, Netlink)> {
    let host = present()?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    let made = (|| {
        // No addresses of version 6 on eth0: nothing here routes them, and
        // their detection would only cost time. Loopback keeps its own.
        let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
        // As in Docker: any user may bind any port, and ping.
        let _ = fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
        let _ = fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
        Ok((present()?.into(), Netlink::open()?))
    })();
    setns(&host, CloneFlags::CLONE_NEWNET)?;
    made
}

/// Does something inside a namespace. The calling thread is in it for that
/// moment, so the process must have no other threads.
pub(super) fn inside<T>(
    namespace: &OwnedFd,
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let host = present()?;
    setns(namespace, CloneFlags::CLONE_NEWNET)?;
    let result = work();
    setns(&host, CloneFlags::CLONE_NEWNET)?;
    result
}

/// Keeps others from changing bridges until it is dropped. All processes of a
/// network namespace lock the same file, the namespace.
pub(super) fn lock() -> io::Result<File> {
    let namespace = present()?;
    flock(&namespace, FlockOperation::LockExclusive)?;
    Ok(namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_the_network() {
        let first = lock().unwrap();
        let other = present().unwrap();
        assert!(flock(&other, FlockOperation::NonBlockingLockExclusive).is_err());
        drop(first);
        // Waits, should another command hold it just now.
        assert!(flock(&other, FlockOperation::LockExclusive).is_ok());
    }
}
