use std::io;

use oci_spec::runtime::Capability;

/// The capabilities that a container keeps, Docker's default set
/// (capabilities(7); moby `oci/caps/defaults.go`).
pub(crate) const KEPT: [Capability; 14] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fsetid,
    Capability::Fowner,
    Capability::Mknod,
    Capability::NetRaw,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setfcap,
    Capability::Setpcap,
    Capability::NetBindService,
    Capability::SysChroot,
    Capability::Kill,
    Capability::AuditWrite,
];

/// Numbers of the kept capabilities in `<linux/capability.h>`, as a bit mask.
pub(crate) const KEPT_MASK: u64 = {
    let numbers = [0, 1, 4, 3, 27, 13, 6, 7, 31, 8, 10, 18, 5, 29];
    let mut mask = 0u64;
    let mut at = 0;
    while at < numbers.len() {
        mask |= 1 << numbers[at];
        at += 1;
    }
    mask
};

/// Takes every capability outside `mask` from the bounding set, so that no
/// later `execve` can bring it back. Needs `CAP_SETPCAP`.
pub(crate) fn bound(mask: u64) -> io::Result<()> {
    for number in 0..64 {
        if mask & (1 << number) != 0 {
            continue;
        }
        // SAFETY: PR_CAPBSET_DROP takes a number and touches no memory.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
        if result != 0 {
            match io::Error::last_os_error() {
                // The kernel knows no capability with this number or above.
                e if e.raw_os_error() == Some(libc::EINVAL) => break,
                e => return Err(e),
            }
        }
    }
    Ok(())
}

/// Sets effective and permitted to the capabilities of `mask` and empties the
/// inheritable set. Done as root, before the user changes: a user other than
/// root loses them with `setuid`, as in Docker.
pub(crate) fn keep(mask: u64) -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let half = |shift: u32| {
        let bits = u32::try_from(mask >> shift & 0xffff_ffff).unwrap_or(0);
        Data { effective: bits, permitted: bits, inheritable: 0 }
    };
    let data = [half(0), half(32)];
    // SAFETY: version 3 reads one header and two data structures (capget(2)).
    match unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_is_the_list() {
        assert_eq!(KEPT_MASK.count_ones() as usize, KEPT.len());
        // CapBnd of a default Docker container in /proc/1/status.
        assert_eq!(KEPT_MASK, 0xa804_25fb);
    }
}
