//! `index.json`: an OCI image layout in one file.

use std::collections::BTreeMap;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, MediaType};
use tandem_model::{Digest, ImageRef};

use super::{
    ArchiveError,
    input::Input,
    members::{Members, Place},
    wanted::{Wanted, WantedLayer},
};
use crate::{
    ImageError, Platform,
    image::sha256,
    store::{contradict, is_list, layers_of, media_type_of, parse_manifest},
};

pub(super) const LAYOUT: &str = "oci-layout";
pub(super) const INDEX: &str = "index.json";

/// Where the image's name is: containerd's own place, and the common one, in
/// which some write the whole name and some only the tag.
pub(super) const NAMES: [&str; 2] =
    ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// Lists within lists: nobody writes more than one.
const DEPTH: usize = 3;

/// The images that `index.json` names.
pub(super) fn images(
    input: &Input<'_>,
    members: &Members,
    index: &[u8],
) -> Result<Vec<Wanted>, ImageError> {
    let index: ImageIndex = serde_json::from_slice(index)
        .map_err(|e| input.broken(format!("its {INDEX} cannot be read: {e}")))?;
    let mut lists = Lists { input, members, known: BTreeMap::new() };
    let mut wanted: Vec<Wanted> = Vec::new();
    // The same image under several names is several entries.
    let mut places: BTreeMap<Digest, Option<usize>> = BTreeMap::new();
    for entry in index.manifests() {
        let Some(digest) = lists.chosen(entry, DEPTH)? else { continue };
        let place = match places.get(&digest) {
            Some(place) => *place,
            None => {
                let bytes = blob(input, members, &digest)?;
                let image = bytes.map(|bytes| image(input, members, bytes)).transpose()?.flatten();
                let place = image.map(|image| {
                    wanted.push(image);
                    wanted.len() - 1
                });
                places.insert(digest, place);
                place
            }
        };
        if let Some(image) = place.and_then(|at| wanted.get_mut(at)) {
            image.names.extend(name_of(entry));
        }
    }
    Ok(wanted)
}

fn name_of(entry: &Descriptor) -> Option<ImageRef> {
    let annotations = entry.annotations().as_ref()?;
    let [containerd, common] = NAMES.map(|key| annotations.get(key));
    let whole = |name: &&String| name.contains(['/', ':']);
    // A tool that names an image anew changes the common place only.
    let places = [common.filter(whole), containerd, common];
    places.into_iter().flatten().find_map(|name| name.parse().ok())
}

/// Looks through lists. Each is read once, however often it is named: lists
/// that name each other would else take for ever.
struct Lists<'a> {
    input: &'a Input<'a>,
    members: &'a Members,
    /// What was chosen for an entry's digest.
    known: BTreeMap<Digest, Option<Digest>>,
}

