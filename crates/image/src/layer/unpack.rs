use std::{
    collections::{BTreeMap, HashSet},
    io::Read,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    rc::Rc,
};

use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, fchmod, futimens, linkat, makedev, mkdirat, mknodat,
        symlinkat, utimensat,
    },
    io::Errno,
};

use super::{
    LayerError, Limits, OverlayXattrs,
    archive::{Archive, Member},
    content::{make_file, times},
    header::{Kind, lossy},
    overlay::{AUFS, OPAQUE, WHITEOUT, may_give},
    pax::Time,
    root::{Place, Root, clean, is_dir, is_whiteout, os, split},
};

/// Unpacks one uncompressed layer archive into a folder, in overlayfs form.
///
/// The folder must exist; nothing outside it is touched, whatever the archive
/// says. Without root, owners stay the caller's and device nodes other than
/// deletions are left out. A failure leaves a part of the layer behind: give
/// a temporary folder and rename it.
///
/// # Errors
/// See [`LayerError`]; any bytes at all end in `Ok` or one of its variants.
pub fn unpack_layer(reader: impl Read, dest: &Path, limits: Limits) -> Result<(), LayerError> {
    unpack(reader, dest, &Unpack { limits, xattrs: OverlayXattrs::of_process(), parents: &[] })
}

/// How to unpack.
pub(crate) struct Unpack<'a> {
    pub(crate) limits: Limits,
    pub(crate) xattrs: OverlayXattrs,
    /// The layers beneath, bottom first: folders that the archive leaves out
    /// get the attributes that they have there.
    pub(crate) parents: &'a [PathBuf],
}

/// Unpacks with options; see [`unpack_layer`].
pub(crate) fn unpack(
    reader: impl Read,
    dest: &Path,
    options: &Unpack<'_>,
) -> Result<(), LayerError> {
    let mut archive = Archive::new(reader, options.limits);
    let mut unpacking = Unpacking::new(dest, options)?;
    while let Some(member) = archive.next()? {
        unpacking.member(&member, &mut archive)?;
    }
    archive.drain()?;
    unpacking.finish()
}

/// What a folder gets when all is in it: writing into it changes its time,
/// and its final mode may forbid writing.
#[derive(Debug, Clone, Copy)]
struct FolderEnd {
    mode: u32,
    modified: Time,
}

struct Unpacking<'a> {
    root: Root,
    options: &'a Unpack<'a>,
    privileged: bool,
    /// Whether files can get the owners that the archive tells.
    give: bool,
    parents: Vec<Root>,
    folders: BTreeMap<Vec<u8>, FolderEnd>,
    /// Names deleted by this layer; one that it makes again is opaque.
    deleted: HashSet<Vec<u8>>,
    buffer: Vec<u8>,
}

impl<'a> Unpacking<'a> {
    fn new(dest: &Path, options: &'a Unpack<'a>) -> Result<Self, LayerError> {
        let parents =
            options.parents.iter().map(|path| Root::open(path)).collect::<Result<_, _>>()?;
        let end = FolderEnd { mode: 0o755, modified: Time::default() };
        Ok(Self {
            root: Root::open(dest)?,
            options,
            privileged: rustix::process::geteuid().is_root(),
            give: may_give(),
            parents,
            folders: BTreeMap::from([(Vec::new(), end)]),
            deleted: HashSet::new(),
            buffer: vec![0; 128 << 10],
        })
    }

    fn member<R: Read>(
        &mut self,
        member: &Member,
        archive: &mut Archive<R>,
    ) -> Result<(), LayerError> {
        let path = clean(&member.path, &self.options.limits)?;
        let (_, name) = split(&path);
        if path.is_empty() {
            return self.root_folder(member);
        }
        if name == OPAQUE {
            let folder = split(&path).0.to_vec();
            return self.opaque(&folder);
        }
        if name.starts_with(AUFS) {
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            if matches!(hidden, b"" | b"." | b"..") {
                return Err(LayerError::Escapes { path: lossy(&path) });
            }
            let mut hidden_path = split(&path).0.to_vec();
            if !hidden_path.is_empty() {
                hidden_path.push(b'/');
            }
            hidden_path.extend_from_slice(hidden);
            return self.whiteout(hidden_path);
        }
        let place = self.place(&path)?;
        let there = place.stat().map_err(LayerError::io("read", &path))?;
        match there {
            Some(stat) if is_dir(&stat) && member.kind == Kind::Directory => {}
            Some(_) => {
                self.root.forget();
                place.remove().map_err(LayerError::io("replace", &path))?;
                self.make(member, &path, &place, archive)?;
            }
            None => self.make(member, &path, &place, archive)?,
        }
        self.dress(member, &path, &place)
    }

