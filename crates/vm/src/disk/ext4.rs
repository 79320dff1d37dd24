//! New ext4 file systems in sparse files.

use std::{
    fs::File,
    io,
    path::Path,
    process::{Command, Stdio},
};

use super::helper::{ROOM, SPARE_NODES};

/// Debian keeps file system tools where an ordinary user's PATH does not lead.
pub(super) const PATH: &str = "/usr/sbin:/sbin:/usr/bin:/bin";

/// Makes an empty disk for a volume at `disk`, where nothing may be.
pub(crate) fn make_empty(disk: &Path) -> io::Result<()> {
    make(disk, ROOM, SPARE_NODES, &Beginning::Empty)
}

/// What a file system begins with.
pub(super) enum Beginning<'a> {
    /// Nothing.
    Empty,
    /// The files of a tree, and this UUID, which seeds its hashes too: the same
    /// files give the same disk.
    Tree { root: &'a Path, uuid: &'a str },
    /// The same in a partition that begins so many bytes into the disk, with
    /// the name by which its own boot finds it.
    Partition { root: &'a Path, uuid: &'a str, at: u64 },
}

/// The name of a partition with an operating system (`system/grub.cfg`).
const LABEL: &str = "tandem";

/// Makes a file system of `size` bytes with so many file nodes in the new file
/// `disk`.
pub(super) fn make(
    disk: &Path,
    size: u64,
    nodes: u64,
    beginning: &Beginning<'_>,
) -> io::Result<()> {
    let at = if let Beginning::Partition { at, .. } = beginning { *at } else { 0 };
    File::create_new(disk)?.set_len(at + size)?;
    let mut extended = "lazy_itable_init=0,nodiscard".to_owned();
    let mut command = Command::new("mke2fs");
    command
        .env("PATH", PATH)
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0", "-J", "size=16"])
        // Checksums cost the guest time and protect against a damaged disk,
        // which this one is not: it lies in a file of the host.
        .args(["-O", "^metadata_csum,^resize_inode"])
        .args(["-N", &nodes.to_string()]);
    if let Beginning::Tree { root, uuid } | Beginning::Partition { root, uuid, .. } = beginning {
        extended = format!("{extended},hash_seed={uuid}");
        command.args(["-U", uuid]).arg("-d").arg(root);
    }
    if at > 0 {
        extended = format!("{extended},offset={at}");
        command.args(["-L", LABEL]);
    }
    command.args(["-E", &extended]).arg(disk).arg((size / 4096).to_string());
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|e| io::Error::new(e.kind(), format!("cannot run mke2fs: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    let kind = if text.contains("No space left") {
        io::ErrorKind::StorageFull
    } else {
        io::ErrorKind::Other
    };
    Err(io::Error::new(kind, format!("mke2fs: {line}")))
}
