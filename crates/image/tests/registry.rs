//! Pulling from a registry of a few lines that misbehaves in known ways.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::json;
use tandem_home::Home;
use tandem_image::{Credentials, Image, ImageError, Store, pull, pull_as};
use tandem_model::ImageRef;

#[derive(Clone)]
enum Answer {
    Bytes(&'static str, Vec<u8>),
    Redirect(String),
    Denied,
}

/// Paths and the credentials sent with them.
type Asked = Vec<(String, Option<String>)>;

/// Answers by path, and remembers what it was asked.
struct Registry {
    address: SocketAddr,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    asked: Arc<Mutex<Asked>>,
}

impl Registry {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let registry = Self {
            address: listener.local_addr().unwrap(),
            answers: Arc::default(),
            asked: Arc::default(),
        };
        let (answers, asked) = (Arc::clone(&registry.answers), Arc::clone(&registry.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, asked) = (Arc::clone(&answers), Arc::clone(&asked));
                std::thread::spawn(move || serve(stream, &answers, &asked));
            }
        });
        registry
    }

    fn answer(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    fn blob(&self, bytes: &[u8]) -> serde_json::Value {
        let digest = digest(bytes);
        let path = format!("/v2/app/blobs/{digest}");
        self.answer(&path, Answer::Bytes("application/octet-stream", bytes.to_vec()));
        json!({"digest": digest, "size": bytes.len()})
    }

    /// An image of one layer; its manifest's bytes and the layer's digest.
    fn image(&self, tag: &str) -> (Vec<u8>, String) {
        let tar = vec![0u8; 1024];
        let mut layer = self.blob(&tar);
        layer["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar");
        let config = json!({"architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]}});
        let mut config = self.blob(config.to_string().as_bytes());
        config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
            "layers": [layer]});
        let bytes = manifest.to_string().into_bytes();
        for name in [tag, &digest(&bytes)] {
            let path = format!("/v2/app/manifests/{name}");
            self.answer(&path, Answer::Bytes(MANIFEST, bytes.clone()));
        }
        (bytes, layer["digest"].as_str().unwrap().to_owned())
    }

    fn reference(&self, tag: &str) -> ImageRef {
        format!("{}/app:{tag}", self.address).parse().unwrap()
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    tandem_model::Digest::from_sha256(&sha2::Sha256::digest(bytes).into()).to_string()
}

fn serve(
    stream: TcpStream,
    answers: &Mutex<HashMap<String, Answer>>,
    asked: &Mutex<Asked>,
) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
    let mut stream = stream;
    while let Some(request) = lines.next() {
        let path = request.split(' ').nth(1)?.to_owned();
        let headers: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let authorization = headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case("authorization").then(|| value.trim().to_owned())
        });
        asked.lock().unwrap().push((path.clone(), authorization.clone()));
        let answer = answers.lock().unwrap().get(&path).cloned();
        let (status, header, body) = match answer {
            Some(Answer::Bytes(kind, bytes)) => {
                ("200 OK", format!("Content-Type: {kind}\r\n"), bytes)
            }
            Some(Answer::Redirect(to)) => ("307 Moved", format!("Location: {to}\r\n"), vec![]),
            Some(Answer::Denied) if authorization.is_none() => {
                ("401 No", "WWW-Authenticate: Basic realm=\"x\"\r\n".to_owned(), vec![])
            }
            Some(Answer::Denied) => ("200 OK", String::new(), vec![]),
            None => ("404 Not Found", String::new(), vec![]),
        };
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\n{header}Content-Length: {length}\r\n\r\n").ok()?;
        stream.write_all(&body).ok()?;
    }
    None
}

struct Place {
    _dir: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(Some(dir.path())).unwrap();
        Self { store: Store::open(&home).unwrap(), _dir: dir }
    }

    async fn pull(&self, reference: &ImageRef) -> Result<Image, ImageError> {
        pull(&self.store, reference, |_| ()).await
    }

    fn blobs(&self) -> usize {
        std::fs::read_dir(self.store.home().images().join("blobs/sha256")).unwrap().count()
    }
}

