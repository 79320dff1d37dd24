//! The process that makes a base disk: it mounts the layers in a mount
//! namespace of its own and copies them with `mke2fs -d`.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use tandem_guest::wire::{APP_ROOT, SERVICE_FILE, Service};
use tandem_rootless::Standing;

use super::{
    ext4::{self, Beginning},
    loader,
};

/// First argument of the hidden entry point that makes a base disk; what to
/// make comes as JSON on standard input.
pub const DISK: &str = "__disk";

/// What to make.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// Unpacked layers in overlayfs form, bottom first.
    pub(super) layers: Vec<PathBuf>,
    /// The operating system around them, if the disk is to boot by itself.
    pub(super) system: Option<SystemOrder>,
    /// An empty folder on the disk's file system.
    pub(super) scratch: PathBuf,
    /// The file to make.
    pub(super) disk: PathBuf,
    /// Identifies the file system, and seeds its hashes.
    pub(super) uuid: String,
    /// Process that waits for it.
    pub(super) parent: u32,
}

/// An operating system that a disk boots by itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SystemOrder {
    /// Its unpacked layers, bottom first.
    pub(super) layers: Vec<PathBuf>,
    /// What the image's app is, for the system to run.
    pub(super) service: Service,
    /// The signal that stops it, as systemd writes it, e.g. `SIGTERM`.
    pub(super) stop_signal: String,
}

/// The room that instances have beyond the image's files, in bytes. It is
/// sparse and costs nothing until it is used.
pub(super) const ROOM: u64 = 8 << 30;

/// File nodes beyond the image's.
pub(super) const SPARE_NODES: u64 = 128 * 1024;

/// The hidden entry point `tandem __disk`. An error goes to standard error,
/// with exit code 28 when the disk is full and 1 otherwise.
pub fn disk_main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            let full = e.kind() == io::ErrorKind::StorageFull;
            ExitCode::from(if full { FULL } else { 1 })
        }
    }
}

/// The largest text of mount options that mount(2) takes, one page.
const LONGEST_OPTIONS: usize = 4095;

/// Exit code for a full disk, `ENOSPC`.
pub(super) const FULL: u8 = 28;

fn run() -> io::Result<()> {
    let mut order = String::new();
    io::stdin().read_to_string(&mut order)?;
    let order: Order = serde_json::from_str(&order)?;
    die_with_parent(order.parent)?;
    private_mounts().map_err(|e| named("make a mount namespace", &e))?;
    let merged = order.scratch.join("merged");
    let empty = order.scratch.join("empty");
    fs::create_dir_all(&merged)?;
    fs::create_dir_all(&empty)?;
    let root = match &order.system {
        None => merged.clone(),
        Some(system) => {
            let own = order.scratch.join("own");
            write_service(&own, system).map_err(|e| named("write what the app is", &e))?;
            let layers: Vec<PathBuf> = system.layers.iter().cloned().chain([own]).collect();
            mount_layers(&layers, &empty, &merged)
                .map_err(|e| named("mount the system's layers", &e))?;
            merged.join(APP_ROOT.trim_start_matches('/'))
        }
    };
    mount_layers(&order.layers, &empty, &root)
        .map_err(|e| named("mount the image's layers", &e))?;
    let content = measure(&merged)?;
    let free = rustix::fs::statvfs(&order.scratch)?;
    let free = free.f_bavail.saturating_mul(free.f_frsize);
    if content.needed() > free {
        return Err(io::Error::new(
            io::ErrorKind::StorageFull,
            format!("the disk takes {} MB, and {} MB are free", content.needed() >> 20, free >> 20),
        ));
    }
    make_file_system(&order, &merged, &content)
}

fn named(action: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {action}: {error}"))
}

/// Ends this process, and with it its mounts, when the maker's thread ends.
fn die_with_parent(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may have ended before.
    let now = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get());
    match now {
        Some(now) if u32::try_from(now) == Ok(parent) => Ok(()),
        _ => Err(io::Error::other("whoever asked for the disk is gone")),
    }
}

