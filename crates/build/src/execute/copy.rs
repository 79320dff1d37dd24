//! Writes what a COPY or ADD takes into the step's upper folder, as
//! BuildKit does.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use tandem_image::Limits;

use super::{
    chmod::Chmod,
    extract::extract,
    interrupt::Interrupt,
    select::Source,
    upper::{Attributes, Upper, portable_xattrs},
    users::Owner,
};
use crate::tree::{Entry, Found, Kind, Tree, resolve};

/// Where to and as what.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    /// Absolute; ends with `/` when it is to be a folder.
    pub(super) path: String,
    /// Owner of what arrives; without one it keeps its own.
    pub(super) owner: Option<Owner>,
    /// Mode of what arrives; without one it keeps its own.
    pub(super) mode: Option<Chmod>,
    /// Archives are unpacked, as ADD does, within these limits.
    pub(super) unpack: Option<Limits>,
}

impl Destination {
    /// What a file has after it arrived.
    fn attributes(&self, entry: &Entry) -> Attributes {
        let mut attributes = Attributes::from(entry);
        if let Some(owner) = self.owner {
            (attributes.uid, attributes.gid) = (owner.uid, owner.gid);
        }
        if let Some(mode) = &self.mode {
            attributes.mode = mode.of(entry.mode, entry.kind == Kind::Dir);
        }
        attributes
    }

    /// A place, and nothing said about what arrives.
    pub(super) fn folder(path: &str) -> Self {
        let path = path.to_owned();
        Self { path, owner: None, mode: None, unpack: None }
    }
}

/// Copies the sources.
pub(super) fn copy(
    upper: &mut Upper,
    tree: &dyn Tree,
    sources: &[Source],
    to: &Destination,
    interrupt: &Interrupt,
) -> io::Result<()> {
    let base = resolve(upper.view(), Path::new(&to.path), true)?;
    for source in sources {
        if let Some(limits) = to.unpack
            && extract(upper, tree, source, &base, to.owner, (interrupt, limits))?
        {
            continue;
        }
        let folder = source.is_dir
            || to.path.ends_with('/')
            || upper.view().entry(&base)?.is_some_and(|entry| entry.is_dir());
        let owner = to.owner.unwrap_or(Owner::ROOT);
        let target = if folder {
            upper.ensure_folder(&base, owner)?;
            if source.is_dir { base.clone() } else { base.join(&source.name) }
        } else {
            upper.ensure_folder(base.parent().unwrap_or(Path::new("")), owner)?;
            base.clone()
        };
        let mut copying = Copying { upper, tree, to, interrupt, links: HashMap::new() };
        for found in &source.found {
            // A source folder stands for its content.
            if source.is_dir && found.below.as_os_str().is_empty() {
                continue;
            }
            interrupt.check()?;
            let path = if source.is_dir { target.join(&found.below) } else { target.clone() };
            copying.put(found, &path)?;
        }
    }
    Ok(())
}

/// Writes a small file whose content stands in the Dockerfile.
pub(super) fn write_document(
    upper: &mut Upper,
    name: &str,
    content: &[u8],
    to: &Destination,
    mtime: (i64, i64),
) -> io::Result<()> {
    let base = resolve(upper.view(), Path::new(&to.path), true)?;
    let owner = to.owner.unwrap_or(Owner::ROOT);
    let folder =
        to.path.ends_with('/') || upper.view().entry(&base)?.is_some_and(|entry| entry.is_dir());
    let target = if folder { base.join(name) } else { base };
    upper.ensure_folder(target.parent().unwrap_or(Path::new("")), owner)?;
    let mode = to.mode.as_ref().map_or(0o644, |mode| mode.of(0o644, false));
    let attributes = Attributes { mode, uid: owner.uid, gid: owner.gid, mtime };
    upper.put_file(&target, &attributes, |file| file.write_all(content))
}

struct Copying<'a> {
    upper: &'a mut Upper,
    tree: &'a dyn Tree,
    to: &'a Destination,
    interrupt: &'a Interrupt,
    /// First copy of each file that has several names.
    links: HashMap<(u64, u64), PathBuf>,
}

impl Copying<'_> {
    fn put(&mut self, found: &Found, path: &Path) -> io::Result<()> {
        let attributes = self.to.attributes(&found.entry);
        if let Some(identity) = found.entry.identity {
            if let Some(first) = self.links.get(&identity) {
                return self.upper.put_link(path, first);
            }
            self.links.insert(identity, path.to_owned());
        }
        match found.entry.kind {
            Kind::Dir => {
                self.upper.put_folder(path, &attributes)?;
                self.xattrs(found, path)
            }
            Kind::File => self.file(found, path, &attributes),
            Kind::Symlink => {
                let target = self.tree.read_link(&found.path)?;
                self.upper.put_symlink(path, &target, &attributes)
            }
            Kind::Fifo | Kind::CharDevice | Kind::BlockDevice => {
                self.upper.put_node(path, found.entry.kind, found.entry.device, &attributes)
            }
            // A socket means nothing without the program behind it.
            Kind::Socket => Ok(()),
        }
    }

    fn file(&mut self, found: &Found, path: &Path, attributes: &Attributes) -> io::Result<()> {
        let mut from = self.tree.open(&found.path)?;
        let interrupt = self.interrupt;
        let mut copied = 0;
        self.upper.put_file(path, attributes, |to| {
            // In pieces, so that a cancelled build need not wait for the end.
            loop {
                interrupt.check()?;
                let mut piece = io::Read::take(&mut from, 64 << 20);
                let count = io::copy(&mut piece, to)?;
                copied += count;
                if count == 0 {
                    return Ok(());
                }
            }
        })?;
        // The cache knows this file by the digest taken before.
        let now = self.tree.entry(&found.path)?;
        let same =
            now.is_some_and(|now| now.mtime == found.entry.mtime && now.ctime == found.entry.ctime);
        if !same || copied != found.entry.size {
            let message =
                format!("{} changed while it was read: build again", found.path.display());
            return Err(io::Error::other(message));
        }
        self.xattrs(found, path)
    }

    fn xattrs(&self, found: &Found, path: &Path) -> io::Result<()> {
        for (name, value) in portable_xattrs(&self.tree.open(&found.path)?)? {
            self.upper.put_xattr(path, &name, &value)?;
        }
        Ok(())
    }
}
