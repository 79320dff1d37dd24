//! A small client of the engines' API: HTTP/1.1 over one unix socket, a
//! connection for each request.

use std::{
    future::poll_fn,
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Bytes, Incoming},
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::UnixStream,
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::body::Sent;

/// How long an engine may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long it may take to answer a question: it looks something up.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);

/// How long an engine has to settle before it is asked again.
pub(crate) const AGAIN: Duration = Duration::from_millis(20);

/// The longest answer that is kept in memory.
const LONGEST: usize = 16 << 20;

/// What can go wrong between a request and its answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// Nobody answers at the socket.
    #[error("{path} does not answer: {source}")]
    Unreachable { path: PathBuf, source: std::io::Error },
    /// Somebody took the connection and says nothing.
    #[error("what listens at {path} has given no answer for {} s", limit.as_secs())]
    Silent { path: PathBuf, limit: Duration },
    /// The connection was cut, or what came over it is no HTTP.
    #[error("the connection to the engine broke off: {0}")]
    Broken(#[from] hyper::Error),
    /// The engine refused; its own words.
    #[error("{message}")]
    Refused { status: StatusCode, message: String },
    /// The answer is not what the API promises.
    #[error("the engine answers what the API does not know: {0}")]
    Strange(String),
}

impl ApiError {
    /// Whether the engine said that there is no such thing.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::NOT_FOUND, .. })
    }

    /// Whether it said that the thing's state forbids it.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::CONFLICT, .. })
    }

    /// Whether it failed because a process ended while it was looked at.
    pub(crate) fn is_of_an_ended_process(&self) -> bool {
        let told = |it: &str| it.contains("/proc/") && it.ends_with(": no such process");
        matches!(self, Self::Refused { status: StatusCode::INTERNAL_SERVER_ERROR, message }
            if told(message))
    }
}

/// The API behind a socket.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    socket: PathBuf,
}

impl Api {
    pub(crate) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.get_within(ANSWER_LIMIT, path).await
    }

    /// The same with a limit of its own.
    pub(crate) async fn get_within(&self, limit: Duration, path: &str) -> Result<Value, ApiError> {
        let asked = async { json(self.send(Method::GET, path, None).await?).await };
        let answer = timeout(limit, asked).await;
        answer.unwrap_or_else(|_| Err(ApiError::Silent { path: self.socket.clone(), limit }))
    }

    /// Asks again when the engine stumbled over a process that ended while it
    /// looked: Podman before 4.4 answers that it could not read the process's
    /// files (containers/podman#16383).
    pub(crate) async fn settled(&self, method: Method, path: &str) -> Result<Value, ApiError> {
        for _ in 0..20 {
            match self.send(method.clone(), path, None).await {
                Err(e) if e.is_of_an_ended_process() => sleep(AGAIN).await,
                answer => return json(answer?).await,
            }
        }
        json(self.send(method, path, None).await?).await
    }

    pub(crate) async fn post(&self, path: &str, body: Option<&Value>) -> Result<Value, ApiError> {
        let body = body.map(|value| Bytes::from(value.to_string()));
        json(self.send(Method::POST, path, body.map(|it| (it, "application/json"))).await?).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), ApiError> {
        json(self.send(Method::DELETE, path, None).await?).await.map(drop)
    }

    /// Sends a tar archive in pieces; the answer as text.
    pub(crate) async fn upload(
        &self,
        path: &str,
        pieces: mpsc::Receiver<Bytes>,
    ) -> Result<String, ApiError> {
        let request = request(Method::POST, path, Some("application/x-tar"));
        let answer = self.exchange(request, Sent::Pieces(pieces)).await?;
        Ok(String::from_utf8_lossy(&collect(answer).await?).into_owned())
    }

    /// Asks for a stream, which ends when the engine closes it.
    pub(crate) async fn stream(&self, path: &str) -> Result<Incoming, ApiError> {
        self.send(Method::POST, path, None).await.map(Response::into_body)
    }

    /// The same with a request of its own.
    pub(crate) async fn stream_of(&self, path: &str, body: &Value) -> Result<Incoming, ApiError> {
        let body = Bytes::from(body.to_string());
        let answer = self.send(Method::POST, path, Some((body, "application/json"))).await;
        answer.map(Response::into_body)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(Bytes, &str)>,
    ) -> Result<Response<Incoming>, ApiError> {
        let kind = body.as_ref().map(|(_, kind)| *kind);
        let request = request(method, path, kind);
        self.exchange(request, Sent::Whole(body.map(|(bytes, _)| bytes))).await
    }

    async fn exchange(
        &self,
        request: hyper::http::request::Builder,
        body: Sent,
    ) -> Result<Response<Incoming>, ApiError> {
        let unreachable = |source| ApiError::Unreachable { path: self.socket.clone(), source };
        let late = |_| unreachable(std::io::ErrorKind::TimedOut.into());
        let connecting = timeout(CONNECT_LIMIT, UnixStream::connect(&self.socket));
        let stream = connecting.await.map_err(late)?.map_err(unreachable)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the answer's body.
        tokio::spawn(connection);
        let request = request.body(body).map_err(|e| ApiError::Strange(e.to_string()))?;
        let answer = sender.send_request(request).await?;
        if answer.status().is_success() || answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        let status = answer.status();
        let text = collect(answer).await?;
        Err(ApiError::Refused { status, message: message(status, &text) })
    }
}

