use std::{
    collections::BTreeMap,
    io::Read,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, XattrFlags, fchmod, fsetxattr, futimens, linkat, mkdirat,
        mknodat, symlinkat, utimensat,
    },
    io::Errno,
};

use super::{
    LayerError, Limits,
    archive::{Archive, Member},
    content::{make_file, times},
    header::{Kind, lossy},
    overlay::may_give,
    pax::Time,
    root::{Place, Root, clean, is_dir, os, split},
};

/// Where the members of an archive go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebase {
    /// As they are named.
    Keep,
    /// The first part of each name becomes this one.
    As(Vec<u8>),
    /// The first part of each name goes away; the folder that it names stays
    /// as it is.
    Into,
}

/// How files are extracted.
#[derive(Debug, Clone)]
pub struct Extract {
    /// Where they go below the folder.
    pub rebase: Rebase,
    /// Who owns them; the archive decides when `None`. Only root can give
    /// files away.
    pub owner: Option<(u32, u32)>,
    /// Keep set-user-id and set-group-id bits and file capabilities.
    pub privileges: bool,
    /// What the archive may ask of the machine.
    pub limits: Limits,
}

/// Extracts an archive of plain files beneath a folder. What is there is kept
/// and overwritten file by file; a folder never takes the place of a file, nor
/// a file that of a folder. Nothing outside the folder is touched, whatever the
/// archive says. Devices are left out.
///
/// # Errors
/// See [`LayerError`]; any bytes at all end in `Ok` or one of its variants.
pub fn extract(reader: impl Read, dest: &Path, options: &Extract) -> Result<(), LayerError> {
    let mut archive = Archive::new(reader, options.limits);
    let mut extraction = Extraction {
        root: Root::open(dest)?,
        options,
        give: may_give(),
        folders: BTreeMap::new(),
        buffer: vec![0; 128 << 10],
    };
    while let Some(member) = archive.next()? {
        extraction.member(&member, &mut archive)?;
    }
    archive.drain()?;
    extraction.finish()
}

struct Extraction<'a> {
    root: Root,
    options: &'a Extract,
    give: bool,
    /// Final modes and times of folders that were made here.
    folders: BTreeMap<Vec<u8>, (u32, Time)>,
    buffer: Vec<u8>,
}

