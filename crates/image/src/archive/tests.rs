use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use serde_json::json;
use tandem_home::Home;
use tandem_model::Digest;

use super::*;
use crate::{Image, ImageError, Layer, Store, Transfer, image::sha256};

pub(super) struct Place {
    dir: tempfile::TempDir,
    pub(super) store: Store,
}

impl Place {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(&dir.path().join("home"))).unwrap();
        Self { store: Store::open(&home).unwrap(), dir }
    }

    pub(super) fn image(&self, tag: &str, files: &[&str]) -> Image {
        let mut layers: Vec<Layer> = Vec::new();
        let mut parent: Option<Digest> = None;
        for file in files {
            let upper = tempfile::tempdir_in(self.dir.path()).unwrap().keep();
            fs::write(upper.join(file), file.repeat(2000)).unwrap();
            let layer = self.store.commit_layer_dir(&upper, parent.as_ref()).unwrap();
            parent = Some(layer.chain_id.clone());
            layers.push(layer.into());
        }
        let config = oci_spec::image::ImageConfigurationBuilder::default()
            .architecture(oci_spec::image::Arch::default())
            .os(oci_spec::image::Os::Linux)
            .build()
            .unwrap();
        self.store.put_image(&tag.parse().unwrap(), config, &layers).unwrap()
    }

    pub(super) fn save(&self, images: &[Image], format: ArchiveFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        save_into(&self.store, images, format, &mut bytes, &|| false, &|_| ()).unwrap();
        bytes
    }

    pub(super) fn load(&self, bytes: &[u8]) -> Result<Vec<Image>, ImageError> {
        let path = self.write(bytes);
        load(&self.store, &ArchiveSource::File(path), &|| false, &|_: Transfer| ())
    }

    fn write(&self, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("archive");
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Nothing in the store and nothing on the way to it.
    pub(super) fn assert_empty(&self) {
        let home = self.store.home();
        let visible = |dir: &Path| {
            let entries = fs::read_dir(dir).unwrap().flatten();
            entries.filter(|it| !it.file_name().to_string_lossy().starts_with('.')).count()
        };
        assert_eq!(self.store.list(false).unwrap().len(), 0);
        for dir in [home.temporary(), home.layers(), home.images().join("blobs/sha256")] {
            assert_eq!(visible(&dir), 0, "{}", dir.display());
        }
    }
}

pub(super) fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // The builder would refuse the names that are to be refused here.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A Docker archive as Docker before 25 wrote it, with one layer twice.
fn old_docker_archive() -> Vec<u8> {
    let layer = tar(&[("file", b"content")]);
    let diff_id = sha256(&layer);
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/file"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id, diff_id]}
    });
    let config = config.to_string().into_bytes();
    let name = format!("{}.json", sha256(&config).hex());
    let manifest = json!([{
        "Config": name, "RepoTags": ["old:1", "old:2"], "Layers": ["a/layer.tar", "b/layer.tar"]
    }]);
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("a/VERSION", &b"1.0"[..]),
        ("a/layer.tar", &layer),
        (name.as_str(), &config),
        ("manifest.json", manifest.to_string().as_bytes()),
        ("repositories", b"{}"),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes).unwrap();
    }
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "b/layer.tar", "../a/layer.tar").unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn several_images_come_back_with_their_digests_and_names() {
    let from = Place::new();
    let one = from.image("one:1", &["base", "top"]);
    let two = from.image("localhost:5000/class/two", &["base", "other"]);
    let again = from.store.tag(&one.reference, &"uno".parse().unwrap()).unwrap();
    for format in [ArchiveFormat::Oci, ArchiveFormat::Docker] {
        let bytes = from.save(&[one.clone(), two.clone(), again.clone()], format);
        assert_eq!(bytes, from.save(&[one.clone(), two.clone(), again.clone()], format));
        let to = Place::new();
        let loaded = to.load(&bytes).unwrap();
        let seen: Vec<_> = loaded.iter().map(|it| (it.reference.to_string(), &it.digest)).collect();
        let expected = [
            ("one:1".to_owned(), &one.digest),
            ("uno:latest".to_owned(), &one.digest),
            ("localhost:5000/class/two:latest".to_owned(), &two.digest),
        ];
        assert_eq!(seen, expected);
        let never = |line: &str| panic!("not unpacked yet: {line}");
        let dirs = to.store.layer_dirs(&two, &never).unwrap();
        assert_eq!(fs::read_to_string(dirs[1].join("other")).unwrap().len(), 10_000);
        // Once more changes nothing.
        to.load(&bytes).unwrap();
        assert_eq!(to.store.list(false).unwrap().len(), 3);
    }
}

#[test]
fn compressed_archives_are_read_and_others_named() {
    let from = Place::new();
    let bytes = from.save(&[from.image("x", &["f"])], ArchiveFormat::Oci);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).unwrap();
    let zstd = zstd::encode_all(&bytes[..], 1).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&bytes).unwrap();
    let options = lzma_rust2::XzOptions::default();
    let mut xz = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    xz.write_all(&bytes).unwrap();
    for packed in [gzip.finish().unwrap(), zstd, bzip2.finish().unwrap(), xz.finish().unwrap()] {
        assert_eq!(Place::new().load(&packed).unwrap().len(), 1);
        let to = Place::new();
        let error = to.load(&packed[..packed.len() / 2]).unwrap_err().to_string();
        assert!(error.contains("is not an archive of images"), "{error}");
        to.assert_empty();
    }
    let error = Place::new().load(b"\x04\x22\x4d\x18rest").unwrap_err().to_string();
    assert!(error.contains("lz4 -d"), "{error}");
}

