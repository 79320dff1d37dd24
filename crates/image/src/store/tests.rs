use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use oci_spec::image::{ConfigBuilder, ImageConfiguration, ImageConfigurationBuilder};
use tandem_home::Home;
use tandem_model::ImageRef;

use super::*;
use crate::NewLayer;

struct Place {
    dir: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(dir.path())).unwrap();
        Self { store: Store::open(&home).unwrap(), dir }
    }

    /// A folder with these files, within the home.
    fn upper(&self, files: &[(&str, &str)]) -> PathBuf {
        let dir = tempfile::tempdir_in(self.dir.path()).unwrap().keep();
        for (name, content) in files {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        dir
    }

    fn layer(&self, files: &[(&str, &str)], parent: Option<&NewLayer>) -> NewLayer {
        let parent = parent.map(|layer| &layer.chain_id);
        self.store.commit_layer_dir(&self.upper(files), parent).unwrap()
    }

    fn image(&self, tag: &str, layers: &[&NewLayer]) -> Image {
        let layers: Vec<Layer> = layers.iter().map(|layer| (*layer).clone().into()).collect();
        self.store.put_image(&name(tag), config(tag), &layers).unwrap()
    }

    fn instance_of(&self, image: &Image) {
        let dir = self.store.home().instances().join("0123456789ab");
        fs::create_dir(&dir).unwrap();
        let record =
            serde_json::json!({"spec": {"name": "web", "digest": image.digest}, "more": 1});
        fs::write(dir.join("instance.json"), record.to_string()).unwrap();
    }

    fn blobs(&self) -> usize {
        fs::read_dir(self.store.blobs()).unwrap().count()
    }
}

fn name(text: &str) -> ImageRef {
    text.parse().unwrap()
}

fn config(marker: &str) -> ImageConfiguration {
    let labels: std::collections::HashMap<_, _> =
        (0..20).map(|n| (format!("l{n}"), marker.to_owned())).collect();
    let run = ConfigBuilder::default().labels(labels).build().unwrap();
    ImageConfigurationBuilder::default()
        .created("2024-02-03T04:05:06Z".to_owned())
        .architecture(oci_spec::image::Arch::default())
        .os(oci_spec::image::Os::Linux)
        .config(run)
        .build()
        .unwrap()
}

#[test]
fn an_image_is_found_by_every_name_it_has() {
    let place = Place::new();
    let base = place.layer(&[("etc/base", "1")], None);
    let top = place.layer(&[("app", "2")], Some(&base));
    let image = place.image("hello-flask", &[&base, &top]);
    assert_eq!(image.layers.len(), 2);
    assert_eq!(image.top_chain_id().unwrap(), top.chain_id);
    assert_eq!(image.created_at.unwrap().to_string(), "2024-02-03T04:05:06Z");
    let digest = image.digest.to_string();
    let config = image.config_digest.short();
    for text in ["hello-flask", "hello-flask:latest", &digest, &digest[7..12], config] {
        assert_eq!(place.store.find(text).unwrap().digest, image.digest, "{text}");
    }
    for text in ["hello-flask:other", "beef", "Hello"] {
        assert!(place.store.find(text).is_err(), "{text}");
    }
    let by_digest = name(&format!("hello-flask@{digest}"));
    assert_eq!(place.store.resolve(&by_digest).unwrap().digest, image.digest);
    place.store.tag(&name("hello-flask"), &name("localhost/x:1")).unwrap();
    assert_eq!(place.store.resolve(&name("localhost/x:1")).unwrap().digest, image.digest);
}

#[test]
fn the_same_content_makes_the_same_image() {
    let [one, two] = [Place::new(), Place::new()].map(|place| {
        let upper = place.upper(&[("a", "1")]);
        let time = filetime(&upper.join("a"));
        let layer = place.store.commit_layer_dir(&upper, None).unwrap();
        (place.image("x", &[&layer]).digest, time)
    });
    assert_eq!(one, two);
}

/// Gives a file a fixed time.
fn filetime(path: &std::path::Path) -> i64 {
    let time = rustix::fs::Timespec { tv_sec: 1_000_000, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags).unwrap();
    time.tv_sec
}