impl Lists<'_> {
    /// The manifest of an entry, chosen from its list when it has several;
    /// `None` for an image that is not in the archive.
    fn chosen(&mut self, entry: &Descriptor, depth: usize) -> Result<Option<Digest>, ImageError> {
        let broken = |reason: String| self.input.broken(reason);
        let digest: Digest = entry
            .digest()
            .to_string()
            .parse()
            .map_err(|_| broken(format!("{} is no sha256 digest", entry.digest())))?;
        if let Some(known) = self.known.get(&digest) {
            return Ok(known.clone());
        }
        let Some(bytes) = blob(self.input, self.members, &digest)? else {
            let reason = format!("the blob {digest}, which {INDEX} names, is missing");
            return if depth == DEPTH { Err(broken(reason)) } else { Ok(None) };
        };
        check_size(self.input, entry, &digest, &bytes)?;
        let kind = media_type_of(&bytes).map_err(|reason| broken(format!("{digest}: {reason}")))?;
        if contradict(entry.media_type(), &kind) {
            let reason = format!("{digest} is a {kind} and named as a {}", entry.media_type());
            return Err(broken(reason));
        }
        if !is_list(&kind) {
            self.known.insert(digest.clone(), Some(digest.clone()));
            return Ok(Some(digest));
        }
        if depth == 0 {
            return Err(broken("its lists of images lie too deep".to_owned()));
        }
        let list: ImageIndex = serde_json::from_slice(&bytes)
            .map_err(|e| broken(format!("the list {digest} cannot be read: {e}")))?;
        self.known.insert(digest.clone(), None);
        for entry in by_fit(&list) {
            let found = self.chosen(entry, depth - 1)?;
            if found.is_some() {
                self.known.insert(digest, found.clone());
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// The entries of a list, those for this machine first; attestations, which
/// are for no machine, are left out.
fn by_fit(list: &ImageIndex) -> Vec<&Descriptor> {
    let own = Platform::default();
    let fit = |entry: &&Descriptor| {
        let platform = entry.platform().as_ref().map(Platform::of);
        platform.map_or(1, |platform| own.fit(&platform).map_or(0, |fit| fit + 1))
    };
    let mut entries: Vec<&Descriptor> = list.manifests().iter().collect();
    entries.retain(|entry| {
        entry.platform().as_ref().is_none_or(|it| it.os().to_string() != "unknown")
    });
    entries.sort_by_key(|entry| std::cmp::Reverse(fit(entry)));
    entries
}

/// A document must be as long as whatever names it says.
fn check_size(
    input: &Input<'_>,
    entry: &Descriptor,
    digest: &Digest,
    bytes: &[u8],
) -> Result<(), ImageError> {
    let (size, promised) = (bytes.len() as u64, entry.size());
    if size == promised {
        return Ok(());
    }
    Err(input.broken(format!("{digest} has {size} bytes, and is said to have {promised}")))
}

/// The parts of an image; `None` when the manifest is of something else.
fn image(
    input: &Input<'_>,
    members: &Members,
    bytes: Vec<u8>,
) -> Result<Option<Wanted>, ImageError> {
    let document = parse_manifest(&bytes)
        .map_err(|reason| input.broken(format!("a manifest cannot be read: {reason}")))?;
    let kind = document.config().media_type();
    let is_image = *kind == MediaType::ImageConfig
        || kind.as_ref() == "application/vnd.docker.container.image.v1+json";
    if !is_image {
        return Ok(None);
    }
    let digest = |descriptor: &Descriptor| -> Result<Digest, ImageError> {
        let text = descriptor.digest().to_string();
        text.parse().map_err(|_| input.broken(format!("{text} is no sha256 digest")))
    };
    let config_digest = digest(document.config())?;
    let missing = |digest: &Digest| input.broken(format!("the blob {digest} is missing"));
    let config = blob(input, members, &config_digest)?.ok_or_else(|| missing(&config_digest))?;
    check_size(input, document.config(), &config_digest, &config)?;
    let configuration: ImageConfiguration = serde_json::from_slice(&config)
        .map_err(|e| input.broken(format!("the configuration cannot be read: {e}")))?;
    let layers = layers_of(&document, &configuration, &config_digest)
        .map_err(|e| input.broken(e.to_string()))?;
    let layers = layers.into_iter().map(|layer| {
        let place = place(members, &layer.digest).ok_or_else(|| missing(&layer.digest))?;
        if place.size != layer.size {
            let (there, promised) = (place.size, layer.size);
            return Err(input.broken(format!(
                "the blob {} has {there} bytes, its manifest says {promised}",
                layer.digest
            )));
        }
        let (diff_id, media_type) = (layer.diff_id, layer.media_type);
        Ok(WantedLayer { digest: Some(layer.digest), diff_id, media_type, place })
    });
    let layers = layers.collect::<Result<_, ImageError>>()?;
    let media_type = document.media_type().clone().unwrap_or(MediaType::ImageManifest);
    let manifest = Some((bytes, media_type));
    Ok(Some(Wanted { names: Vec::new(), manifest, config, config_digest, layers }))
}

fn place(members: &Members, digest: &Digest) -> Option<Place> {
    members.place(&path(digest))
}

/// Where a blob is in an image layout.
pub(super) fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// A manifest or a configuration, its digest checked.
fn blob(
    input: &Input<'_>,
    members: &Members,
    digest: &Digest,
) -> Result<Option<Vec<u8>>, ImageError> {
    let Some(bytes) = members.document(input, &path(digest))? else { return Ok(None) };
    let actual = sha256(&bytes);
    if actual == *digest {
        return Ok(Some(bytes));
    }
    Err(ArchiveError::Mismatch {
        archive: input.name.clone(),
        what: "a manifest or configuration".to_owned(),
        expected: digest.clone(),
        actual,
    }
    .into())
}
