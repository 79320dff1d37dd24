//! First use of a volume: it begins with the image's files at its place, with
//! their owners, modes, times and extended attributes.

use std::{
    ffi::CStr,
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
        chownat, fchmod, fgetxattr, flistxattr, fsetxattr, fstat, futimens, mkdirat, mknodat,
        openat, readlinkat, statat, symlinkat,
    },
    io::Errno,
};
use tandem_home::Home;

use crate::confine::Root;

/// Copies what the image has at `place` into the empty folder `data`. A volume
/// with something in it stays as it is. Whole or not at all: the copy takes
/// the folder's place in one step.
pub(super) fn fill(home: &Home, root: &Root, place: &Path, data: &Path) -> io::Result<()> {
    if fs::read_dir(data)?.next().is_some() {
        return Ok(());
    }
    let read = OFlags::RDONLY | OFlags::DIRECTORY;
    let image = match root.at(place, read, Mode::empty()) {
        Ok(image) => image,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(e) => return Err(e),
    };
    let scratch = home.scratch("fill").map_err(io::Error::other)?;
    let copy = scratch.path().join("copy");
    fs::create_dir(&copy)?;
    let to = rustix::fs::open(&copy, read | OFlags::CLOEXEC, Mode::empty())?;
    copy_folder(&image, &to)?;
    fs::rename(&copy, data)
}

/// Copies everything in a folder, then what the folder itself is. No link is
/// followed: the files may be anybody's.
fn copy_folder(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            copy_entry(from, to, name)?;
        }
    }
    give(to, &fstat(from)?)?;
    copy_attributes(from, to)?;
    keep_times(to, &fstat(from)?)
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> io::Result<()> {
    let plain = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let private = Mode::from_raw_mode(0o700);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(to, name, private)?;
            let folder = OFlags::RDONLY | OFlags::DIRECTORY | plain;
            let source = openat(from, name, folder, Mode::empty())?;
            copy_folder(&source, &openat(to, name, folder, Mode::empty())?)
        }
        FileType::RegularFile => {
            let source = openat(from, name, OFlags::RDONLY | plain, Mode::empty())?;
            let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | plain;
            let copy = openat(to, name, create, Mode::from_raw_mode(0o600))?;
            let (mut reader, mut writer) = (fs::File::from(source), fs::File::from(copy));
            io::copy(&mut reader, &mut writer)?;
            give(&writer, &stat)?;
            copy_attributes(&reader, &writer)?;
            keep_times(&writer, &stat)
        }
        FileType::Symlink => {
            let target = readlinkat(from, name, Vec::new())?;
            symlinkat(target.as_c_str(), to, name)?;
            own(to, name, &stat)
        }
        kind @ (FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice) => {
            // No device works in a volume, but a program may look for it.
            mknodat(to, name, kind, Mode::from_raw_mode(stat.st_mode & 0o7777), stat.st_rdev)?;
            own(to, name, &stat)
        }
        // A socket means nothing without the process that listens on it.
        _ => Ok(()),
    }
}

fn own(dir: &OwnedFd, name: &CStr, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    Ok(chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// The owner first: a change of owner takes setuid bits away.
fn give(file: impl AsFd, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::fchown(&file, Some(uid), Some(gid))?;
    Ok(fchmod(&file, Mode::from_raw_mode(stat.st_mode & 0o7777))?)
}

fn keep_times(file: impl AsFd, stat: &Stat) -> io::Result<()> {
    let time = |seconds: i64, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
    };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    Ok(futimens(file, &times)?)
}

fn copy_attributes(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    let mut names = vec![0; 64 * 1024];
    let length = match flistxattr(&from, &mut names) {
        Err(Errno::OPNOTSUPP) => return Ok(()),
        length => length?,
    };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        // What overlayfs and security modules keep for themselves stays there.
        if !name.starts_with(b"user.") && name != b"security.capability" {
            continue;
        }
        let mut value = vec![0; 64 * 1024];
        let size = fgetxattr(&from, name, &mut value)?;
        fsetxattr(&to, name, &value[..size], XattrFlags::empty())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn an_empty_volume_gets_the_images_files_once() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(&dir.path().join("home"))).unwrap();
        let (image, data) = (dir.path().join("image"), dir.path().join("data"));
        fs::create_dir_all(image.join("srv/deep")).unwrap();
        fs::create_dir(&data).unwrap();
        fs::write(image.join("srv/deep/file"), "content").unwrap();
        fs::set_permissions(image.join("srv"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("/etc/shadow", image.join("srv/link")).unwrap();
        symlink("/srv", image.join("alias")).unwrap();
        symlink("../..", image.join("out")).unwrap();
        let root = Root::open(&image).unwrap();
        // A link in the image leads to a place inside it, never outside.
        fill(&home, &root, Path::new("/out/alias"), &data).unwrap();
        assert_eq!(fs::read_to_string(data.join("deep/file")).unwrap(), "content");
        assert_eq!(fs::metadata(&data).unwrap().mode() & 0o777, 0o750);
        assert_eq!(fs::read_link(data.join("link")).unwrap(), Path::new("/etc/shadow"));
        fs::write(image.join("srv/new"), "later").unwrap();
        fill(&home, &root, Path::new("/srv"), &data).unwrap();
        assert!(!data.join("new").exists(), "it is filled once");
    }
}
