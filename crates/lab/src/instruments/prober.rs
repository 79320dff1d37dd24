use std::{io, net::SocketAddr, time::Duration};

use tandem_model::HostInstant;
use tandem_probe::{
    FirstResponse, ReadyError, ReadyOptions, get, thread_cpu_ns, wait_for_first_response,
};
use tokio::sync::oneshot;

/// Asks an app until it answers, and then nine times more.
pub(crate) struct Prober {
    /// The first HTTP 200, or why there was none.
    pub(crate) first: oneshot::Receiver<Result<FirstResponse, ReadyError>>,
    /// What came after it.
    pub(crate) rest: oneshot::Receiver<Asked>,
    /// Dropping it ends the thread.
    _stop: oneshot::Sender<()>,
}

/// What the prober saw after the first answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// When the last byte of the tenth answer was read, or why it was not.
    pub(crate) tenth: Result<HostInstant, String>,
    /// Processor time of the prober until the first answer, nanoseconds.
    pub(crate) cpu_ns: u64,
}

/// Further requests after the first.
const MORE: usize = 9;

impl Prober {
    /// Begins to ask at once.
    pub(crate) fn start(addr: SocketAddr, path: &str, limit: Duration) -> io::Result<Self> {
        let (first_sender, first) = oneshot::channel();
        let (rest_sender, rest) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let path = path.to_owned();
        let options = ReadyOptions { limit, ..ReadyOptions::default() };
        super::on_thread("tandem-prober", move || async move {
            let work = async {
                let found = wait_for_first_response(addr, &path, options).await;
                let cpu_ns = thread_cpu_ns();
                let answered = found.is_ok();
                let _ = first_sender.send(found);
                if answered {
                    let _ = rest_sender.send(Asked { tenth: tenth(addr, &path).await, cpu_ns });
                }
            };
            tokio::select! {
                () = work => {}
                _ = stopped => {}
            }
        })?;
        Ok(Self { first, rest, _stop: stop })
    }
}

async fn tenth(addr: SocketAddr, path: &str) -> Result<HostInstant, String> {
    let mut last = Err("nothing was asked".to_owned());
    for number in 2..2 + MORE {
        let answer = get(addr, path, Duration::from_secs(10)).await;
        let answer = answer.map_err(|e| format!("request {number} failed: {e}"))?;
        if answer.status != 200 {
            return Err(format!("request {number} was answered with HTTP {}", answer.status));
        }
        last = Ok(answer.at);
    }
    last
}
