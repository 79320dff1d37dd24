use std::{
    fs, io,
    os::{
        fd::{AsRawFd as _, RawFd},
        unix::fs::{PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::stat::{Mode, umask},
    unistd::{chdir, pivot_root, setsid},
};

use rustix::fs::OFlags;
use tandem_rootless::Standing;

use crate::confine::{
    Attributes, Filter, KEPT_MASK, Kind, MASKED, Program, READ_ONLY, Report, Root, Stage, Target,
    User, become_user, bound, die_with_parent, keep, reset_signals, restrict, restrict_at,
};

/// Where the host's certificates appear: on a file system of memory, so that
/// no layer can hold them.
pub(super) const CA_BUNDLE: &str = "/dev/tandem/ca-certificates.crt";

/// Everything that a step's process does before it is the command. It is the
/// first of its pid namespace.
pub(super) struct StepCommand<'a> {
    /// The merged file system.
    pub(super) merged: &'a Path,
    pub(super) cwd: &'a str,
    pub(super) user: &'a User,
    pub(super) program: &'a Program,
    pub(super) filter: &'a Filter,
    pub(super) ca_bundle: Option<&'a Path>,
    /// Host files bound over places in the image.
    pub(super) files: &'a [(&'a Path, &'a Path)],
    /// A pidfd of the helper.
    pub(super) helper: RawFd,
}

impl StepCommand<'_> {
    /// Becomes the command or gives up with a complaint.
    pub(super) fn run(&self, report: RawFd) -> ! {
        if let Err((stage, error)) = self.enter() {
            Report::give_up(report, stage, &error);
        }
        reset_signals();
        Report::give_up(report, Stage::Execute, &self.program.execute())
    }

    fn enter(&self) -> Result<(), (Stage, io::Error)> {
        let at = |stage: Stage| move |e: io::Error| (stage, e);
        die_with_parent(self.helper).map_err(at(Stage::Surroundings))?;
        let _ = setsid();
        self.surround().map_err(at(Stage::Surroundings))?;
        take_null().map_err(at(Stage::Surroundings))?;
        chdir(self.cwd).map_err(|e| (Stage::Directory, e.into()))?;
        umask(Mode::from_bits_truncate(0o022));
        bound(KEPT_MASK).map_err(at(Stage::User))?;
        // Before the capability that this needs is given up.
        self.filter.install().map_err(at(Stage::Seccomp))?;
        keep(KEPT_MASK).map_err(at(Stage::User))?;
        become_user(self.user).map_err(at(Stage::User))?;
        die_with_parent(self.helper).map_err(at(Stage::Surroundings))
    }

    /// Mounts what a command expects and makes the merged tree the root.
    fn surround(&self) -> io::Result<()> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none)?;
        let root = Root::open(self.merged)?;
        let hard = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
        let on = |path: &str| Target::open(&root, Path::new(path), Kind::Directory);
        on("/proc")?.mount("proc", Some("proc"), hard, None)?;
        match on("/sys")?.mount("sysfs", Some("sysfs"), hard | MsFlags::MS_RDONLY, None) {
            // Sysfs shows a network namespace, and only its owner may have it
            // mounted: in the machine's network an ordinary user sees the
            // machine's, in which such a user can change nothing.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                on("/sys")?.mount("/sys", None, MsFlags::MS_BIND | MsFlags::MS_REC, None)?;
            }
            other => other?,
        }
        let dev = "mode=755,size=65536k";
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_STRICTATIME;
        on("/dev")?.mount("tmpfs", Some("tmpfs"), flags, Some(dev))?;
        self.fill_dev(&root)?;
        for (source, place) in self.files {
            let target = Target::open(&root, place, Kind::File)?;
            target.mount(&source.to_string_lossy(), None, MsFlags::MS_BIND, None)?;
            // The machine's own, and not the step's to change, as in BuildKit
            // (executor/oci, `withROBind`).
            let locked = Attributes { read_only: true, no_devices: true };
            restrict_at(&root, place, locked)?;
        }
        chdir(self.merged)?;
        pivot_root(".", ".")?;
        umount2(".", MntFlags::MNT_DETACH)?;
        chdir("/")?;
        cover()
    }

    /// Devices, terminals and shared memory, on the fresh `/dev`. Nothing in
    /// it comes from the image.
    fn fill_dev(&self, root: &Root) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let folder = root.at(Path::new("/dev"), flags, rustix::fs::Mode::empty())?;
        let dev = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        umask(Mode::empty());
        // Bound from the host: no control group filters devices here, so
        // nodes on the file systems of the step must not work. Read-only, which
        // does not keep anybody from writing to a device: a step that is root
        // would otherwise change the mode and the owner of the host's node.
        let none: Option<&str> = None;
        let locked = Attributes { read_only: true, no_devices: false };
        for name in ["null", "zero", "full", "random", "urandom", "tty"] {
            fs::write(dev.join(name), "")?;
            let (host, place) = (Path::new("/dev").join(name), dev.join(name));
            mount(Some(&host), &place, none, MsFlags::MS_BIND, none)?;
            let bound = rustix::fs::open(&place, OFlags::PATH, rustix::fs::Mode::empty())?;
            restrict(&bound, locked)?;
        }
        let links = [
            ("/proc/self/fd", "fd"),
            ("/proc/self/fd/0", "stdin"),
            ("/proc/self/fd/1", "stdout"),
            ("/proc/self/fd/2", "stderr"),
            ("pts/ptmx", "ptmx"),
        ];
        for (target, name) in links {
            symlink(target, dev.join(name))?;
        }
        let hard = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
        // The group that terminals belong to is not there where only root is.
        let group = if Standing::of_process().is_single() { "" } else { ",gid=5" };
        let terminals = format!("newinstance,ptmxmode=0666,mode=0620{group}");
        let mounts = [
            ("pts", "devpts", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, terminals.as_str()),
            ("shm", "tmpfs", hard, "mode=1777,size=65536k"),
            ("mqueue", "mqueue", hard, ""),
        ];
        for (name, fs_type, flags, options) in mounts {
            fs::create_dir(dev.join(name))?;
            mount(Some(fs_type), &dev.join(name), Some(fs_type), flags, Some(options))?;
        }
        if let Some(bundle) = self.ca_bundle {
            let inside = dev.join(Path::new(CA_BUNDLE).strip_prefix("/dev").unwrap_or(bundle));
            if let Some(folder) = inside.parent() {
                fs::create_dir(folder)?;
            }
            // A copy: the host's file may be a link, and may not be readable
            // for the step's user.
            fs::copy(bundle, &inside)?;
            fs::set_permissions(&inside, fs::Permissions::from_mode(0o444))?;
        }
        Ok(())
    }
}

/// Takes the `/dev/null` inside for standard input; the one of before is the
/// host's and could be changed through `/dev/stdin`.
fn take_null() -> io::Result<()> {
    let null = fs::File::open("/dev/null")?;
    // SAFETY: both are open descriptors of this process.
    match unsafe { libc::dup2(null.as_raw_fd(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Covers and locks the paths that show or change something of the host.
fn cover() -> io::Result<()> {
    let none: Option<&str> = None;
    let exists = |path: &&str| fs::symlink_metadata(path).is_ok();
    for path in READ_ONLY.into_iter().filter(|path| exists(path)) {
        mount(Some(path), path, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
        let hard = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
        let again = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(none, path, none, again | hard, none)?;
    }
    for path in MASKED.into_iter().filter(|path| exists(path)) {
        if fs::metadata(path).is_ok_and(|found| found.is_dir()) {
            mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_RDONLY, Some("size=0k"))?;
        } else {
            mount(Some("/dev/null"), path, none, MsFlags::MS_BIND, none)?;
        }
    }
    Ok(())
}
