//! Docker's default system call filter, as data and as a BPF program.
//!
//! Making the program takes libseccomp some milliseconds, installing it a
//! fraction of one; so it is made once and kept in the home's cache.

mod profile;

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    path::PathBuf,
};

use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
    error::SeccompError,
};
use serde::{Deserialize, Serialize};
use tandem_home::{Home, make_private_dir, write_atomic};

/// System calls that are always allowed, from the published default profile
/// (moby `profiles/seccomp/default.json`) for a kernel of 4.8 or later and the
/// default capabilities, which add `chroot`.
const ALLOWED: &str = include_str!("allowed.txt");

/// Address families that `socket(2)` may use: all below 46 but those that let
/// a container reach outside its network namespace or into fragile code.
const SOCKET_FAMILIES: [u64; 25] = [
    13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44,
    45,
];

/// Families below this one are allowed without exception.
const SOCKET_FAMILIES_BELOW: u64 = 12;

/// Values that `personality(2)` may set; the last only asks.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Flags of `clone(2)` that make namespaces; none may be set. The flags of
/// `clone3(2)` lie in memory where no filter sees them, so it is answered with
/// `ENOSYS` and libraries fall back to `clone`.
const NAMESPACE_FLAGS: u64 = 0x7e02_0000;

/// A BPF program for `seccomp(2)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
#[expect(
    clippy::unsafe_derive_deserialize,
    reason = "it comes in through `from_bytes`, which checks"
)]
pub(crate) struct Filter {
    /// `struct sock_filter` after `struct sock_filter`, eight bytes each.
    program: Vec<u8>,
}

const INSTRUCTION: usize = size_of::<libc::sock_filter>();

impl TryFrom<Vec<u8>> for Filter {
    type Error = &'static str;

    fn try_from(program: Vec<u8>) -> Result<Self, Self::Error> {
        Self::from_bytes(program).ok_or("it is not a BPF program")
    }
}

impl From<Filter> for Vec<u8> {
    fn from(filter: Filter) -> Self {
        filter.program
    }
}

impl Filter {
    /// Docker's default filter, made now.
    pub(crate) fn default_profile() -> io::Result<Self> {
        Self::compile(&context(&[]).map_err(io::Error::other)?)
    }

    /// The filter of a profile in Docker's JSON format, for an app with these
    /// capabilities. The error says what is wrong with the profile.
    pub(crate) fn from_profile(json: &str, capabilities: u64) -> Result<Self, String> {
        Self::compile(&profile::context(json, capabilities)?).map_err(|e| e.to_string())
    }

    fn compile(context: &ScmpFilterContext) -> io::Result<Self> {
        let memory = rustix::fs::memfd_create("seccomp", rustix::fs::MemfdFlags::CLOEXEC)?;
        let mut file = File::from(memory);
        context.export_bpf(&file).map_err(io::Error::other)?;
        file.rewind()?;
        let mut program = Vec::new();
        file.read_to_end(&mut program)?;
        Self::from_bytes(program).ok_or_else(|| io::Error::other("libseccomp made no program"))
    }

    /// Docker's default filter for an app with these capabilities.
    pub(crate) fn cached_for(home: &Home, capabilities: u64) -> io::Result<Self> {
        let opened = profile::opened(capabilities);
        if opened.is_empty() {
            return Self::cached(home);
        }
        Self::compile(&context(&opened).map_err(io::Error::other)?)
    }

    /// Docker's default filter, from the cache of this home when it is there.
    pub(crate) fn cached(home: &Home) -> io::Result<Self> {
        let path = cache_path(home);
        if let Some(filter) = fs::read(&path).ok().and_then(Self::from_bytes) {
            return Ok(filter);
        }
        let filter = Self::default_profile()?;
        // A cache that cannot be written costs time only.
        if let Some(dir) = path.parent() {
            let _ = make_private_dir(dir).and_then(|()| write_atomic(&path, &filter.program));
        }
        Ok(filter)
    }

    fn from_bytes(program: Vec<u8>) -> Option<Self> {
        let whole = program.len().is_multiple_of(INSTRUCTION) && !program.is_empty();
        let fits = u16::try_from(program.len() / INSTRUCTION).is_ok();
        (whole && fits).then_some(Self { program })
    }

