//! What is in an archive, and where.

use std::{collections::BTreeMap, io::BufReader, io::Read as _};

use super::input::{Input, Part};
use crate::{
    ImageError, LayerError, Limits,
    layer::{Archive, Kind, clean},
};

/// Files in one archive of images: hundreds are usual.
const MEMBERS: u64 = 100_000;
/// An index or a manifest that is larger is none.
const DOCUMENT_BYTES: u64 = 8 << 20;
/// Links that lead to links.
const HOPS: usize = 8;

/// The files of an archive by name. Names are only compared, never opened.
pub(super) struct Members {
    found: BTreeMap<String, Found>,
}

enum Found {
    File(Place),
    /// The name that it stands for.
    Link(String),
}

/// Where a file's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) size: u64,
}

impl Members {
    /// Reads the headers and passes over the content.
    pub(super) fn of(input: &Input<'_>) -> Result<Self, ImageError> {
        if input.size == 0 {
            return Err(input.broken("it is empty"));
        }
        let failed = |error: LayerError| match error {
            LayerError::Malformed { reason } => input.broken(reason),
            other => input.broken(other.to_string()),
        };
        let limits = Limits { entries: input.limits.entries.min(MEMBERS), ..input.limits };
        let reader = input.file.try_clone().map_err(ImageError::io("read", &input.name))?;
        let mut reader = BufReader::new(reader);
        std::io::Seek::rewind(&mut reader).map_err(ImageError::io("read", &input.name))?;
        let mut archive = Archive::new(reader, limits);
        let mut found = BTreeMap::new();
        while let Some(member) = archive.next().map_err(failed)? {
            if (input.stop)() {
                return Err(super::ArchiveError::Stopped.into());
            }
            let Some(name) = name_of(&member.path, &limits).map_err(failed)? else { continue };
            match member.kind {
                Kind::File => {
                    let size = member.content.size;
                    let whole = match member.content.extents[..] {
                        [one] => one.offset == 0 && one.length == size,
                        _ => false,
                    };
                    if !whole {
                        return Err(input.broken(format!("`{name}` is a sparse file")));
                    }
                    let at = archive.position();
                    if at.checked_add(size).is_none_or(|end| end > input.size) {
                        return Err(input.broken(format!("it ends within `{name}`")));
                    }
                    found.insert(name, Found::File(Place { at, size }));
                }
                Kind::HardLink => {
                    if let Some(target) = name_of(&member.link, &limits).map_err(failed)? {
                        found.insert(name, Found::Link(target));
                    }
                }
                Kind::Symlink => {
                    // One that leads nowhere in the archive is as good as none.
                    if let Some(target) = relative(&name, &member.link) {
                        found.insert(name, Found::Link(target));
                    }
                }
                _ => {}
            }
            archive.pass().map_err(failed)?;
        }
        Ok(Self { found })
    }

    /// Where a file is; links within the archive are followed.
    pub(super) fn place(&self, name: &str) -> Option<Place> {
        let mut name = name;
        for _ in 0..HOPS {
            match self.found.get(name)? {
                Found::File(place) => return Some(*place),
                Found::Link(target) => name = target,
            }
        }
        None
    }

    /// A whole small file.
    pub(super) fn document(
        &self,
        input: &Input<'_>,
        name: &str,
    ) -> Result<Option<Vec<u8>>, ImageError> {
        let Some(place) = self.place(name) else { return Ok(None) };
        if place.size > DOCUMENT_BYTES {
            return Err(input.broken(format!("`{name}` is larger than it may be")));
        }
        let mut bytes = Vec::new();
        let read = self.part(input, place).read_to_end(&mut bytes);
        read.map_err(ImageError::io("read", &input.name))?;
        Ok(Some(bytes))
    }

    #[expect(clippy::unused_self, reason = "places are of these members")]
    pub(super) fn part<'a>(&self, input: &Input<'a>, place: Place) -> Part<'a> {
        input.part(place.at, place.size)
    }
}

/// The name without `./` and the like; none for what no table of contents can
/// name.
fn name_of(path: &[u8], limits: &Limits) -> Result<Option<String>, LayerError> {
    let name = clean(path, limits)?;
    Ok(String::from_utf8(name).ok().filter(|name| !name.is_empty()))
}

/// The name that a symbolic link means, as text alone.
fn relative(link: &str, target: &[u8]) -> Option<String> {
    let target = std::str::from_utf8(target).ok()?;
    let mut parts: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => link.split('/').collect(),
    };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_followed_as_text() {
        assert_eq!(relative("a/layer.tar", b"../b/layer.tar").unwrap(), "b/layer.tar");
        assert_eq!(relative("a/b/c", b"./d").unwrap(), "a/b/d");
        assert_eq!(relative("a/b", b"/x/y").unwrap(), "x/y");
        assert_eq!(relative("a/b", b"../../etc/passwd"), None);
    }
}
