//! A registry of a few lines that misbehaves in known ways.

use std::{
    collections::{HashMap, VecDeque},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::json;
use tandem_model::ImageRef;

/// What a path answers.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Bytes of a media type; parts of them when they are asked for.
    Bytes(&'static str, Vec<u8>),
    /// Another place.
    Redirect(String),
    /// A status with header lines, for ever.
    Status(&'static str, String),
}

/// What goes wrong once at a path.
#[derive(Clone)]
pub(crate) enum Fault {
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// Another part than the one asked for, with a true header.
    OtherPart,
    /// The part asked for, with other bytes.
    WrongBytes,
    /// Everything, whatever was asked for.
    Whole,
    /// A status with header lines.
    Status(&'static str, String),
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) range: Option<String>,
    pub(crate) body: String,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<HashMap<String, Answer>>,
    faults: Mutex<HashMap<String, VecDeque<Fault>>>,
    /// Who is let in: header lines for those without this authorization.
    guard: Mutex<Option<(String, String)>>,
    asked: Mutex<Vec<Asked>>,
}

/// Answers by path, and remembers what it was asked.
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const BLOB: &str = "application/octet-stream";

impl Registry {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared: Arc<Shared> = Arc::default();
        let mine = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&mine);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        self.shared.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    pub(crate) fn answer_of(&self, path: &str) -> Answer {
        self.shared.answers.lock().unwrap()[path].clone()
    }

    pub(crate) fn faults(&self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        self.shared.faults.lock().unwrap().insert(path.to_owned(), faults.into_iter().collect());
    }

    /// Lets only this authorization in below `/v2/`.
    pub(crate) fn guard(&self, authorization: &str, challenge: String) {
        *self.shared.guard.lock().unwrap() = Some((authorization.to_owned(), challenge));
    }

    /// How often it was asked for anything.
    pub(crate) fn count(&self) -> usize {
        self.shared.asked.lock().unwrap().len()
    }

    /// The requests for a path, without its query.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        let asked = self.shared.asked.lock().unwrap();
        let plain = |it: &&Asked| it.path.split('?').next() == Some(path);
        asked.iter().filter(plain).cloned().collect()
    }

    pub(crate) fn blob(&self, repository: &str, bytes: &[u8]) -> serde_json::Value {
        let digest = digest(bytes);
        let path = format!("/v2/{repository}/blobs/{digest}");
        self.answer(&path, Answer::Bytes(BLOB, bytes.to_vec()));
        json!({"digest": digest, "size": bytes.len()})
    }

    /// An image of one layer with this much in it; its manifest's bytes and
    /// the path of the layer.
    pub(crate) fn image(&self, repository: &str, tag: &str, size: usize) -> (Vec<u8>, String) {
        let tar = archive(size);
        let mut layer = self.blob(repository, &tar);
        layer["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar");
        let config = json!({"architecture": oci_spec::image::Arch::default().to_string(),
            "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]}});
        let mut config = self.blob(repository, config.to_string().as_bytes());
        config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config,
            "layers": [layer]});
        let bytes = manifest.to_string().into_bytes();
        for name in [tag, &digest(&bytes)] {
            let path = format!("/v2/{repository}/manifests/{name}");
            self.answer(&path, Answer::Bytes(MANIFEST, bytes.clone()));
        }
        let layer = layer["digest"].as_str().unwrap();
        (bytes, format!("/v2/{repository}/blobs/{layer}"))
    }

    pub(crate) fn reference(&self, name: &str) -> ImageRef {
        format!("{}/{name}", self.address).parse().unwrap()
    }
}

/// A tar with one file whose bytes differ everywhere.
fn archive(size: usize) -> Vec<u8> {
    let content: Vec<u8> = (0..size / 8).flat_map(|n| (n as u64 ^ 0x5a5a).to_le_bytes()).collect();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "file", content.as_slice()).unwrap();
    tar.into_inner().unwrap()
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    tandem_model::Digest::from_sha256(&sha2::Sha256::digest(bytes).into()).to_string()
}

fn serve(stream: TcpStream, shared: &Shared) -> Option<()> {
    // TLS is not spoken here.
    let mut first = [0];
    if stream.peek(&mut first).ok()? == 0 || first[0] == 0x16 {
        return None;
    }
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    while let Some(asked) = request(&mut reader) {
        shared.asked.lock().unwrap().push(asked.clone());
        respond(&mut stream, shared, &asked)?;
    }
    None
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        lines.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let mut body = vec![0; header("content-length").map_or(0, |it| it.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let mut words = lines.first()?.split(' ');
    Some(Asked {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        authorization: header("authorization"),
        range: header("range"),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn respond(stream: &mut TcpStream, shared: &Shared, asked: &Asked) -> Option<()> {
    let path = asked.path.split('?').next()?.to_owned();
    if let Some((wanted, challenge)) = shared.guard.lock().unwrap().clone()
        && path.starts_with("/v2/")
        && asked.authorization.as_ref() != Some(&wanted)
    {
        return answer(stream, "401 No", &challenge, b"");
    }
    let fault = shared.faults.lock().unwrap().get_mut(&path).and_then(VecDeque::pop_front);
    let found = shared.answers.lock().unwrap().get(&path).cloned();
    match (fault, found) {
        (Some(Fault::Status(status, headers)), _)
        | (None, Some(Answer::Status(status, headers))) => answer(stream, status, &headers, b""),
        (fault, Some(Answer::Bytes(kind, bytes))) => {
            bytes_or_part(stream, asked, fault.as_ref(), kind, &bytes)
        }
        (_, Some(Answer::Redirect(to))) => {
            answer(stream, "307 Moved", &format!("Location: {to}\r\n"), b"")
        }
        _ => answer(stream, "404 Not Found", "", b""),
    }
}

fn bytes_or_part(
    stream: &mut TcpStream,
    asked: &Asked,
    fault: Option<&Fault>,
    kind: &str,
    bytes: &[u8],
) -> Option<()> {
    let kind = format!("Content-Type: {kind}\r\n");
    let begin = asked
        .range
        .as_deref()
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let begin = begin.filter(|_| !matches!(fault, Some(Fault::Whole)));
    let mut part = bytes[begin.unwrap_or(0).min(bytes.len())..].to_vec();
    let mut first = begin.unwrap_or(0);
    match fault {
        Some(Fault::OtherPart) => (part, first) = (bytes[1..].to_vec(), 1),
        Some(Fault::WrongBytes) => part.iter_mut().for_each(|byte| *byte ^= 1),
        Some(Fault::Cut(count)) => {
            let status = if begin.is_some() { "206 Part" } else { "200 OK" };
            let (last, total) = (bytes.len() - 1, bytes.len());
            let range = format!("Content-Range: bytes {first}-{last}/{total}\r\n");
            let length = format!("Content-Length: {}\r\n", part.len());
            write!(stream, "HTTP/1.1 {status}\r\n{kind}{range}{length}\r\n").ok()?;
            stream.write_all(&part[..*count]).ok()?;
            return None;
        }
        _ => {}
    }
    if begin.is_none() {
        return answer(stream, "200 OK", &kind, &part);
    }
    let last = first + part.len() - 1;
    let range = format!("{kind}Content-Range: bytes {first}-{last}/{}\r\n", bytes.len());
    answer(stream, "206 Partial Content", &range, &part)
}

fn answer(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> Option<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n").ok()?;
    stream.write_all(body).ok()
}