/// Files that say what the app is, on top of the system's.
fn write_service(own: &Path, system: &SystemOrder) -> io::Result<()> {
    let at = |path: &str| own.join(path.trim_start_matches('/'));
    let unit = at("/etc/systemd/system/tandem-app.service.d/image.conf");
    let service = at(SERVICE_FILE);
    for path in [&unit, &service] {
        fs::create_dir_all(path.parent().unwrap_or(own))?;
    }
    fs::write(&service, serde_json::to_vec_pretty(&system.service)?)?;
    fs::write(&unit, format!("[Service]\nKillSignal={}\n", system.stop_signal))
}

/// A mount namespace of our own; an ordinary user gets it inside a user
/// namespace.
fn private_mounts() -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
        unshare(CloneFlags::CLONE_NEWUSER)?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {} 1\n", uid.as_raw()))?;
        fs::write("/proc/self/gid_map", format!("0 {} 1\n", gid.as_raw()))?;
    }
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none: Option<&str> = None;
    Ok(mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none)?)
}

/// Mounts the layers on one another, read-only
/// (Linux, `Documentation/filesystems/overlayfs.rst`, "Multiple lower layers").
fn mount_layers(layers: &[PathBuf], empty: &Path, target: &Path) -> io::Result<()> {
    let open = |path: &Path| {
        rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    };
    // Through descriptors no character in a path can be taken for an option.
    // An overlay without an upper layer wants two lower ones at least.
    let stack = layers.iter().rev().map(PathBuf::as_path).chain(std::iter::once(empty));
    let stack: Vec<OwnedFd> = stack.map(open).collect::<Result<_, _>>()?;
    let mut options = String::from("lowerdir=");
    for (at, layer) in stack.iter().enumerate() {
        let colon = if at == 0 { "" } else { ":" };
        let _ = write!(options, "{colon}/proc/self/fd/{}", layer.as_raw_fd());
    }
    // Layers unpacked by an ordinary user carry `user.overlay.*` attributes.
    if !Standing::of_process().is_machine_root() {
        options.push_str(",userxattr");
    }
    if options.len() > LONGEST_OPTIONS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} layers are more than overlayfs takes", layers.len()),
        ));
    }
    let flags = MsFlags::MS_RDONLY;
    Ok(mount(Some("overlay"), target, Some("overlay"), flags, Some(options.as_str()))?)
}

/// What a disk must hold.
#[derive(Debug, Default)]
struct Content {
    bytes: u64,
    nodes: u64,
}

impl Content {
    /// Bytes that the disk takes, file system included.
    fn needed(&self) -> u64 {
        self.bytes + self.bytes / 50 + self.nodes * 256 + (32 << 20)
    }
}

/// Adds up a tree. Hard links count once for each name: rather too much.
fn measure(root: &Path) -> io::Result<Content> {
    let mut content = Content::default();
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            content.nodes += 1;
            content.bytes += metadata.len().min(metadata.blocks() * 512).next_multiple_of(4096);
            if metadata.is_dir() {
                content.bytes += 4096;
                pending.push(entry.path());
            }
        }
    }
    Ok(content)
}

/// Copies the tree into a new ext4 file system in a sparse file.
fn make_file_system(order: &Order, tree: &Path, content: &Content) -> io::Result<()> {
    let size = (content.needed() + ROOM).next_multiple_of(1 << 20);
    let nodes = content.nodes + SPARE_NODES;
    let (root, uuid) = (tree, order.uuid.as_str());
    if order.system.is_some() {
        let beginning = Beginning::Partition { root, uuid, at: loader::PARTITION };
        ext4::make(&order.disk, size, nodes, &beginning)?;
        return loader::write(&order.disk, &tree.join("boot/grub"), size);
    }
    ext4::make(&order.disk, size, nodes, &Beginning::Tree { root, uuid })?;
    // No container has this folder either. Without it the disk is as good.
    let _ = Command::new("debugfs")
        .env("PATH", ext4::PATH)
        .args(["-w", "-R", "rmdir lost+found"])
        .arg(&order.disk)
        .stdin(Stdio::null())
        .output();
    Ok(())
}
