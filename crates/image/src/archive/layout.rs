//! A folder with an image layout (OCI image specification, image-layout.md).

use std::{collections::BTreeSet, fs::File, io::Read as _, os::fd::OwnedFd, path::Path};

use oci_spec::image::{Descriptor, ImageIndex};
use rustix::{
    fs::{Mode, OFlags, ResolveFlags, openat2},
    io::Errno,
};
use serde::Deserialize;
use tandem_model::{Digest, ImageRef};

use super::{ArchiveError, ArchiveSource, Stop, load, oci};
use crate::{Image, ImageError, Store, Transfer};

/// An index or a manifest that is larger is none.
const DOCUMENT_BYTES: u64 = 8 << 20;
/// Lists within lists: nobody writes more than one.
const DEPTH: usize = 3;

/// Which image of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayoutImage {
    /// The one with this tag.
    Tag(String),
    /// The one with this digest.
    Digest(Digest),
    /// `latest`, or the only one.
    Only,
}

/// Loads one image of a layout under a name of the store's own.
///
/// # Errors
/// As [`load()`], and [`ArchiveError::Missing`] when there is no such folder.
pub fn load_layout(
    store: &Store,
    folder: &Path,
    which: &LayoutImage,
    stop: &(dyn Fn() -> bool + Sync),
    on_progress: &(dyn Fn(Transfer) + Sync),
) -> Result<Image, ImageError> {
    let layout = Layout::open(folder, stop)?;
    let index: ImageIndex = layout.parsed(oci::INDEX)?;
    let chosen = layout.choose(&index, which)?;
    let (name, entry) = named(chosen).map_err(|reason| layout.broken(reason))?;
    let scratch = store.home().scratch("layout")?;
    let path = scratch.path().join("archive");
    layout.pack(&path, &entry, chosen)?;
    let images = load(store, &ArchiveSource::File(path), stop, on_progress);
    let images = images.map_err(|error| match error {
        // The scratch file means nothing to anybody.
        ImageError::Archive(ArchiveError::Broken { reason, .. }) => layout.broken(reason),
        other => other,
    })?;
    let image = images.into_iter().find(|image| image.reference == name);
    image.ok_or_else(|| layout.broken("it holds no image for this machine"))
}

struct Layout<'a> {
    folder: &'a Path,
    /// The folder itself: nothing is read that lies outside it.
    root: OwnedFd,
    stop: Stop<'a>,
}

/// What of an index or a manifest leads to further blobs.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Parts {
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    layers: Vec<Descriptor>,
}

impl<'a> Layout<'a> {
    fn open(folder: &'a Path, stop: Stop<'a>) -> Result<Self, ImageError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(folder, flags, Mode::empty()) {
            Ok(root) => Ok(Self { folder, root, stop }),
            Err(Errno::NOENT | Errno::NOTDIR) => {
                Err(ArchiveError::Missing { archive: folder.display().to_string() }.into())
            }
            Err(e) => Err(ImageError::io("open", folder)(e.into())),
        }
    }

    fn broken(&self, reason: impl Into<String>) -> ImageError {
        let archive = self.folder.display().to_string();
        ArchiveError::Broken { archive, reason: reason.into() }.into()
    }

    fn choose<'i>(
        &self,
        index: &'i ImageIndex,
        which: &LayoutImage,
    ) -> Result<&'i Descriptor, ImageError> {
        let all = index.manifests();
        let tag = |entry: &Descriptor| -> Option<String> {
            let annotations = entry.annotations().as_ref()?;
            let whole = oci::NAMES.iter().rev().find_map(|key| annotations.get(*key))?;
            Some(whole.rsplit(':').next().unwrap_or(whole).to_owned())
        };
        let with_tag = |wanted: &str| all.iter().find(|it| tag(it).as_deref() == Some(wanted));
        let found = match which {
            LayoutImage::Tag(wanted) => with_tag(wanted),
            LayoutImage::Digest(digest) => {
                all.iter().find(|it| it.digest().to_string() == digest.to_string())
            }
            LayoutImage::Only => with_tag("latest").or_else(|| match &all[..] {
                [only] => Some(only),
                _ => None,
            }),
        };
        found.ok_or_else(|| {
            let wanted = match which {
                LayoutImage::Tag(tag) => format!("no image with the tag {tag}"),
                LayoutImage::Digest(digest) => format!("no image {digest}"),
                LayoutImage::Only => "no image with the tag latest".to_owned(),
            };
            let tags: Vec<String> = all.iter().filter_map(tag).collect();
            let there = if tags.is_empty() { "no tags".to_owned() } else { tags.join(", ") };
            self.broken(format!("it has {wanted}, but {there}"))
        })
    }

    /// Writes an archive with this image only.
    fn pack(&self, to: &Path, entry: &str, chosen: &Descriptor) -> Result<(), ImageError> {
        let write = |e| ImageError::io("write", to)(e);
        let mut tar = tar::Builder::new(File::create_new(to).map_err(write)?);
        let mut header = tar::Header::new_gnu();
        header.set_size(entry.len() as u64);
        header.set_mode(0o600);
        tar.append_data(&mut header, oci::INDEX, entry.as_bytes()).map_err(write)?;
        let mut todo = vec![(chosen.clone(), DEPTH)];
        let mut seen = BTreeSet::new();
        while let Some((blob, depth)) = todo.pop() {
            if (self.stop)() {
                return Err(ArchiveError::Stopped.into());
            }
            let digest: Digest = blob
                .digest()
                .to_string()
                .parse()
                .map_err(|_| self.broken(format!("{} is no sha256 digest", blob.digest())))?;
            if !seen.insert(digest.clone()) {
                continue;
            }
            let name = oci::path(&digest);
            // Layouts may lack the images of other machines.
            let Some(mut file) = self.opened(&name)? else {
                if depth < DEPTH {
                    continue;
                }
                return Err(self.broken(format!("{name} is missing")));
            };
            let size = file.metadata().map_err(ImageError::io("read", &name))?.len();
            if size != blob.size() {
                let promised = blob.size();
                let reason = format!("{name} has {size} bytes, and is said to have {promised}");
                return Err(self.broken(reason));
            }
            tar.append_file(&name, &mut file).map_err(write)?;
            // A configuration has none of these, and a layer is no document.
            if depth > 0 && size < DOCUMENT_BYTES && is_manifest(&blob) {
                let parts: Parts = self.parsed(&name)?;
                let next = parts.manifests.into_iter().chain(parts.config).chain(parts.layers);
                todo.extend(next.map(|it| (it, depth - 1)));
            }
        }
        tar.finish().map_err(write)
    }

    /// A file of the layout. The kernel follows no link that leads out of it,
    /// and nothing that is no file is waited for: a layout may come from
    /// anybody, in a repository say.
    fn opened(&self, name: &str) -> Result<Option<File>, ImageError> {
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = loop {
            match openat2(&self.root, name, flags, Mode::empty(), how) {
                Ok(file) => break File::from(file),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::XDEV) => return Err(self.broken(format!("{name} leads out of it"))),
                Err(e) => return Err(ImageError::io("open", self.folder.join(name))(e.into())),
            }
        };
        let metadata = file.metadata().map_err(ImageError::io("read", name))?;
        if !metadata.is_file() {
            return Err(self.broken(format!("{name} is no file")));
        }
        Ok(Some(file))
    }

    fn parsed<T: for<'d> Deserialize<'d>>(&self, name: &str) -> Result<T, ImageError> {
        let file = self.opened(name)?;
        let file = file.ok_or_else(|| self.broken(format!("{name} is missing")))?;
        let mut text = Vec::new();
        let read = file.take(DOCUMENT_BYTES + 1).read_to_end(&mut text);
        read.map_err(ImageError::io("read", name))?;
        if text.len() as u64 > DOCUMENT_BYTES {
            return Err(self.broken(format!("{name} is too long for a document")));
        }
        serde_json::from_slice(&text)
            .map_err(|e| self.broken(format!("{name} cannot be read: {e}")))
    }
}

