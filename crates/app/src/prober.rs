//! What clients of an app see while something is done to it.

use std::{net::SocketAddr, time::Duration};

use tandem_model::{InstanceRecord, PortMap, Protocol};
use tandem_probe::{Shot, get, open_loop};
use tokio::{sync::oneshot, task::JoinHandle};

/// How long one of them may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(2);

/// Requests that are sent all along; none when the app answers no HTTP.
pub(crate) struct Prober(Option<Requests>);

struct Requests {
    interval: Duration,
    stop: oneshot::Sender<()>,
    shots: JoinHandle<Vec<Shot>>,
}

impl Prober {
    /// Begins with a request each `interval`, when the app of this instance
    /// answers.
    pub(crate) async fn start(record: &InstanceRecord, interval: Duration) -> Self {
        let Some(address) = record.ports.iter().find_map(reachable) else { return Self(None) };
        if !record.state.is_up()
            || !get(address, "/", ANSWER).await.is_ok_and(|body| body.status == 200)
        {
            return Self(None);
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let end = async { drop(stopped.await) };
        let shots = tokio::spawn(open_loop(address, "/", interval, ANSWER, end));
        Self(Some(Requests { interval, stop, shots }))
    }

    /// Whether the app answers.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Ends, and returns the requests.
    pub(crate) async fn finish(self) -> Option<Vec<Shot>> {
        let Requests { interval, stop, shots } = self.0?;
        // One more request after the last answer closes a gap for certain.
        tokio::time::sleep(interval * 3).await;
        let _ = stop.send(());
        shots.await.ok()
    }
}

/// The longest time from a request to its answer, in nanoseconds.
pub(crate) fn longest_wait(shots: &[Shot]) -> Option<u64> {
    let answered = shots.iter().filter(|shot| shot.error.is_none());
    answered.map(|shot| shot.ended.since(shot.intended)).max()
}

/// Where a published port is reached from here.
pub(crate) fn reachable(port: &PortMap) -> Option<SocketAddr> {
    let any = port.host_ip.is_unspecified();
    let ip = if any { std::net::Ipv4Addr::LOCALHOST.into() } else { port.host_ip };
    (port.protocol == Protocol::Tcp && port.host_port != 0)
        .then_some(SocketAddr::new(ip, port.host_port))
}