fn request(method: Method, path: &str, kind: Option<&str>) -> hyper::http::request::Builder {
    let request = Request::builder().method(method).uri(path).header(HOST, "localhost");
    match kind {
        Some(kind) => request.header(CONTENT_TYPE, kind),
        None => request,
    }
}

/// The engine's own sentence, `{"message": …}`.
fn message(status: StatusCode, text: &[u8]) -> String {
    let told = serde_json::from_slice::<Value>(text).ok();
    let told = told.as_ref().and_then(|it| it["message"].as_str().or(it["cause"].as_str()));
    match told.map(str::trim).filter(|it| !it.is_empty()) {
        Some(told) => told.to_owned(),
        None => format!("it answers {status}"),
    }
}

async fn json(answer: Response<Incoming>) -> Result<Value, ApiError> {
    let bytes = collect(answer).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    // What a verb answers besides its status (`OK`) is of no use.
    Ok(serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn collect(answer: Response<Incoming>) -> Result<Vec<u8>, ApiError> {
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    while let Some(piece) = next(&mut body).await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > LONGEST {
            return Err(ApiError::Strange("more than 16 MiB".to_owned()));
        }
    }
    Ok(bytes)
}

/// The next piece of an answer; `None` at its end.
pub(crate) async fn next(body: &mut Incoming) -> Result<Option<Bytes>, ApiError> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            None => return Ok(None),
            Some(Err(e)) => return Err(e.into()),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::UnixListener,
    };

    use super::*;

    /// An engine that gives these answers, one to each connection.
    async fn ask(answers: &[&str]) -> Result<Value, ApiError> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let engine = async {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 512];
                let _ = stream.read(&mut request).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let api = Api::new(&socket);
        tokio::join!(api.settled(Method::GET, "/version"), engine).0
    }

    #[tokio::test]
    async fn answers_are_values_and_refusals_are_the_engines_words() {
        let fine = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\": 1}\n";
        assert_eq!(ask(&[fine]).await.unwrap()["a"], 1);
        let none = "HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\n{\"message\": \"none\"}";
        let error = ask(&[none]).await.unwrap_err();
        assert!(error.is_missing() && error.to_string() == "none", "{error}");
        let bare = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
        assert!(ask(&[bare]).await.unwrap_err().to_string().contains("500"));
        assert!(matches!(ask(&["SSH-2.0\r\n\r\n"]).await, Err(ApiError::Broken(_))));
    }

    #[tokio::test]
    async fn an_engine_that_stumbles_over_an_ended_process_is_asked_again() {
        let refusal = |told: &str| {
            let (head, length) = ("HTTP/1.1 500 Internal Server Error", told.len() + 15);
            format!("{head}\r\nContent-Length: {length}\r\n\r\n{{\"message\": \"{told}\"}}")
        };
        let fine = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n7";
        let stumbling = refusal("read /proc/9742/cgroup: no such process");
        assert_eq!(ask(&[&stumbling, &stumbling, fine]).await.unwrap(), 7);
        // Other refusals are told at once.
        let other = ask(&[&refusal("no such process: web")]).await.unwrap_err();
        assert_eq!(other.to_string(), "no such process: web");
    }

    #[tokio::test]
    async fn one_that_takes_a_connection_and_says_nothing_is_not_waited_for_forever() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("silent.sock");
        let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let limit = Duration::from_millis(50);
        let error = Api::new(&socket).get_within(limit, "/version").await.unwrap_err();
        assert!(matches!(error, ApiError::Silent { .. }), "{error}");
        assert!(error.to_string().contains("silent.sock has given no answer"), "{error}");
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let flood = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
            stream.write_all(head).await.unwrap();
            while stream.write_all(&[b' '; 8 << 10]).await.is_ok() {}
        };
        let api = Api::new(&socket);
        let (error, ()) = tokio::join!(api.get("/version"), flood);
        assert!(error.unwrap_err().to_string().contains("more than 16 MiB"));
    }

    #[tokio::test]
    async fn a_socket_without_an_engine_is_named() {
        let error = Api::new(Path::new("/nowhere/engine.sock")).get("/version").await.unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/engine.sock does not answer"), "{error}");
    }
}