fn is_manifest(blob: &Descriptor) -> bool {
    let kind = blob.media_type().to_string();
    kind.contains("manifest") || kind.contains("index")
}

/// The name in the store of an image, and an index that gives it to it.
fn named(chosen: &Descriptor) -> Result<(ImageRef, String), String> {
    let digest = chosen.digest().to_string();
    let digest: Digest = digest.parse().map_err(|_| format!("{digest} is no sha256 digest"))?;
    let name = format!("localhost/tandem/layout:{}", digest.short());
    let reference = name.parse().map_err(|e| format!("{name}: {e}"))?;
    let mut entry = chosen.clone();
    entry.set_annotations(Some([(oci::NAMES[1].to_owned(), name)].into()));
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [entry] });
    Ok((reference, index.to_string()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::archive::tests::Place;

    /// A layout with two images, unpacked from an archive.
    fn layout(from: &Place) -> tempfile::TempDir {
        let images = [from.image("x:one", &["f"]), from.image("x:two", &["g"])];
        let dir = tempfile::tempdir().unwrap();
        let bytes = from.save(&images, crate::ArchiveFormat::Oci);
        tar::Archive::new(&bytes[..]).unpack(dir.path()).unwrap();
        dir
    }

    #[test]
    fn an_image_is_chosen_by_its_tag_and_by_its_digest() {
        let from = Place::new();
        let dir = layout(&from);
        let to = Place::new();
        let load =
            |which: &LayoutImage| load_layout(&to.store, dir.path(), which, &|| false, &|_| ());
        let two = load(&LayoutImage::Tag("two".into())).unwrap();
        assert_eq!(two.digest, from.store.resolve(&"x:two".parse().unwrap()).unwrap().digest);
        let again = load(&LayoutImage::Digest(two.digest.clone())).unwrap();
        assert_eq!(again.digest, two.digest);
        let error = load(&LayoutImage::Only).unwrap_err().to_string();
        assert!(error.contains("latest") && error.contains("one, two"), "{error}");
        let error = load(&LayoutImage::Tag("three".into())).unwrap_err().to_string();
        assert!(error.contains("no image with the tag three, but one, two"), "{error}");
    }

    #[test]
    fn broken_layouts_are_refused_in_a_sentence() {
        let from = Place::new();
        let dir = layout(&from);
        let load = |folder: &Path| {
            let to = Place::new();
            let which = LayoutImage::Tag("one".into());
            let error = load_layout(&to.store, folder, &which, &|| false, &|_| ()).unwrap_err();
            to.assert_empty();
            error.to_string()
        };
        assert!(load(Path::new("/nowhere")).contains("there is no archive /nowhere"));
        let index = dir.path().join(oci::INDEX);
        let text = fs::read_to_string(&index).unwrap();
        fs::write(&index, "{").unwrap();
        assert!(load(dir.path()).contains("index.json cannot be read"));
        fs::write(&index, &text).unwrap();
        for blob in fs::read_dir(dir.path().join("blobs/sha256")).unwrap() {
            fs::write(blob.unwrap().path(), "other").unwrap();
        }
        let error = load(dir.path());
        assert!(error.contains(&dir.path().display().to_string()), "{error}");
    }
}