    /// Makes the file itself, readable to nobody else until it is dressed.
    fn make<R: Read>(
        &mut self,
        member: &Member,
        path: &[u8],
        place: &Place,
        archive: &mut Archive<R>,
    ) -> Result<(), LayerError> {
        let (dir, name) = (place.dir.as_fd(), place.name.as_slice());
        let node = |file_type, device| match mknodat(dir, name, file_type, Mode::empty(), device) {
            // A device needs a privilege that an unprivileged unpack does
            // without; the engine mounts its own /dev anyway.
            Err(Errno::PERM) => Ok(()),
            other => other,
        };
        let device = || makedev(member.device.0, member.device.1);
        let made = match member.kind {
            Kind::File => {
                return make_file(member, path, place, archive, &mut self.buffer).map(drop);
            }
            Kind::Directory => mkdirat(dir, name, Mode::RWXU),
            Kind::Symlink => {
                self.root.forget();
                symlinkat(member.link.as_slice(), dir, name)
            }
            Kind::HardLink => return self.hard_link(member, path, place),
            Kind::CharacterDevice => node(FileType::CharacterDevice, device()),
            Kind::BlockDevice => node(FileType::BlockDevice, device()),
            Kind::Fifo => node(FileType::Fifo, 0),
        };
        made.map_err(LayerError::io("make", path))?;
        if member.kind == Kind::Directory && self.deleted.contains(path) {
            self.set_opaque(place, path)?;
        }
        Ok(())
    }

    fn hard_link(&mut self, member: &Member, path: &[u8], place: &Place) -> Result<(), LayerError> {
        let target = clean(&member.link, &self.options.limits)?;
        let (parent, name) = split(&target);
        let shown = || lossy(&target);
        let missing = || {
            LayerError::malformed(format!(
                "a hard link names {}, which is not in this layer",
                shown()
            ))
        };
        let dir =
            self.root.open_at(parent, OFlags::PATH | OFlags::DIRECTORY).map_err(|_| missing())?;
        let from = Place { dir: Rc::new(dir), name: name.to_vec() };
        match from.stat() {
            // A mark for a deletion must not become a second one.
            Ok(Some(stat)) if !is_dir(&stat) && !is_whiteout(&stat) => {}
            _ => return Err(missing()),
        }
        linkat(&from.dir, name, &place.dir, place.name.as_slice(), AtFlags::empty())
            .map_err(LayerError::io("link", path))
    }