#[test]
fn a_committed_folder_is_the_layer_and_the_blob_gives_it_again() {
    let place = Place::new();
    let upper = place.upper(&[("d/file", "content")]);
    fs::set_permissions(upper.join("d"), fs::Permissions::from_mode(0o750)).unwrap();
    let layer = place.store.commit_layer_dir(&upper, None).unwrap();
    assert!(!upper.exists());
    let image = place.image("x", &[&layer]);
    let never = |line: &str| panic!("unpacked though it is there: {line}");
    let dirs = place.store.layer_dirs(&image, &never).unwrap();
    assert_eq!(fs::read_to_string(dirs[0].join("d/file")).unwrap(), "content");
    fs::remove_dir_all(&dirs[0]).unwrap();
    let again = place.store.layer_dirs(&image, &|_| ()).unwrap();
    assert_eq!(fs::read_to_string(again[0].join("d/file")).unwrap(), "content");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(again[0].join("d")), 0o750);
    assert_eq!(mode(again[0].clone()), 0o755);
    // The same files once more: the folder goes, the layer stays.
    let twin = place.upper(&[("other", "")]);
    let first = place.store.commit_layer_dir(&twin, None).unwrap();
    assert!(place.store.is_unpacked(&first.chain_id));
    assert_eq!(fs::read_dir(place.store.home().temporary()).unwrap().count(), 1);
}

#[test]
fn a_changed_byte_is_noticed() {
    let place = Place::new();
    let layer = place.layer(&[("f", "x")], None);
    let image = place.image("x", &[&layer]);
    let config = place.store.blob_path(&image.config_digest);
    let good = fs::read(&config).unwrap();
    fs::write(&config, String::from_utf8_lossy(&good).replace("2024", "2025")).unwrap();
    let error = place.store.resolve(&name("x")).unwrap_err();
    assert!(matches!(error, ImageError::Damaged { .. }), "{error}");
    fs::write(&config, good).unwrap();

    // A layer that unpacks well, but is another one.
    let other = place.layer(&[("f", "y")], None);
    let mut lie: Layer = layer.clone().into();
    lie.diff_id = other.diff_id;
    let image = place.store.put_image(&name("lie"), self::config("lie"), &[lie]).unwrap();
    fs::remove_dir_all(place.store.layer_dir(&image.top_chain_id().unwrap())).unwrap();
    let error = place.store.layer_dirs(&image, &|_| ()).unwrap_err();
    assert!(error.to_string().contains(image.layers[0].diff_id.as_str()), "{error}");
    assert!(!place.store.is_unpacked(&image.top_chain_id().unwrap()));
}

#[test]
fn shared_layers_are_counted_once_and_outlive_one_image() {
    let place = Place::new();
    let base = place.layer(&[("base", &"b".repeat(100_000))], None);
    let top = place.layer(&[("top", "t")], Some(&base));
    let small = place.image("small", &[&base]);
    place.image("large", &[&base, &top]);
    let list = place.store.list(false).unwrap();
    let [large, small_row] = &list[..] else { panic!("{list:?}") };
    assert_eq!((large.layers, small_row.layers), (2, 1));
    assert_eq!(small_row.unique, DiskUse::default());
    assert!(large.unique.unpacked > 0 && large.unique.unpacked < large.unpacked_bytes);
    assert_eq!(large.unique.compressed, top.size);
    assert!(large.unpacked_bytes >= 100_000);
    assert_eq!(large.size_bytes, base.size + top.size);

    let removed = place.store.remove(&name("large"), false).unwrap();
    assert!(
        removed.files == 4 && removed.freed_bytes >= large.unique.unpacked + top.size,
        "{removed:?}"
    );
    place.store.layer_dirs(&small, &|line| panic!("{line}")).unwrap();
    place.store.remove(&name("small"), false).unwrap();
    assert_eq!(place.blobs(), 0);
    assert_eq!(fs::read_dir(place.store.home().layers()).unwrap().count(), 1, "only the locks");
    assert!(matches!(place.store.remove(&name("small"), false), Err(ImageError::NotFound { .. })));
}

#[test]
fn what_an_instance_or_a_build_uses_stays() {
    let place = Place::new();
    let old = place.image("app", &[&place.layer(&[("v", "1")], None)]);
    place.instance_of(&old);
    let error = place.store.remove(&name("app"), false).unwrap_err();
    assert!(matches!(&error, ImageError::InUse { instance, .. } if instance == "web"), "{error}");
    // A new build takes the name; the instance's image stays without one.
    place.image("app", &[&place.layer(&[("v", "2")], None)]);
    let lease = place.store.lease().unwrap();
    let loose = place.layer(&[("v", "3")], None);
    assert!(place.store.collect().unwrap().postponed);
    assert!(place.store.has_layer(&loose.clone().into()));
    drop(lease);
    let removed = place.store.collect().unwrap();
    assert_eq!(removed.files, 2, "the blob and the folder of the loose layer");
    place.store.layer_dirs(&old, &|line| panic!("{line}")).unwrap();
    assert_eq!(place.store.list(false).unwrap().len(), 1);
}

#[test]
fn many_at_once_lose_nothing() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let place = &place;
            scope.spawn(move || {
                let layer = place.layer(&[("same", "s")], None);
                place.image(&format!("image{n}"), &[&layer]);
            });
        }
    });
    assert_eq!(place.store.list(false).unwrap().len(), 8);
}
