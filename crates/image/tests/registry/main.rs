//! Pulling from registries that misbehave, and proving who one is.

mod hostile;
mod server;

use serde_json::json;
use server::{Answer, BLOB, Fault, INDEX, MANIFEST, Registry, digest};
use tandem_home::Home;
use tandem_image::{
    Access, Credentials, Image, ImageError, LoginFiles, PullOptions, RegistryError, Store, login,
    pull,
};
use tandem_model::ImageRef;

struct Place {
    dir: tempfile::TempDir,
    home: Home,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(dir.path())).unwrap();
        Self { store: Store::open(&home).unwrap(), home, dir }
    }

    async fn pull(&self, reference: &ImageRef) -> Result<Image, ImageError> {
        self.pull_as(reference, Access::Anonymous).await
    }

    async fn pull_as(&self, reference: &ImageRef, access: Access) -> Result<Image, ImageError> {
        let options = PullOptions { access, ..PullOptions::default() };
        pull(&self.store, reference, &options, |_| ()).await
    }

    async fn refusal(&self, reference: &ImageRef) -> RegistryError {
        registry_error(self.pull(reference).await)
    }

    fn blobs(&self) -> usize {
        self.count("images/blobs/sha256")
    }

    fn partial(&self) -> usize {
        self.count("cache/downloads")
    }

    fn count(&self, folder: &str) -> usize {
        std::fs::read_dir(self.dir.path().join(folder)).map_or(0, Iterator::count)
    }

    /// The whole image is there and unpacked.
    fn is_right(&self, image: &Image) {
        let never = |line: &str| panic!("the pull left it to be unpacked: {line}");
        let dirs = self.store.layer_dirs(image, &never).unwrap();
        assert!(dirs.last().unwrap().join("file").is_file());
        assert_eq!(self.partial(), 0);
        assert_eq!(self.count("tmp"), 1, "only the lock");
    }
}

