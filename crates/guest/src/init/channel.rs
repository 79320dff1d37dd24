//! The channel to the host, a virtio-serial port.

use std::{
    fs::File,
    io,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use super::modules;
use crate::agent::open_port;

/// How long it may take to appear after its driver was loaded: an emulated
/// guest on a busy machine is slow.
const LIMIT: Duration = Duration::from_mins(1);

/// The channel's drivers, opened while the initial RAM disk is in reach.
pub(crate) struct Drivers(Vec<File>);

impl Drivers {
    /// Opens them.
    pub(crate) fn open(names: &[String]) -> io::Result<Self> {
        let dir = Path::new(tandem_guest::wire::MODULE_DIR);
        Ok(Self(names.iter().map(|name| File::open(dir.join(name))).collect::<Result<_, _>>()?))
    }

    /// Loads them and opens the channel, for reading and writing without
    /// waiting.
    pub(crate) fn connect(&self) -> io::Result<File> {
        for file in &self.0 {
            modules::load_file(file)?;
        }
        wait()
    }
}

/// Opens the channel once its driver has found it.
pub(crate) fn wait() -> io::Result<File> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match open_port() {
            Ok(port) => return Ok(port),
            Err(e) if Instant::now() >= deadline => return Err(e),
            Err(_) => sleep(Duration::from_millis(1)),
        }
    }
}
