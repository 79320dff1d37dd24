//! Registries whose documents are something else than they say.

use serde_json::{Value, json};

use super::{Answer, INDEX, MANIFEST, Place, Registry, RegistryError, digest};

/// A registry with one image, whose manifest is changed.
struct Served {
    registry: Registry,
    manifest: Value,
}

impl Served {
    fn new() -> Self {
        let registry = Registry::start();
        let (manifest, _) = registry.image("app", "good", 64);
        Self { manifest: serde_json::from_slice(&manifest).unwrap(), registry }
    }

    /// Serves a document as a media type, by the name and by its digest.
    fn serve(&self, kind: &'static str, document: &Value) -> Value {
        let bytes = document.to_string().into_bytes();
        let digest = digest(&bytes);
        for name in ["evil", &digest] {
            let path = format!("/v2/app/manifests/{name}");
            self.registry.answer(&path, Answer::Bytes(kind, bytes.clone()));
        }
        let platform = json!({"os": "linux",
            "architecture": oci_spec::image::Arch::default().to_string()});
        json!({"mediaType": kind, "digest": digest, "size": bytes.len(), "platform": platform})
    }

    /// Why the pull fails; nothing of it may stay.
    async fn refusal(&self) -> String {
        let place = Place::new();
        let error = place.pull(&self.registry.reference("app:evil")).await.unwrap_err();
        assert!(place.store.list(false).unwrap().is_empty());
        error.to_string()
    }
}

fn list(entries: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
}

#[tokio::test]
async fn nothing_is_served_as_two_things() {
    let served = Served::new();
    let entry = served.serve(MANIFEST, &served.manifest);
    // Either kind, with what makes it the other too.
    let mut both = served.manifest.clone();
    both["manifests"] = json!([entry]);
    for kind in [Some(MANIFEST), Some(INDEX), None] {
        match kind {
            Some(kind) => both["mediaType"] = json!(kind),
            None => drop(both.as_object_mut().unwrap().remove("mediaType")),
        }
        for header in [MANIFEST, INDEX] {
            served.serve(header, &both);
            assert!(served.refusal().await.contains("two things"), "{kind:?} as {header}");
        }
    }
    // One of them, served as the other.
    for document in [served.manifest.clone(), without_type(&served.manifest)] {
        served.serve(INDEX, &document);
        assert!(served.refusal().await.contains("serves a"), "{document}");
    }
    served.serve(MANIFEST, &list(std::slice::from_ref(&entry)));
    assert!(served.refusal().await.contains("serves a"));
    // A configuration in place of a layer, and the reverse.
    let mut swapped = served.manifest.clone();
    swapped["layers"] = json!([served.manifest["config"]]);
    served.serve(MANIFEST, &swapped);
    assert!(served.refusal().await.contains("which is none"));
    let mut swapped = served.manifest.clone();
    swapped["config"] = served.manifest["layers"][0].clone();
    served.serve(MANIFEST, &swapped);
    assert!(served.refusal().await.contains("configuration"));
}

fn without_type(document: &Value) -> Value {
    let mut document = document.clone();
    document.as_object_mut().unwrap().remove("mediaType");
    document
}

#[tokio::test]
async fn lists_do_not_lead_to_lists() {
    let served = Served::new();
    let entry = served.serve(MANIFEST, &served.manifest);
    let mut inner = served.serve(INDEX, &list(&[entry]));
    for kind in [INDEX, MANIFEST] {
        inner["mediaType"] = json!(kind);
        served.serve(INDEX, &list(std::slice::from_ref(&inner)));
        served.refusal().await;
    }
    // One that names itself: whatever it says, it has another digest.
    let own = json!({"mediaType": MANIFEST, "digest": digest(b"itself"), "size": 6,
        "platform": inner["platform"]});
    let itself = list(&[own]);
    served.serve(INDEX, &itself);
    let path = format!("/v2/app/manifests/{}", digest(b"itself"));
    served.registry.answer(&path, Answer::Bytes(INDEX, itself.to_string().into_bytes()));
    let place = Place::new();
    let before = served.registry.count();
    let error = place.refusal(&served.registry.reference("app:evil")).await;
    assert!(matches!(error, RegistryError::Mismatch { .. }), "{error:?}");
    assert!(served.registry.count() - before < 8, "{} requests", served.registry.count());
}

#[tokio::test]
async fn every_size_must_be_the_one_that_is_told() {
    for place in ["/size", "/config/size", "/layers/0/size"] {
        for change in [1, u64::MAX] {
            let served = Served::new();
            let mut manifest = served.manifest.clone();
            let changed = |told: u64| json!(told.wrapping_add(change));
            if let Some(size) = manifest.pointer_mut(place) {
                *size = changed(size.as_u64().unwrap());
            }
            let mut entry = served.serve(MANIFEST, &manifest);
            if place == "/size" {
                entry["size"] = changed(entry["size"].as_u64().unwrap());
            }
            served.serve(INDEX, &list(&[entry]));
            served.refusal().await;
        }
    }
}

#[tokio::test]
async fn layers_are_fetched_from_nowhere_else() {
    let (served, canary) = (Served::new(), Registry::start());
    for kind in [
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.v1.tar",
    ] {
        // One that the registry has, and one that only the other has.
        for gone in [false, true] {
            let mut manifest = served.manifest.clone();
            let bytes = b"elsewhere";
            if gone {
                manifest["layers"][0]["digest"] = json!(digest(bytes));
                manifest["layers"][0]["size"] = json!(bytes.len());
            }
            canary.answer("/layer", Answer::Bytes(super::BLOB, bytes.to_vec()));
            for place in ["config", "layers"] {
                let url = json!([format!("http://{}/layer", canary.address)]);
                match place {
                    "config" => manifest["config"]["urls"] = url,
                    _ => manifest["layers"][0]["urls"] = url,
                }
            }
            manifest["layers"][0]["mediaType"] = json!(kind);
            served.serve(MANIFEST, &manifest);
            let place = Place::new();
            let pulled = place.pull(&served.registry.reference("app:evil")).await;
            assert_eq!(pulled.is_err(), gone, "{kind}: {pulled:?}");
            assert_eq!(canary.count(), 0, "{kind}: the other server was asked");
        }
    }
}
