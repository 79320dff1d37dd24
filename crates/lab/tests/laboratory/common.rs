//! Scripted lanes and the small servers behind them.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use tandem_backend::{Backend, BackendError};
use tandem_lab::{LaneSetup, Plan};
use tandem_model::{
    BackendKind, Digest, InstanceSpec, Lane, PortMap, Protocol, Resources, Subject,
};
use tokio::sync::watch;

use crate::fake::FakeBackend;

pub(crate) type Journal = Arc<Mutex<Vec<String>>>;

pub(crate) fn watch() -> (watch::Sender<bool>, watch::Receiver<bool>) {
    watch::channel(false)
}

pub(crate) fn plan(trials: u32, seed: u64) -> Plan {
    let subject = Subject {
        name: "hello-flask".to_owned(),
        image: "hello-flask:latest".to_owned(),
        digest: Digest::from_sha256(&[7; 32]),
        base: None,
        base_substituted: false,
    };
    Plan { trials, seed, time_limit: Duration::from_secs(20), ..Plan::new("compare", subject) }
}

pub(crate) fn lane(
    kind: BackendKind,
    journal: &Journal,
    serve: impl Fn(&InstanceSpec) -> Result<u16, BackendError> + Send + Sync + 'static,
) -> FakeBackend {
    FakeBackend::new(kind, journal.clone(), serve)
}

pub(crate) fn setup(lane: Lane, backend: Arc<dyn Backend>) -> LaneSetup {
    let port = PortMap::anywhere(8080, Protocol::Tcp);
    let spec = InstanceSpec {
        name: format!("hello-{}", lane.backend),
        backend: lane.backend,
        profile: lane.profile,
        accelerator: lane.accelerator,
        image: "hello-flask:latest".to_owned(),
        digest: Digest::from_sha256(&[7; 32]),
        args: vec!["python".to_owned()],
        env: Vec::new(),
        cwd: "/".to_owned(),
        user: String::new(),
        stop_signal: "SIGTERM".to_owned(),
        stop_timeout_s: 10,
        ports: vec![port],
        resources: Resources::default(),
        hostname: None,
        remove: false,
        owner: None,
        labels: BTreeMap::new(),
        options: tandem_model::InstanceOptions::default(),
    };
    LaneSetup::new(lane, spec, backend)
}

/// A container and a machine whose apps answer.
pub(crate) fn lanes(journal: &Journal) -> Vec<LaneSetup> {
    let one = lane(BackendKind::Container, journal, app("hello"));
    let two = lane(BackendKind::Vm, journal, app("hello"));
    vec![setup(Lane::CONTAINER, Arc::new(one)), setup(Lane::VM_MICRO, Arc::new(two))]
}

/// An app that opens its port 30 ms after its start and answers with `body`.
pub(crate) fn app(
    body: &'static str,
) -> impl Fn(&InstanceSpec) -> Result<u16, BackendError> + Send + Sync + 'static {
    move |spec| Ok(serve(spec, body, 30))
}

/// An app that opens its port so many milliseconds after its start.
pub(crate) fn slow_app(
    delay_ms: u64,
) -> impl Fn(&InstanceSpec) -> Result<u16, BackendError> + Send + Sync + 'static {
    move |spec| Ok(serve(spec, "hello", delay_ms))
}

/// An app that never listens.
#[expect(clippy::unnecessary_wraps, reason = "the shape that the fake wants")]
pub(crate) fn never(spec: &InstanceSpec) -> Result<u16, BackendError> {
    Ok(spec.ports[0].host_port)
}

fn serve(spec: &InstanceSpec, body: &'static str, delay_ms: u64) -> u16 {
    let port = spec.ports[0].host_port;
    assert_ne!(port, 0, "the laboratory chooses the port");
    assert!(spec.owner.is_some(), "a trial's instance ends with the program");
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(delay_ms));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer);
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        }
    });
    port
}
