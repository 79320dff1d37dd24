use std::{fs, path::PathBuf};

use oci_spec::image::ImageConfigurationBuilder;
use tandem_home::Home;
use tandem_model::Digest;

use super::*;
use crate::Layer;

struct Place {
    _dir: tempfile::TempDir,
    store: Store,
}

impl Place {
    /// One image, `app`, of two layers.
    fn new() -> (Self, Image) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(&dir.path().join("home"))).unwrap();
        let place = Self { store: Store::open(&home).unwrap(), _dir: dir };
        let mut layers: Vec<Layer> = Vec::new();
        let mut parent: Option<Digest> = None;
        for file in ["base", "top"] {
            let upper = tempfile::tempdir_in(home.temporary()).unwrap().keep();
            fs::write(upper.join(file), file.repeat(3000)).unwrap();
            let layer = place.store.commit_layer_dir(&upper, parent.as_ref()).unwrap();
            parent = Some(layer.chain_id.clone());
            layers.push(layer.into());
        }
        let config = ImageConfigurationBuilder::default().build().unwrap();
        let image = place.store.put_image(&"app".parse().unwrap(), config, &layers).unwrap();
        (place, image)
    }

    fn check(&self, repair: bool) -> Vec<Finding> {
        self.check_beside(repair, &|_| false)
    }

    fn check_beside(&self, repair: bool, is_up: &dyn Fn(&str) -> bool) -> Vec<Finding> {
        let options = CheckOptions { repair, is_up, progress: &|_| () };
        self.store.check(options).unwrap()
    }

    /// The one finding, mended by a repair after which all is well.
    fn mended(&self) -> Finding {
        let found = self.check(false);
        assert!(found.len() == 1 && found[0].repaired.is_none(), "{found:?}");
        let mended = self.check(true);
        assert!(mended.iter().all(|it| it.repaired.is_some()), "{mended:?}");
        assert_eq!(self.check(false), []);
        mended.into_iter().next().unwrap()
    }

    fn layer_file(&self, image: &Image) -> PathBuf {
        self.store.layer_dir(&image.chain_ids()[1]).join("top")
    }

    fn instance_of(&self, image: &Image, name: &str) {
        let dir = self.store.home().instances().join("0123456789ab");
        fs::create_dir(&dir).unwrap();
        let spec = serde_json::json!({"name": name, "image": "app:latest", "digest": image.digest});
        let record = serde_json::json!({ "spec": spec });
        fs::write(dir.join("instance.json"), record.to_string()).unwrap();
    }
}

fn spoil(path: &std::path::Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_sound_store_has_nothing_to_say() {
    let (place, _) = Place::new();
    assert_eq!(place.check(false), []);
}

#[test]
fn a_damaged_or_missing_blob_is_packed_again() {
    let (place, image) = Place::new();
    let blob = place.store.blob_path(&image.layers[1].digest);
    let good = fs::read(&blob).unwrap();
    spoil(&blob);
    let finding = place.mended();
    assert_eq!(finding.kind, FindingKind::Blob);
    assert!(finding.detail.contains("have the digest"), "{finding}");
    assert_eq!(fs::read(&blob).unwrap(), good);
    fs::remove_file(&blob).unwrap();
    assert!(place.mended().detail.contains("missing"));
}

#[test]
fn a_layer_that_was_changed_is_unpacked_again_unless_an_instance_stands_on_it() {
    let (place, image) = Place::new();
    let file = place.layer_file(&image);
    place.instance_of(&image, "web");
    fs::write(&file, "short").unwrap();
    let found = place.check_beside(true, &|id| id == "0123456789ab");
    assert!(
        found[0].repaired.is_none() && found[0].advice.contains("tandem stop web"),
        "{found:?}"
    );
    assert_eq!(place.mended().kind, FindingKind::Layer);
    assert_eq!(fs::read_to_string(&file).unwrap().len(), 9000);
    fs::remove_file(&file).unwrap();
    assert!(place.mended().detail.contains("is missing"));
    fs::write(file.with_file_name("extra"), "").unwrap();
    assert!(place.mended().detail.contains("does not belong"));
}

#[test]
fn a_name_that_points_nowhere_is_taken_away_with_what_was_its_own() {
    let (place, image) = Place::new();
    fs::remove_file(place.store.blob_path(&image.config_digest)).unwrap();
    let found = place.check(false);
    assert_eq!(found[0].kind, FindingKind::Image, "{found:?}");
    place.check(true);
    assert!(place.store.list(true).unwrap().is_empty());
    assert_eq!(place.check(false), []);
    assert_eq!(fs::read_dir(place.store.blobs()).unwrap().count(), 0);
}

#[test]
fn a_lost_index_is_made_anew_with_the_names_that_instances_know() {
    let (place, image) = Place::new();
    place.instance_of(&image, "web");
    fs::write(place.store.index_path(), "{").unwrap();
    assert_eq!(place.mended().kind, FindingKind::Index);
    assert_eq!(place.store.find("app").unwrap().digest, image.digest);
}

#[test]
fn an_instance_is_told_of_its_lost_image() {
    let (place, image) = Place::new();
    place.instance_of(&image, "web");
    let empty = br#"{"schemaVersion":2,"manifests":[]}"#;
    fs::write(place.store.index_path(), empty).unwrap();
    let found = place.check(true);
    assert!(found[0].kind == FindingKind::Instance && found[0].repaired.is_some(), "{found:?}");
    assert_eq!(place.store.find(image.digest.as_str()).unwrap().digest, image.digest);
    fs::remove_file(place.store.blob_path(&image.digest)).unwrap();
    fs::write(place.store.index_path(), empty).unwrap();
    let found = place.check(true);
    assert!(found[0].repaired.is_none() && found[0].advice.contains("tandem rm web"), "{found:?}");
}

#[test]
fn what_is_left_over_is_removed() {
    let (place, image) = Place::new();
    let home = place.store.home();
    let orphan = "ab".repeat(32);
    fs::write(place.store.blobs().join(&orphan), "x").unwrap();
    assert_eq!(place.mended().kind, FindingKind::Orphan);
    fs::create_dir_all(place.store.disks()).unwrap();
    fs::write(place.store.disks().join(format!("{orphan}-1.ext4")), "x").unwrap();
    let kept = place.store.disks().join(format!("{}-1.ext4", image.chain_ids()[1].hex()));
    fs::write(&kept, "x").unwrap();
    assert!(place.mended().what.contains("disk"));
    assert!(kept.exists());
    fs::write(home.layers().join(format!("{orphan}.json")), "{}").unwrap();
    assert!(place.mended().what.contains("note"));
    let deep = home.cache().join("build/steps/72");
    fs::create_dir_all(&deep).unwrap();
    for half in [home.images().join(".new-abc"), deep.join(".new-abc")] {
        fs::write(&half, "{").unwrap();
        assert_eq!(place.check(false), [], "it may be in the middle of being written");
        let old = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
        fs::File::open(&half).unwrap().set_modified(old).unwrap();
        assert_eq!(place.mended().kind, FindingKind::Leftover);
    }
}

#[test]
fn nothing_is_checked_while_something_comes_in() {
    let (place, _) = Place::new();
    let lease = place.store.lease().unwrap();
    let options = CheckOptions { repair: true, is_up: &|_| false, progress: &|_| () };
    assert!(matches!(place.store.check(options), Err(ImageError::Busy)));
    drop(lease);
}