impl Extraction<'_> {
    fn rebased(&self, name: &[u8]) -> Result<Vec<u8>, LayerError> {
        let name = clean(name, &self.options.limits)?;
        let rest =
            || name.iter().position(|byte| *byte == b'/').map_or(&b""[..], |at| &name[at + 1..]);
        Ok(match &self.options.rebase {
            Rebase::Keep => name,
            Rebase::Into => rest().to_vec(),
            Rebase::As(first) => match rest() {
                b"" => first.clone(),
                rest => [first, rest].join(&b'/'),
            },
        })
    }

    fn member<R: Read>(
        &mut self,
        member: &Member,
        archive: &mut Archive<R>,
    ) -> Result<(), LayerError> {
        let path = self.rebased(&member.path)?;
        if path.is_empty() {
            return Ok(());
        }
        let place = self.root.place(&path, &mut |_, _| Ok(()))?;
        let there = place.stat().map_err(LayerError::io("read", &path))?;
        match there.as_ref().map(is_dir) {
            Some(true) if member.kind == Kind::Directory => return Ok(()),
            Some(true) => {
                return Err(LayerError::io("replace the folder", &path)(os(Errno::ISDIR)));
            }
            Some(false) if member.kind == Kind::Directory => {
                return Err(LayerError::io("make the folder", &path)(os(Errno::NOTDIR)));
            }
            Some(false) => {
                self.root.forget();
                place.remove().map_err(LayerError::io("replace", &path))?;
            }
            None => {}
        }
        let (dir, name) = (place.dir.as_fd(), place.name.as_slice());
        let made = match member.kind {
            Kind::File => {
                let file = make_file(member, &path, &place, archive, &mut self.buffer)?;
                return self.dress(member, &path, &file);
            }
            Kind::HardLink => return self.hard_link(member, &path, &place),
            Kind::CharacterDevice | Kind::BlockDevice => return Ok(()),
            Kind::Directory => {
                self.folders.insert(path.clone(), (self.mode(member), member.modified));
                mkdirat(dir, name, Mode::RWXU)
            }
            Kind::Symlink => {
                self.root.forget();
                symlinkat(member.link.as_slice(), dir, name)
            }
            Kind::Fifo => mknodat(dir, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0),
        };
        made.map_err(LayerError::io("make", &path))?;
        if self.give {
            let (uid, gid) = self.owner(member);
            place.chown(uid, gid).map_err(LayerError::io("own", &path))?;
        }
        if member.kind == Kind::Directory {
            return Ok(());
        }
        utimensat(&place.dir, name, &times(member.modified), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(LayerError::io("set the time of", &path))
    }

    fn owner(&self, member: &Member) -> (u32, u32) {
        self.options.owner.unwrap_or((member.uid, member.gid))
    }

    fn mode(&self, member: &Member) -> u32 {
        if self.options.privileges { member.mode } else { member.mode & 0o1777 }
    }

    /// Owner first: a new owner takes privileges away.
    fn dress(&self, member: &Member, path: &[u8], file: &OwnedFd) -> Result<(), LayerError> {
        if self.give {
            let (uid, gid) = self.owner(member);
            let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
            rustix::fs::fchown(file, Some(uid), Some(gid)).map_err(LayerError::io("own", path))?;
        }
        for (name, value) in &member.xattrs {
            if !self.options.privileges && !name.starts_with("user.") {
                continue;
            }
            match fsetxattr(file, name.as_str(), value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
                Err(e) => return Err(LayerError::io("set attributes of", path)(e)),
            }
        }
        fchmod(file, Mode::from_raw_mode(self.mode(member)))
            .map_err(LayerError::io("set the mode of", path))?;
        futimens(file, &times(member.modified)).map_err(LayerError::io("set the time of", path))
    }

    fn hard_link(&self, member: &Member, path: &[u8], place: &Place) -> Result<(), LayerError> {
        let target = self.rebased(&member.link)?;
        let (parent, name) = split(&target);
        let missing = || {
            let target = lossy(&target);
            LayerError::malformed(format!("a hard link names {target}, which is not there"))
        };
        let dir =
            self.root.open_at(parent, OFlags::PATH | OFlags::DIRECTORY).map_err(|_| missing())?;
        linkat(&dir, name, &place.dir, place.name.as_slice(), AtFlags::empty())
            .map_err(LayerError::io("link", path))
    }

    fn finish(self) -> Result<(), LayerError> {
        // Deepest first: a folder without the right to search hides those in it.
        for (path, (mode, modified)) in self.folders.iter().rev() {
            let dir = match self.root.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY) {
                Ok(dir) => dir,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(error) => return Err(LayerError::io("open", path)(error)),
            };
            fchmod(&dir, Mode::from_raw_mode(*mode))
                .map_err(LayerError::io("set the mode of", path))?;
            futimens(&dir, &times(*modified)).map_err(LayerError::io("set the time of", path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    };

    use proptest::prelude::*;

    use super::*;
    use crate::{PlainFiles, pack_tree};

    fn packed(path: &Path, name: &str) -> Vec<u8> {
        let (mut tar, files) = (Vec::new(), PlainFiles::of_this_process().unwrap());
        pack_tree(path, Path::new(name), false, &files, &mut tar).unwrap();
        tar
    }

    fn options(rebase: Rebase) -> Extract {
        Extract { rebase, owner: None, privileges: false, limits: Limits::default() }
    }

    #[test]
    fn a_tree_comes_back_under_another_name() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir_all(from.join("deep")).unwrap();
        fs::write(from.join("deep/.wh.kept"), "no deletion").unwrap();
        fs::set_permissions(from.join("deep/.wh.kept"), fs::Permissions::from_mode(0o4755))
            .unwrap();
        fs::hard_link(from.join("deep/.wh.kept"), from.join("second")).unwrap();
        symlink("/etc/passwd", from.join("link")).unwrap();
        let tar = packed(&from, "from");
        let to = dir.path().join("to");
        fs::create_dir(&to).unwrap();
        extract(&tar[..], &to, &options(Rebase::As(b"new".to_vec()))).unwrap();
        let file = to.join("new/deep/.wh.kept");
        assert_eq!(fs::read_to_string(&file).unwrap(), "no deletion");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o755);
        assert_eq!(fs::metadata(&file).unwrap().nlink(), 2);
        assert_eq!(fs::read_link(to.join("new/link")).unwrap(), Path::new("/etc/passwd"));
        extract(&tar[..], &to, &options(Rebase::Into)).unwrap();
        assert!(to.join("deep/.wh.kept").is_file());
    }

    #[test]
    fn nothing_gets_out_and_kinds_are_not_mixed() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, canary) = (dir.path().join("inside"), dir.path().join("canary"));
        fs::create_dir_all(inside.join("folder")).unwrap();
        fs::create_dir(&canary).unwrap();
        symlink(&canary, inside.join("out")).unwrap();
        let from = dir.path().join("out");
        fs::create_dir(&from).unwrap();
        fs::write(from.join("file"), "x").unwrap();
        let tar = packed(&from, "out");
        assert!(extract(&tar[..], &inside, &options(Rebase::Keep)).is_err());
        assert_eq!(fs::read_dir(&canary).unwrap().count(), 0);
        let tar = packed(&from.join("file"), "folder");
        assert!(extract(&tar[..], &inside, &options(Rebase::Keep)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_are_fatal(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let dir = tempfile::tempdir().unwrap();
            let _ = extract(&bytes[..], dir.path(), &options(Rebase::Into));
        }
    }
}
