//! Waiting for something to become true.

use std::{
    net::{Ipv4Addr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Asks every 50 ms until `probe` finds something or the limit is over.
pub fn until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(found) = probe() {
            return Ok(found);
        }
        if begin.elapsed() > limit {
            bail!("{what}: not within {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The body of the first HTTP 200 at this port of loopback.
pub fn first_body(port: u16, limit: Duration) -> Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    until(&format!("an answer at {address}"), limit, || {
        let asked = tandem_probe::get(address, "/", Duration::from_secs(5));
        let body = runtime.block_on(asked).ok().filter(|body| body.status == 200)?;
        Some(String::from_utf8_lossy(&body.bytes).into_owned())
    })
}