#[tokio::test]
async fn a_list_leads_to_this_platform_and_the_digest_names_it() {
    let registry = Registry::start();
    let (manifest, _) = registry.image("amd64");
    let architecture = oci_spec::image::Arch::default().to_string();
    let entry = |architecture: &str, digest: String| {
        json!({"mediaType": MANIFEST, "digest": digest, "size": manifest.len(),
            "platform": {"os": "linux", "architecture": architecture}})
    };
    let other = digest(b"other");
    let list = json!({"schemaVersion": 2, "mediaType": INDEX,
        "manifests": [entry("s390x", other.clone()), entry(&architecture, digest(&manifest))]});
    let path = "/v2/app/manifests/all";
    registry.answer(path, Answer::Bytes(INDEX, list.to_string().into_bytes()));
    let foreign = json!({"schemaVersion": 2, "mediaType": INDEX,
        "manifests": [entry("s390x", other)]});
    let path = "/v2/app/manifests/foreign";
    registry.answer(path, Answer::Bytes(INDEX, foreign.to_string().into_bytes()));

    let place = Place::new();
    let image = place.pull(&registry.reference("all")).await.unwrap();
    assert_eq!(image.digest.to_string(), digest(&manifest));
    let dirs = place.store.layer_dirs(&image, &|_| ()).unwrap();
    assert!(dirs[0].is_dir());
    let error = place.pull(&registry.reference("foreign")).await.unwrap_err();
    assert!(matches!(error, ImageError::Unsupported { .. }), "{error}");
    let by_digest = format!("{}/app@{}", registry.address, digest(&manifest)).parse().unwrap();
    assert_eq!(place.pull(&by_digest).await.unwrap().digest, image.digest);
}

#[tokio::test]
async fn changed_bytes_are_never_stored() {
    let registry = Registry::start();
    let (_, layer) = registry.image("1");
    let path = format!("/v2/app/blobs/{layer}");
    registry.answer(&path, Answer::Bytes("application/octet-stream", vec![1; 1024]));
    let place = Place::new();
    let error = place.pull(&registry.reference("1")).await.unwrap_err();
    assert!(matches!(error, ImageError::DigestMismatch { .. }), "{error:?}");
    assert!(place.store.list().unwrap().is_empty());
    assert!(place.blobs() <= 1, "at most the configuration, which was right");
    // More bytes than announced end the download.
    registry.answer(&path, Answer::Bytes("application/octet-stream", vec![0; 1 << 20]));
    assert!(place.pull(&registry.reference("1")).await.is_err());
    // A manifest that is not the one asked for.
    let wanted = digest(b"wanted");
    let (manifest, _) = registry.image("2");
    let path = format!("/v2/app/manifests/{wanted}");
    registry.answer(&path, Answer::Bytes(MANIFEST, manifest));
    let reference = format!("{}/app@{wanted}", registry.address).parse().unwrap();
    assert!(place.pull(&reference).await.is_err());
    assert!(place.store.list().unwrap().is_empty());
}

#[tokio::test]
async fn credentials_stay_with_their_registry() {
    let [registry, elsewhere] = [Registry::start(), Registry::start()];
    registry.answer("/v2/", Answer::Denied);
    let (_, layer) = registry.image("1");
    let path = format!("/v2/app/blobs/{layer}");
    let blob = registry.answers.lock().unwrap()[&path].clone();
    elsewhere.answer("/storage", blob);
    registry.answer(&path, Answer::Redirect(format!("http://{}/storage", elsewhere.address)));
    let place = Place::new();
    let credentials = Credentials { name: "ann".into(), secret: "s".into() };
    pull_as(&place.store, &registry.reference("1"), Some(credentials), |_| ()).await.unwrap();
    let sent = |registry: &Registry, path: &str| {
        let asked = registry.asked.lock().unwrap();
        asked.iter().find(|(asked, _)| asked == path).unwrap().1.clone()
    };
    assert_eq!(sent(&registry, &path).as_deref(), Some("Basic YW5uOnM="));
    assert_eq!(sent(&elsewhere, "/storage"), None);
}

#[tokio::test]
async fn what_the_registry_lacks_or_denies_is_said() {
    let registry = Registry::start();
    let place = Place::new();
    let error = place.pull(&registry.reference("none")).await.unwrap_err();
    assert!(matches!(error, ImageError::NotInRegistry { .. }), "{error:?}");
    registry.answer("/v2/app/manifests/secret", Answer::Denied);
    let error = place.pull(&registry.reference("secret")).await.unwrap_err();
    assert!(matches!(error, ImageError::RegistryDenied { .. }), "{error:?}");
    let garbage = Answer::Bytes(MANIFEST, b"{\"layers\": 7}".to_vec());
    registry.answer("/v2/app/manifests/garbage", garbage);
    let error = place.pull(&registry.reference("garbage")).await.unwrap_err();
    assert!(matches!(error, ImageError::Registry { .. }), "{error:?}");
}
