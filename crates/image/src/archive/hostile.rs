//! Archives and layouts whose documents lie about one another.

use std::{fs, os::unix::fs::symlink, time::Instant};

use serde_json::{Value, json};

use super::{
    tests::{Place, tar},
    *,
};
use crate::image::sha256;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Documents that name one another by digest.
#[derive(Default)]
struct Documents(Vec<Vec<u8>>);

impl Documents {
    /// Adds bytes; what names them.
    fn add(&mut self, kind: &str, bytes: &[u8]) -> Value {
        self.0.push(bytes.to_vec());
        json!({"mediaType": kind, "digest": sha256(bytes), "size": bytes.len()})
    }

    fn document(&mut self, kind: &str, document: &Value) -> Value {
        self.add(kind, document.to_string().as_bytes())
    }

    /// A whole image.
    fn image(&mut self) -> Value {
        let layer = tar(&[("file", b"content")]);
        let config = json!({"architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [sha256(&layer)]}});
        json!({"schemaVersion": 2, "mediaType": MANIFEST,
            "config": self.document("application/vnd.oci.image.config.v1+json", &config),
            "layers": [self.add("application/vnd.oci.image.layer.v1.tar", &layer)]})
    }

    fn list(&mut self, entries: &[Value]) -> Value {
        let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
        self.document(INDEX, &list)
    }

    /// An archive whose index has these entries.
    fn archive(&self, entries: &[Value]) -> Vec<u8> {
        let index = json!({"schemaVersion": 2, "manifests": entries}).to_string();
        let names: Vec<String> =
            self.0.iter().map(|it| format!("blobs/sha256/{}", sha256(it).hex())).collect();
        let blobs = names.iter().map(String::as_str).zip(self.0.iter().map(Vec::as_slice));
        tar(&blobs.chain([("index.json", index.as_bytes())]).collect::<Vec<_>>())
    }

    /// Why neither the archive nor the same as a folder is taken.
    fn refusal(&self, entry: &Value) -> String {
        let bytes = self.archive(std::slice::from_ref(entry));
        let to = Place::new();
        let error = to.load(&bytes).unwrap_err().to_string();
        to.assert_empty();
        let dir = tempfile::tempdir().unwrap();
        ::tar::Archive::new(&bytes[..]).unpack(dir.path()).unwrap();
        assert!(layout(&to, dir.path()).is_err(), "the folder is taken: {error}");
        to.assert_empty();
        error
    }
}

fn layout(to: &Place, folder: &std::path::Path) -> Result<crate::Image, crate::ImageError> {
    load_layout(&to.store, folder, &LayoutImage::Only, &|| false, &|_| ())
}

#[test]
fn nothing_is_a_list_and_an_image_at_once() {
    for kind in [MANIFEST, INDEX] {
        let mut documents = Documents::default();
        let mut image = documents.image();
        let entry = documents.document(MANIFEST, &image);
        image["manifests"] = json!([entry]);
        image["mediaType"] = json!(kind);
        for image in [image.clone(), without(image, "mediaType")] {
            let entry = documents.document(kind, &image);
            assert!(documents.refusal(&entry).contains("two things"), "{kind}");
        }
    }
}

fn without(mut document: Value, field: &str) -> Value {
    document.as_object_mut().unwrap().remove(field);
    document
}

#[test]
fn what_is_named_as_something_else_is_refused() {
    let mut documents = Documents::default();
    let image = documents.image();
    let as_list = documents.document(INDEX, &image);
    assert!(documents.refusal(&as_list).contains("named as"));
    let entry = documents.document(MANIFEST, &image);
    let mut list = documents.list(&[entry]);
    list["mediaType"] = json!(MANIFEST);
    assert!(documents.refusal(&list).contains("named as"));
    // The configuration as a layer, and the reverse.
    let mut swapped = image.clone();
    swapped["layers"] = json!([image["config"]]);
    let entry = documents.document(MANIFEST, &swapped);
    assert!(documents.refusal(&entry).contains("which is none"));
    let mut swapped = image.clone();
    swapped["config"] = image["layers"][0].clone();
    let entry = documents.document(MANIFEST, &swapped);
    assert!(documents.refusal(&entry).contains("no image"));
}

#[test]
fn every_size_must_be_the_one_that_is_told() {
    for place in ["/size", "/config/size", "/layers/0/size"] {
        for change in [1, u64::MAX] {
            let mut documents = Documents::default();
            let mut image = documents.image();
            let told = image.pointer(place).and_then(Value::as_u64).unwrap_or_default();
            if let Some(size) = image.pointer_mut(place) {
                *size = json!(told.wrapping_add(change));
            }
            let mut entry = documents.document(MANIFEST, &image);
            if place == "/size" {
                let told = entry["size"].as_u64().unwrap();
                entry["size"] = json!(told.wrapping_add(change));
            }
            let error = documents.refusal(&entry);
            assert!(error.contains("bytes"), "{place}: {error}");
        }
    }
}

#[test]
fn lists_within_lists_end() {
    // Lists that lie too deep.
    let mut documents = Documents::default();
    let image = documents.image();
    let mut entry = documents.document(MANIFEST, &image);
    for _ in 0..5 {
        entry = documents.list(&[entry]);
    }
    assert!(documents.refusal(&entry).contains("too deep"));
    // One that names itself cannot have the digest by which it does.
    let documents = Documents::default();
    let own = json!({"mediaType": INDEX, "digest": sha256(b"itself"), "size": 6});
    let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [own]}).to_string();
    let mut bytes = documents.archive(std::slice::from_ref(&own));
    let name = format!("blobs/sha256/{}", sha256(b"itself").hex());
    let member = tar(&[(&name, list.as_bytes())]);
    bytes.splice(0..0, member[..member.len() - 1024].iter().copied());
    let to = Place::new();
    let error = to.load(&bytes).unwrap_err();
    assert!(error.to_string().contains("digest"), "{error}");
    to.assert_empty();
}