fn registry_error(result: Result<Image, ImageError>) -> RegistryError {
    match result {
        Err(ImageError::Registry(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn ann() -> Credentials {
    Credentials::Password { name: "ann".into(), secret: "s".into() }
}

/// What curl sends for ann.
const ANN: &str = "Basic YW5uOnM=";
const SIZE: usize = 3 << 20;

#[tokio::test]
async fn a_list_leads_to_the_platform_and_the_digest_names_it() {
    let registry = Registry::start();
    let (manifest, _) = registry.image("app", "here", 64);
    let own = oci_spec::image::Arch::default().to_string();
    let entry = |architecture: &str, digest: &str| {
        json!({"mediaType": MANIFEST, "digest": digest, "size": manifest.len(),
            "platform": {"os": "linux", "architecture": architecture}})
    };
    let (here, other) = (digest(&manifest), digest(b"other"));
    let list = |entries: &[serde_json::Value]| {
        let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
        Answer::Bytes(INDEX, list.to_string().into_bytes())
    };
    registry.answer("/v2/app/manifests/all", list(&[entry("s390x", &other), entry(&own, &here)]));
    registry.answer("/v2/app/manifests/foreign", list(&[entry("s390x", &other)]));

    let place = Place::new();
    let image = place.pull(&registry.reference("app:all")).await.unwrap();
    assert_eq!(image.digest.to_string(), here);
    place.is_right(&image);
    let error = place.refusal(&registry.reference("app:foreign")).await.to_string();
    assert!(error.contains("but for linux/s390x") && error.contains("--platform"), "{error}");
    let by_digest = registry.reference(&format!("app@{here}"));
    assert_eq!(place.pull(&by_digest).await.unwrap().digest, image.digest);
    // The image itself says what it is for when no list does.
    let platform = Some("linux/riscv64".parse().unwrap());
    let options = PullOptions { platform, access: Access::Anonymous, unpack: true, name: None };
    let pulled = pull(&place.store, &registry.reference("app:here"), &options, |_| ()).await;
    let error = registry_error(pulled);
    assert!(matches!(error, RegistryError::Platform { .. }), "{error:?}");
}

#[tokio::test]
async fn changed_bytes_are_never_stored() {
    let registry = Registry::start();
    let (_, layer) = registry.image("app", "1", 1024);
    let Answer::Bytes(_, good) = registry.answer_of(&layer) else { panic!("no bytes") };
    registry.answer(&layer, Answer::Bytes(BLOB, vec![1; good.len()]));
    let place = Place::new();
    let error = place.refusal(&registry.reference("app:1")).await;
    assert!(matches!(error, RegistryError::Mismatch { .. }), "{error:?}");
    assert!(place.store.list(false).unwrap().is_empty());
    assert!(place.blobs() <= 1, "at most the configuration, which was right");
    assert_eq!(place.partial(), 0);
    assert!(place.count("tmp") <= 1, "at most the lock");
    // More bytes than announced end the download.
    registry.answer(&layer, Answer::Bytes(BLOB, [good, vec![0; 1024]].concat()));
    let error = place.refusal(&registry.reference("app:1")).await.to_string();
    assert!(error.contains("more bytes than it announced"), "{error}");
    // A manifest that is not the one asked for.
    let wanted = digest(b"wanted");
    let (manifest, _) = registry.image("app", "2", 8);
    let path = format!("/v2/app/manifests/{wanted}");
    registry.answer(&path, Answer::Bytes(MANIFEST, manifest));
    let error = place.refusal(&registry.reference(&format!("app@{wanted}"))).await;
    assert!(matches!(error, RegistryError::Mismatch { .. }), "{error:?}");
    assert!(place.store.list(false).unwrap().is_empty());
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_ended() {
    let registry = Registry::start();
    let (_, layer) = registry.image("app", "1", SIZE);
    registry.faults(&layer, [Fault::Cut(2 << 20), Fault::Cut(100_000)]);
    let place = Place::new();
    let image = place.pull(&registry.reference("app:1")).await.unwrap();
    place.is_right(&image);
    let ranges: Vec<_> = registry.asked(&layer).into_iter().map(|asked| asked.range).collect();
    let expected = [None, Some("bytes=2097152-".into()), Some("bytes=2197152-".into())];
    assert_eq!(ranges, expected);
}

#[tokio::test]
async fn a_later_pull_goes_on_with_what_an_earlier_one_got() {
    let registry = Registry::start();
    let (_, layer) = registry.image("app", "1", SIZE);
    registry.faults(&layer, [Fault::Cut(2 << 20), Fault::Status("400 Bad", String::new())]);
    let place = Place::new();
    let error = place.refusal(&registry.reference("app:1")).await;
    assert!(matches!(error, RegistryError::Answer { .. }), "{error:?}");
    assert_eq!((place.partial(), place.count("tmp")), (1, 1));
    let image = place.pull(&registry.reference("app:1")).await.unwrap();
    place.is_right(&image);
    let last = registry.asked(&layer).pop().unwrap();
    assert_eq!(last.range.as_deref(), Some("bytes=2097152-"));
}

#[tokio::test]
async fn a_server_that_lies_about_parts_damages_nothing() {
    for lie in [Fault::OtherPart, Fault::WrongBytes, Fault::Whole] {
        let registry = Registry::start();
        let (_, layer) = registry.image("app", "1", SIZE);
        registry.faults(&layer, [Fault::Cut(2 << 20), lie]);
        let place = Place::new();
        let image = place.pull(&registry.reference("app:1")).await.unwrap();
        place.is_right(&image);
    }
}

#[tokio::test]
async fn trouble_that_passes_is_waited_for_and_long_waits_are_said() {
    let registry = Registry::start();
    let (_, layer) = registry.image("app", "1", 1024);
    let manifest = "/v2/app/manifests/1";
    let many = |wait: &str| Fault::Status("429 Many", format!("Retry-After: {wait}\r\n"));
    registry.faults(manifest, [many("0"), Fault::Status("503 Later", String::new())]);
    registry.faults(&layer, [Fault::Status("502 Bad", String::new())]);
    let place = Place::new();
    let image = place.pull(&registry.reference("app:1")).await.unwrap();
    place.is_right(&image);
    registry.faults(manifest, [many("3600")]);
    let error = place.refusal(&registry.reference("app:1")).await;
    assert!(error.to_string().contains("asks to wait 3600 s"), "{error}");
}

#[tokio::test]
async fn credentials_stay_with_their_registry() {
    let [registry, elsewhere] = [Registry::start(), Registry::start()];
    let (_, layer) = registry.image("app", "1", 1024);
    elsewhere.answer("/storage", registry.answer_of(&layer));
    let to = format!("http://{}/storage", elsewhere.address);
    registry.answer(&layer, Answer::Redirect(to));
    registry.guard(ANN, "WWW-Authenticate: Basic realm=\"x\"\r\n".into());
    let place = Place::new();
    let image = place.pull_as(&registry.reference("app:1"), Access::As(ann())).await.unwrap();
    place.is_right(&image);
    assert_eq!(registry.asked(&layer)[0].authorization.as_deref(), Some(ANN));
    assert_eq!(elsewhere.asked("/storage")[0].authorization, None);
    let bob = Credentials::Password { name: "bob".into(), secret: "x".into() };
    let pulled = place.pull_as(&registry.reference("app:1"), Access::As(bob)).await;
    let error = registry_error(pulled);
    assert!(matches!(error, RegistryError::WrongPassword { .. }), "{error:?}");
    let error = place.refusal(&registry.reference("app:1")).await;
    assert!(error.to_string().contains("wants a login"), "{error}");
}

/// A registry that lets in whoever has the token `t`, and gives it out itself.
fn with_tokens() -> Registry {
    let registry = Registry::start();
    let token = json!({"token": "t", "expires_in": 300}).to_string().into_bytes();
    registry.answer("/token", Answer::Bytes("application/json", token));
    let realm = format!("http://{}/token", registry.address);
    let challenge = format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"s\"\r\n");
    registry.guard("Bearer t", challenge);
    registry
}

#[tokio::test]
async fn a_token_is_fetched_once_with_whatever_proof_there_is() {
    let identity = Credentials::IdentityToken("refresh".into());
    for access in [Access::Anonymous, Access::As(ann()), Access::As(identity)] {
        let registry = with_tokens();
        registry.image("app", "1", 1024);
        let place = Place::new();
        let image = place.pull_as(&registry.reference("app:1"), access.clone()).await.unwrap();
        place.is_right(&image);
        let [asked] = &registry.asked("/token")[..] else { panic!("not one token") };
        let scope = "scope=repository%3Aapp%3Apull";
        match access {
            Access::Anonymous | Access::User => assert_eq!(asked.authorization, None),
            Access::As(Credentials::Password { .. }) => {
                assert_eq!(asked.authorization.as_deref(), Some(ANN));
            }
            Access::As(Credentials::IdentityToken(_)) => {
                assert_eq!((asked.method.as_str(), &asked.authorization), ("POST", &None));
                assert!(asked.body.contains("grant_type=refresh_token&refresh_token=refresh"));
                assert!(asked.body.contains(scope) && asked.body.contains("service=s"));
                continue;
            }
        }
        assert!(asked.path.contains(scope) && asked.path.contains("service=s"), "{}", asked.path);
    }
}

#[tokio::test]
async fn a_login_that_has_expired_is_told_from_a_wrong_password() {
    let registry = with_tokens();
    registry.answer("/token", Answer::Status("401 No", String::new()));
    let place = Place::new();
    let identity = Access::As(Credentials::IdentityToken("old".into()));
    let error = registry_error(place.pull_as(&registry.reference("app:1"), identity).await);
    assert!(matches!(error, RegistryError::LoginExpired { .. }), "{error:?}");
    let error =
        registry_error(place.pull_as(&registry.reference("app:1"), Access::As(ann())).await);
    assert!(matches!(error, RegistryError::WrongPassword { .. }), "{error:?}");
}

#[tokio::test]
async fn a_token_server_without_tls_gets_no_password() {
    let registry = Registry::start();
    let challenge = "WWW-Authenticate: Bearer realm=\"http://token.invalid/x\"\r\n";
    registry.guard("Bearer t", challenge.into());
    let place = Place::new();
    let pulled = place.pull_as(&registry.reference("app:1"), Access::As(ann())).await;
    let error = registry_error(pulled);
    assert!(matches!(error, RegistryError::Unencrypted { .. }), "{error:?}");
}

#[tokio::test]
async fn a_login_is_kept_only_when_the_registry_takes_it() {
    let registry = Registry::start();
    registry.guard(ANN, "WWW-Authenticate: Basic realm=\"x\"\r\n".into());
    registry.answer("/v2/", Answer::Bytes("application/json", b"{}".to_vec()));
    let place = Place::new();
    let path = place.dir.path().join("config.json");
    let files = LoginFiles::one(&path);
    let name = registry.address.to_string();
    let bob = Credentials::Password { name: "bob".into(), secret: "x".into() };
    let error = login(&place.home, &files, &name, &bob).await.unwrap_err();
    assert!(matches!(error, RegistryError::WrongPassword { .. }), "{error:?}");
    assert!(!path.exists());
    login(&place.home, &files, &name, &ann()).await.unwrap();
    assert!(std::fs::read_to_string(&path).unwrap().contains("YW5uOnM="));
}

#[tokio::test]
async fn mirrors_are_asked_first_and_the_next_one_when_they_cannot_help() {
    let [empty, full] = [Registry::start(), Registry::start()];
    full.image("hub/library/app", "1", 1024);
    let place = Place::new();
    let mirrors = json!({"docker.io": {"mirrors": [
        "127.0.0.1:1", format!("http://{}", empty.address), format!("{}/hub", full.address)]}});
    std::fs::write(place.dir.path().join("registries.json"), mirrors.to_string()).unwrap();
    let image = place.pull(&"app:1".parse().unwrap()).await.unwrap();
    place.is_right(&image);
    assert_eq!(image.reference.to_string(), "app:1");
    assert_eq!(empty.asked("/v2/library/app/manifests/1").len(), 1);
    let credentials = full.asked("/v2/hub/library/app/manifests/1");
    assert!(credentials.iter().all(|asked| asked.authorization.is_none()));
}

#[tokio::test]
async fn what_the_registry_lacks_or_denies_is_said() {
    let registry = Registry::start();
    let place = Place::new();
    let error = place.refusal(&registry.reference("app:none")).await;
    assert!(matches!(error, RegistryError::NotThere { .. }), "{error:?}");
    let tags = json!({"tags": ["1.0", "3.12-slim", "3.13-slim"]}).to_string().into_bytes();
    registry.answer("/v2/app/tags/list", Answer::Bytes("application/json", tags));
    let error = place.refusal(&registry.reference("app:3.12-slm")).await.to_string();
    assert!(error.ends_with("app:3.12-slm: did you mean the tag `3.12-slim`?"), "{error}");
    let denied = Answer::Status("403 No", String::new());
    registry.answer("/v2/app/manifests/secret", denied);
    let error = place.refusal(&registry.reference("app:secret")).await;
    assert!(matches!(error, RegistryError::Denied { .. }), "{error:?}");
    let garbage = Answer::Bytes(MANIFEST, b"{\"layers\": 7}".to_vec());
    registry.answer("/v2/app/manifests/garbage", garbage);
    let error = place.refusal(&registry.reference("app:garbage")).await;
    assert!(matches!(error, RegistryError::Answer { .. }), "{error:?}");
    // Port 1 of this machine has no listener.
    let error = place.refusal(&"127.0.0.1:1/nothing:here".parse().unwrap()).await;
    assert!(
        matches!(&error, RegistryError::Unreachable { registry, .. } if registry == "127.0.0.1:1"),
        "{error:?}"
    );
    let local: ImageRef = "localhost/tandem/python:3.11-bookworm".parse().unwrap();
    assert!(matches!(place.pull(&local).await, Err(ImageError::NotFound { .. })));
}