    /// Puts the calling thread under the filter, for good. Needs
    /// `CAP_SYS_ADMIN` or no-new-privileges. Allocates nothing.
    pub(crate) fn install(&self) -> io::Result<()> {
        let count = u16::try_from(self.program.len() / INSTRUCTION).unwrap_or(u16::MAX);
        // The kernel only reads, bytewise; alignment does not matter to it.
        let instructions: *const libc::c_void = self.program.as_ptr().cast();
        let program = libc::sock_fprog { len: count, filter: instructions.cast_mut().cast() };
        // SAFETY: the structure points at `count` instructions that live
        // through the call (seccomp(2)).
        let result = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// The rules of the profile, with what more capabilities open.
fn context(opened: &[&str]) -> Result<ScmpFilterContext, SeccompError> {
    let mut context = ScmpFilterContext::new(ScmpAction::Errno(libc::EPERM))?;
    if cfg!(target_arch = "x86_64") {
        context.add_arch(ScmpArch::X86)?;
        context.add_arch(ScmpArch::X32)?;
    }
    // A binary tree: fewer instructions for each system call.
    let _ = context.set_ctl_optimize(2);
    let mut names: Vec<&str> = ALLOWED.split_ascii_whitespace().collect();
    if cfg!(target_arch = "x86_64") {
        names.extend(["arch_prctl", "modify_ldt"]);
    } else if cfg!(target_arch = "aarch64") {
        names.extend(["arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2"]);
        names.extend(["breakpoint", "cacheflush", "set_tls"]);
    }
    let has = |call: &str| opened.contains(&call);
    names.extend(opened);
    names.sort_unstable();
    names.dedup();
    for name in names {
        // A name that this libseccomp does not know stays forbidden.
        if let Ok(call) = ScmpSyscall::from_name(name) {
            context.add_rule(ScmpAction::Allow, call)?;
        }
    }
    let mut allow = |name: &str, op: ScmpCompareOp, value: u64| -> Result<(), SeccompError> {
        let call = ScmpSyscall::from_name(name)?;
        let argument = ScmpArgCompare::new(0, op, value);
        context.add_rule_conditional(ScmpAction::Allow, call, &[argument])?;
        Ok(())
    };
    allow("socket", ScmpCompareOp::Less, SOCKET_FAMILIES_BELOW)?;
    for family in SOCKET_FAMILIES {
        allow("socket", ScmpCompareOp::Equal, family)?;
    }
    for personality in PERSONALITIES {
        allow("personality", ScmpCompareOp::Equal, personality)?;
    }
    if has("clone") {
        return Ok(context);
    }
    allow("clone", ScmpCompareOp::MaskedEqual(NAMESPACE_FLAGS), 0)?;
    if let Ok(clone3) = ScmpSyscall::from_name("clone3") {
        context.add_rule(ScmpAction::Errno(libc::ENOSYS), clone3)?;
    }
    Ok(context)
}

/// The name says what the program depends on.
fn cache_path(home: &Home) -> PathBuf {
    let library = libseccomp::ScmpVersion::current()
        .map_or_else(|_| "0".to_owned(), |v| format!("{}.{}.{}", v.major, v.minor, v.micro));
    let arch = std::env::consts::ARCH;
    home.cache().join(format!("seccomp/{}-{arch}-{library}.bpf", env!("CARGO_PKG_VERSION")))
}

/// Whether the default filter, installed in a thread of its own, really stops
/// a system call that it must stop and lets another through.
pub(crate) fn forbids() -> io::Result<bool> {
    let filter = Filter::default_profile()?;
    let thread = std::thread::spawn(move || {
        // SAFETY: the flag is this thread's own and touches no memory.
        if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
        filter.install()?;
        // SAFETY: with these arguments the call fails whether filtered or not.
        let result = unsafe { libc::syscall(libc::SYS_add_key, 0, 0, 0, 0, 0) };
        let errno = io::Error::last_os_error().raw_os_error();
        Ok(result == -1 && errno == Some(libc::EPERM))
    });
    thread.join().map_err(|_| io::Error::other("the probing thread panicked"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_clean() {
        let names: Vec<_> = ALLOWED.split_ascii_whitespace().collect();
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
        for forbidden in [
            "mount",
            "unshare",
            "setns",
            "bpf",
            "add_key",
            "keyctl",
            "clone3",
            "io_uring_setup",
            "reboot",
        ] {
            assert!(!unique.contains(&forbidden), "{forbidden}");
        }
        let known = names.iter().filter(|name| ScmpSyscall::from_name(name).is_ok()).count();
        assert!(known > 320, "libseccomp knows only {known} of {}", names.len());
    }

    #[test]
    fn a_forbidden_call_is_refused_and_others_work() {
        assert!(forbids().unwrap());
    }

    #[test]
    fn arguments_decide_where_they_matter() {
        let filter = Filter::default_profile().unwrap();
        // A thread of its own: what is installed stays.
        let answers = std::thread::spawn(move || {
            // SAFETY: the flag is this thread's own and touches no memory.
            assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
            filter.install().unwrap();
            let call = |number: libc::c_long, first: libc::c_long| {
                // SAFETY: every one of these calls takes numbers, and fails or
                // makes a socket; none of them starts a process.
                match unsafe { libc::syscall(number, first, 0, 0, 0, 0) } {
                    -1 => io::Error::last_os_error().raw_os_error().unwrap_or_default(),
                    _ => 0,
                }
            };
            let socket = |family: i32| call(libc::SYS_socket, family.into());
            // Unfiltered these flags exclude each other (EINVAL).
            let namespace = libc::CLONE_NEWUSER | libc::CLONE_FS;
            [
                socket(libc::AF_VSOCK),
                socket(libc::AF_ALG),
                call(libc::SYS_clone, namespace.into()),
                call(libc::SYS_personality, 0x040_0000),
                call(libc::SYS_clone3, 0),
                call(libc::SYS_personality, 0xffff_ffff),
            ]
        });
        let refused = libc::EPERM;
        let answers = answers.join().unwrap();
        assert_eq!(answers, [refused, refused, refused, refused, libc::ENOSYS, 0]);
    }

    #[test]
    fn the_cache_returns_the_same_program() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(dir.path())).unwrap();
        let made = Filter::cached(&home).unwrap();
        let read = Filter::cached(&home).unwrap();
        assert!(cache_path(&home).is_file());
        assert_eq!(made, read);
        fs::write(cache_path(&home), "damaged").unwrap();
        assert_eq!(Filter::cached(&home).unwrap(), made, "a damaged cache is made again");
    }
}
