use std::io;

use oci_spec::runtime::{Capabilities, Capability};
use tandem_model::{CAPABILITIES, SecurityOptions};

/// The capabilities that a container keeps, Docker's default set
/// (capabilities(7); moby `oci/caps/defaults.go`).
#[cfg(test)]
const KEPT: [Capability; 14] = [
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

/// The capabilities an app may have, as a bit mask: Docker's default set with
/// the person's changes. `ALL` comes before single names, as in Docker.
/// Without a filter for devices nobody makes device nodes unless asked to.
pub(crate) fn wanted(security: &SecurityOptions, devices_filtered: bool) -> u64 {
    let mask = |names: &[String]| {
        let number = |name: &String| CAPABILITIES.iter().position(|known| known == name);
        names.iter().filter_map(number).fold(0u64, |mask, number| mask | 1 << number)
    };
    let all = |names: &[String]| names.iter().any(|name| name == "ALL");
    let (added, dropped) = (mask(&security.cap_add), mask(&security.cap_drop));
    if all(&security.cap_add) {
        return own() & !dropped;
    }
    if all(&security.cap_drop) {
        return added;
    }
    let default = if devices_filtered { KEPT_MASK } else { KEPT_MASK & !bit(Capability::Mknod) };
    default & !dropped | added
}

/// The capabilities that this process has, and can therefore give.
pub(crate) fn own() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapPrm:"));
    mask.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or(0)
}

/// Names of the capabilities that were asked for one by one and that this
/// process cannot give.
pub(crate) fn out_of_reach(security: &SecurityOptions) -> Vec<&'static str> {
    beyond(own(), security)
}

fn beyond(own: u64, security: &SecurityOptions) -> Vec<&'static str> {
    let numbered = CAPABILITIES.iter().enumerate();
    numbered
        .filter(|(number, name)| {
            own & 1 << number == 0 && security.cap_add.iter().any(|added| added == *name)
        })
        .map(|(_, name)| *name)
        .collect()
}

/// The bit of a capability.
pub(crate) fn bit(capability: Capability) -> u64 {
    let name = format!("CAP_{capability}");
    CAPABILITIES.iter().position(|known| *known == name).map_or(0, |number| 1 << number)
}

/// The set of a mask.
pub(crate) fn set_of(mask: u64) -> Capabilities {
    let named = CAPABILITIES.iter().enumerate().filter(|(number, _)| mask & 1 << number != 0);
    named.filter_map(|(_, name)| name.strip_prefix("CAP_")?.parse().ok()).collect()
}

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
    fn masks_and_names_agree() {
        assert_eq!(set_of(KEPT_MASK), Capabilities::from(KEPT));
        assert_eq!(set_of((1 << 41) - 1).len(), 41, "every name is known");
        assert_eq!(bit(Capability::SysAdmin), 1 << 21);
        assert_eq!(bit(Capability::Bpf), 1 << 39);
    }

    #[test]
    fn wishes_change_the_default() {
        let wish = |add: &[&str], drop: &[&str]| {
            let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let (cap_add, cap_drop) = (texts(add), texts(drop));
            wanted(&SecurityOptions { cap_add, cap_drop, ..SecurityOptions::default() }, true)
        };
        assert_eq!(wish(&[], &[]), KEPT_MASK);
        assert_eq!(wish(&[], &["ALL"]), 0);
        assert_eq!(wish(&["CAP_CHOWN"], &["ALL"]), 1);
        assert_eq!(wish(&["CAP_SYS_ADMIN"], &["CAP_CHOWN"]), KEPT_MASK & !1 | 1 << 21);
        assert_eq!(wish(&["ALL"], &["CAP_CHOWN"]) & 1, 0);
        assert_eq!(wanted(&SecurityOptions::default(), false), KEPT_MASK & !(1 << 27));
    }

    #[test]
    fn nobody_gives_what_it_has_not() {
        let cap_add = ["ALL", "CAP_KILL", "CAP_CHOWN"].map(str::to_owned).to_vec();
        let security = SecurityOptions { cap_add, ..SecurityOptions::default() };
        assert_eq!(beyond(0, &security), ["CAP_CHOWN", "CAP_KILL"]);
        assert_eq!(beyond(1, &security), ["CAP_KILL"]);
        assert!(beyond(u64::MAX, &security).is_empty());
    }

    #[test]
    fn the_mask_is_the_list() {
        assert_eq!(KEPT_MASK.count_ones() as usize, KEPT.len());
        // CapBnd of a default Docker container in /proc/1/status.
        assert_eq!(KEPT_MASK, 0xa804_25fb);
    }
}
