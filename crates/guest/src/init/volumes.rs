//! Volumes: disks that outlive the machine.
//!
//! What is mounted is the folder `data` of the disk, so that neither
//! `lost+found` nor a copy that was cut short is ever seen in its place.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, lchown, symlink},
    },
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    fcntl::AT_FDCWD,
    mount::{MsFlags, mount},
    sys::{
        stat::{Mode, SFlag, UtimensatFlags, mknod, utimensat},
        time::TimeSpec,
    },
};
use tandem_guest::wire::VolumeMount;

/// How long a disk may take to appear.
const LIMIT: Duration = Duration::from_secs(10);

/// Mounts one volume at its place.
pub(super) fn attach(wanted: &VolumeMount) -> io::Result<()> {
    let target = Path::new(&wanted.target);
    fs::create_dir_all(target)?;
    // Open before the disk hides it.
    let image = File::open(target)?;
    let none = None::<&str>;
    let flags = MsFlags::MS_NODEV | MsFlags::MS_NOATIME;
    mount(Some(&device(&wanted.serial)?), target, Some("ext4"), flags, none)?;
    let data = target.join("data");
    let is_empty = match fs::read_dir(&data) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => true,
        Err(e) => return Err(e),
    };
    if is_empty && !wanted.no_copy {
        let image = PathBuf::from(format!("/proc/self/fd/{}/.", image.as_raw_fd()));
        fill(&image, target, &data)?;
    } else if !data.exists() {
        fs::create_dir(&data)?;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o755))?;
    }
    mount(Some(&data), target, none, MsFlags::MS_BIND, none)?;
    if wanted.read_only {
        let flags = flags | MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        mount(none, target, none, flags, none)?;
    }
    Ok(())
}

/// The disk with this serial number. Names come in the order in which a kernel
/// finds devices; a number is the disk's own.
fn device(serial: &str) -> io::Result<PathBuf> {
    let deadline = Instant::now() + LIMIT;
    loop {
        for entry in fs::read_dir("/sys/block")?.flatten() {
            let number = fs::read_to_string(entry.path().join("serial")).unwrap_or_default();
            let device = Path::new("/dev").join(entry.file_name());
            if number.trim() == serial && device.exists() {
                return Ok(device);
            }
        }
        if Instant::now() > deadline {
            let reason = format!("the disk {serial} does not appear");
            return Err(io::Error::new(io::ErrorKind::NotFound, reason));
        }
        sleep(Duration::from_millis(1));
    }
}

/// Copies what the image has at a volume's place into `data`, whole or not at
/// all: the copy is on the disk before it takes its place.
fn fill(image: &Path, disk: &Path, data: &Path) -> io::Result<()> {
    let copy = disk.join("copy");
    match fs::remove_dir_all(&copy) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    fs::create_dir(&copy)?;
    copy_folder(image, &copy)?;
    nix::unistd::sync();
    fs::rename(&copy, data)
}

/// Copies everything in a folder, then what the folder itself is. No link is
/// followed, and no other file system entered.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    let folder = fs::metadata(from)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let found = fs::symlink_metadata(&source)?;
        let kind = found.file_type();
        if kind.is_dir() {
            fs::create_dir(&target)?;
            if found.dev() == folder.dev() {
                copy_folder(&source, &target)?;
            }
            continue;
        }
        if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target)?;
        } else if kind.is_socket() {
            // It means nothing without the process that listens on it.
            continue;
        } else {
            let kind = SFlag::from_bits_truncate(found.mode() & SFlag::S_IFMT.bits());
            mknod(&target, kind, Mode::empty(), found.rdev())?;
        }
        give(&target, &found)?;
    }
    give(to, &folder)
}

/// Owner, mode and times. The owner first: a change of owner takes setuid bits
/// away.
fn give(path: &Path, found: &fs::Metadata) -> io::Result<()> {
    lchown(path, Some(found.uid()), Some(found.gid()))?;
    if !found.file_type().is_symlink() {
        fs::set_permissions(path, fs::Permissions::from_mode(found.mode() & 0o7777))?;
    }
    let read = TimeSpec::new(found.atime(), found.atime_nsec());
    let changed = TimeSpec::new(found.mtime(), found.mtime_nsec());
    Ok(utimensat(AT_FDCWD, path, &read, &changed, UtimensatFlags::NoFollowSymlink)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_as_the_image_and_takes_its_place_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (image, disk) = (dir.path().join("image"), dir.path().join("disk"));
        fs::create_dir_all(image.join("deep")).unwrap();
        fs::create_dir_all(disk.join("copy/left-behind")).unwrap();
        fs::create_dir(disk.join("data")).unwrap();
        fs::write(image.join("deep/file"), "x").unwrap();
        symlink("/nowhere", image.join("link")).unwrap();
        nix::unistd::mkfifo(&image.join("pipe"), Mode::S_IRUSR).unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&image.join("deep/file"), 0o4750);
        mode(&image, 0o1777);
        let time = TimeSpec::new(1_000_000_000, 5);
        let file = image.join("deep/file");
        utimensat(AT_FDCWD, &file, &time, &time, UtimensatFlags::NoFollowSymlink).unwrap();

        let data = disk.join("data");
        fill(&image, &disk, &data).unwrap();
        let found = fs::metadata(data.join("deep/file")).unwrap();
        assert_eq!((found.mode() & 0o7777, found.mtime()), (0o4750, 1_000_000_000));
        assert_eq!(fs::metadata(&data).unwrap().mode() & 0o7777, 0o1777);
        assert_eq!(fs::read_link(data.join("link")).unwrap(), Path::new("/nowhere"));
        assert!(fs::symlink_metadata(data.join("pipe")).unwrap().file_type().is_fifo());
        assert!(!disk.join("copy").exists() && !data.join("left-behind").exists());
    }
}