    /// Sets owner, attributes, mode and time, in the order in which none of
    /// them undoes another: a new owner clears setuid and capabilities.
    fn dress(&mut self, member: &Member, path: &[u8], place: &Place) -> Result<(), LayerError> {
        if member.kind == Kind::HardLink {
            return Ok(());
        }
        let Some(stat) = place.stat().map_err(LayerError::io("read", path))? else {
            // A device that could not be made.
            return Ok(());
        };
        if self.give {
            place.chown(member.uid, member.gid).map_err(LayerError::io("own", path))?;
        }
        for (name, value) in &member.xattrs {
            place.set_xattr(name, value).map_err(LayerError::io("set attributes of", path))?;
        }
        if is_dir(&stat) {
            self.folders.insert(path.to_vec(), self.folder_end(member));
            return Ok(());
        }
        if member.kind != Kind::Symlink && !is_whiteout(&stat) {
            // Not a link and in a private folder, so following is harmless.
            let mode = Mode::from_raw_mode(member.mode);
            rustix::fs::chmodat(&place.dir, place.name.as_slice(), mode, AtFlags::empty())
                .map_err(LayerError::io("set the mode of", path))?;
        }
        let name = place.name.as_slice();
        utimensat(&place.dir, name, &times(member.modified), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(LayerError::io("set the time of", path))
    }

    fn root_folder(&mut self, member: &Member) -> Result<(), LayerError> {
        if member.kind == Kind::Directory {
            if self.give {
                rustix::fs::chown(
                    self.root.path(),
                    Some(rustix::fs::Uid::from_raw(member.uid)),
                    Some(rustix::fs::Gid::from_raw(member.gid)),
                )
                .map_err(LayerError::io("own", b"/"))?;
            }
            self.folders.insert(Vec::new(), self.folder_end(member));
        }
        Ok(())
    }

    fn folder_end(&self, member: &Member) -> FolderEnd {
        // Without root, a folder that even its owner may not enter could
        // never be measured or removed again.
        let mode = if self.privileged { member.mode } else { member.mode | 0o700 };
        FolderEnd { mode, modified: member.modified }
    }

    /// Hides a name of the layers beneath. What this layer itself has under
    /// that name stays (layer.md: "whiteout files MUST only apply to
    /// resources in lower/parent layers").
    fn whiteout(&mut self, path: Vec<u8>) -> Result<(), LayerError> {
        let place = self.place(&path)?;
        match place.stat().map_err(LayerError::io("read", &path))? {
            Some(stat) if is_dir(&stat) => self.set_opaque(&place, &path)?,
            Some(_) => {}
            None => {
                let (file_type, mode) = (FileType::CharacterDevice, Mode::empty());
                mknodat(&place.dir, place.name.as_slice(), file_type, mode, 0)
                    .map_err(LayerError::io("delete", &path))?;
            }
        }
        self.deleted.insert(path);
        Ok(())
    }

    fn opaque(&mut self, folder: &[u8]) -> Result<(), LayerError> {
        if folder.is_empty() {
            let dir = self.root.open_at(b"", OFlags::PATH).map_err(LayerError::io("open", b"/"))?;
            let place = Place { dir: Rc::new(dir), name: b".".to_vec() };
            return self.set_opaque(&place, b"/");
        }
        let place = self.place(folder)?;
        match place.stat().map_err(LayerError::io("read", folder))? {
            Some(stat) if is_dir(&stat) => {}
            Some(_) => {
                self.root.forget();
                place.remove().map_err(LayerError::io("replace", folder))?;
                self.implied_folder(&place, folder)?;
            }
            None => self.implied_folder(&place, folder)?,
        }
        self.set_opaque(&place, folder)
    }

    fn implied_folder(&mut self, place: &Place, path: &[u8]) -> Result<(), LayerError> {
        mkdirat(&place.dir, place.name.as_slice(), Mode::RWXU)
            .map_err(LayerError::io("make", path))?;
        let end = inherit(&self.parents, path, place, self.give)?;
        self.folders.insert(path.to_vec(), end);
        Ok(())
    }

    fn set_opaque(&self, place: &Place, path: &[u8]) -> Result<(), LayerError> {
        match place.set_xattr(self.options.xattrs.opaque(), b"y") {
            Ok(true) => Ok(()),
            Ok(false) => Err(LayerError::io("hide what lies beneath", path)(os(Errno::OPNOTSUPP))),
            Err(error) => Err(LayerError::io("hide what lies beneath", path)(error)),
        }
    }

    fn place(&mut self, path: &[u8]) -> Result<Place, LayerError> {
        let Self { root, parents, folders, give, .. } = self;
        root.place(path, &mut |root, made| {
            let (parent, name) = split(made);
            let dir = root
                .open_at(parent, OFlags::PATH | OFlags::DIRECTORY)
                .map_err(LayerError::io("open", made))?;
            let place = Place { dir: Rc::new(dir), name: name.to_vec() };
            folders.insert(made.to_vec(), inherit(parents, made, &place, *give)?);
            Ok(())
        })
    }

    fn finish(self) -> Result<(), LayerError> {
        // Deepest first: a folder without the right to search hides those in it.
        for (path, end) in self.folders.iter().rev() {
            let dir = match self.root.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY) {
                Ok(dir) => dir,
                // Replaced by something else later in the archive.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(error) => return Err(LayerError::io("open", path)(error)),
            };
            fchmod(&dir, Mode::from_raw_mode(end.mode))
                .map_err(LayerError::io("set the mode of", path))?;
            futimens(&dir, &times(end.modified))
                .map_err(LayerError::io("set the time of", path))?;
        }
        Ok(())
    }
}

/// Gives a folder that the archive implies the owner of the one that it
/// covers, and tells the mode and time.
fn inherit(
    parents: &[Root],
    path: &[u8],
    place: &Place,
    give: bool,
) -> Result<FolderEnd, LayerError> {
    for parent in parents.iter().rev() {
        let Ok(found) = parent.open_at(path, OFlags::PATH) else { continue };
        let stat = rustix::fs::fstat(&found).map_err(LayerError::io("read", path))?;
        if !is_dir(&stat) {
            break;
        }
        if give {
            place.chown(stat.st_uid, stat.st_gid).map_err(LayerError::io("own", path))?;
        }
        let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        let modified = Time { seconds: stat.st_mtime, nanoseconds };
        return Ok(FolderEnd { mode: stat.st_mode & 0o7777, modified });
    }
    Ok(FolderEnd { mode: 0o755, modified: Time::default() })
}