#[test]
fn what_docker_wrote_once_is_read_with_links_and_without_a_manifest() {
    let to = Place::new();
    let loaded = to.load(&old_docker_archive()).unwrap();
    let names: Vec<_> = loaded.iter().map(|image| image.reference.to_string()).collect();
    assert_eq!(names, ["old:1", "old:2"]);
    assert_eq!((loaded[0].layers.len(), loaded[0].digest == loaded[1].digest), (2, true));
    assert_eq!(loaded[0].layers[0].digest, loaded[0].layers[0].diff_id);
    // Saved again it is the same image.
    let bytes = to.save(&loaded, ArchiveFormat::Docker);
    assert_eq!(Place::new().load(&bytes).unwrap()[0].digest, loaded[0].digest);
}

#[test]
fn changed_bytes_are_named_and_nothing_is_kept() {
    let from = Place::new();
    let image = from.image("x", &["base", "top"]);
    let whole = from.save(std::slice::from_ref(&image), ArchiveFormat::Oci);
    let manifest = fs::read(from.store.blob_path(&image.digest)).unwrap();
    let layer = fs::read(from.store.blob_path(&image.layers[1].digest)).unwrap();
    for blob in [manifest, layer] {
        let at = whole.windows(blob.len()).position(|window| window == blob).unwrap();
        let mut changed = whole.clone();
        changed[at + blob.len() / 2] ^= 1;
        let to = Place::new();
        let error = to.load(&changed).unwrap_err();
        assert!(matches!(error, ImageError::Archive(ArchiveError::Mismatch { .. })), "{error}");
        to.assert_empty();
    }
}

#[test]
fn what_is_no_archive_is_said() {
    let config =
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let item = |text: &str| tar(&[("manifest.json", text.as_bytes()), ("c.json", config)]);
    for (bytes, says) in [
        (Vec::new(), "it is empty"),
        (b"hello, this is no archive".repeat(100), "checksum"),
        (tar(&[("hello", b"x")]), "neither index.json nor manifest.json"),
        (tar(&[("repositories", b"{}")]), "before 1.10"),
        (tar(&[("index.json", b"[")]), "index.json cannot be read"),
        (tar(&[("index.json", br#"{"schemaVersion":2,"manifests":[]}"#)]), "no image"),
        (item("{}"), "manifest.json cannot be read"),
        (item(r#"[{"Config":"no","Layers":[]}]"#), "it has no `no`"),
        (item(r#"[{"Config":"../c.json","Layers":[]}]"#), "it has no"),
        (item(r#"[{"Config":"c.json","Layers":["x"]}]"#), "names 1 layers"),
        (item(r#"[{"Config":"c.json","Layers":[],"RepoTags":["A B"]}]"#), "names an image wrongly"),
        (tar(&[("../../escape", b"x")]), "reach outside"),
    ] {
        let to = Place::new();
        let error = to.load(&bytes).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("is not an archive"), "{says}: {error}");
        to.assert_empty();
    }
    let to = Place::new();
    let missing = ArchiveSource::File(to.dir.path().join("none"));
    let error = load(&to.store, &missing, &|| false, &|_| ()).unwrap_err().to_string();
    assert!(error.contains("there is no archive"), "{error}");
}

#[test]
fn a_load_that_is_given_up_leaves_nothing() {
    let from = Place::new();
    let bytes = from.save(&[from.image("x", &["a", "b", "c"])], ArchiveFormat::Oci);
    let to = Place::new();
    let path = to.write(&bytes);
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let stop = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 12;
    let ended = load(&to.store, &ArchiveSource::File(path), &stop, &|_| ());
    assert!(matches!(ended, Err(ImageError::Archive(ArchiveError::Stopped))), "{ended:?}");
    to.assert_empty();
}

#[test]
fn a_damaged_store_is_not_saved() {
    let from = Place::new();
    let image = from.image("x", &["a"]);
    let path = from.store.blob_path(&image.layers[0].digest);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let file = from.dir.path().join("out.tar");
    let error =
        save(&from.store, &[image], ArchiveFormat::Oci, &file, &|| false, &|_| ()).unwrap_err();
    assert!(matches!(error, ImageError::Damaged { .. }), "{error}");
    let left: Vec<_> = fs::read_dir(from.dir.path())
        .unwrap()
        .flatten()
        .map(|it| it.file_name())
        .filter(|name| name.to_string_lossy().contains("tandem"))
        .collect();
    assert!(!file.exists() && left.is_empty(), "{left:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_cut_or_changed_archive_ends_in_an_answer(cut in 0usize..9000, at in 0usize..9000, bit in 0u8..8) {
        let mut bytes = old_docker_archive();
        bytes.truncate(bytes.len().saturating_sub(cut % bytes.len()));
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << bit;
        }
        let to = Place::new();
        if to.load(&bytes).is_err() {
            to.assert_empty();
        }
    }
}