#[test]
fn lists_that_name_each_other_often_take_no_time() {
    // Three levels of a thousand names each would be a billion ways.
    let mut documents = Documents::default();
    let gone = json!({"mediaType": MANIFEST, "digest": sha256(b"gone"), "size": 4});
    let mut entry = documents.list(&vec![gone; 1000]);
    for _ in 0..2 {
        entry = documents.list(&vec![entry; 1000]);
    }
    let begun = Instant::now();
    let to = Place::new();
    let error = to.load(&documents.archive(&vec![entry; 1000])).unwrap_err();
    assert!(error.to_string().contains("no image"), "{error}");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    to.assert_empty();
}

#[test]
fn a_layout_leads_nowhere_and_nothing_in_it_is_waited_for() {
    let from = Place::new();
    let bytes = from.save(&[from.image("x:latest", &["f"])], ArchiveFormat::Oci);
    let canary = tempfile::tempdir().unwrap();
    let load = |name: &str, replace: &dyn Fn(&std::path::Path, &std::path::Path)| {
        let dir = tempfile::tempdir().unwrap();
        ::tar::Archive::new(&bytes[..]).unpack(dir.path()).unwrap();
        let path = dir.path().join(name);
        let aside = canary.path().join("aside");
        let _ = fs::remove_dir_all(&aside).or_else(|_| fs::remove_file(&aside));
        fs::rename(&path, &aside).unwrap();
        replace(&path, &aside);
        let to = Place::new();
        let error = layout(&to, dir.path()).unwrap_err().to_string();
        to.assert_empty();
        error
    };
    let layer = from.store.resolve(&"x:latest".parse().unwrap()).unwrap().layers[0].digest.clone();
    let layer = format!("blobs/sha256/{}", layer.hex());
    for name in ["index.json", "blobs", "blobs/sha256", &layer] {
        // The same bytes, but from outside.
        let error = load(name, &|path, aside| symlink(aside, path).unwrap());
        assert!(error.contains("leads out"), "{name}: {error}");
    }
    for name in ["index.json", &layer] {
        let error = load(name, &|path, _| {
            rustix::fs::mknodat(
                rustix::fs::CWD,
                path,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
                0,
            )
            .unwrap();
        });
        assert!(error.contains("no file"), "{name}: {error}");
    }
}
