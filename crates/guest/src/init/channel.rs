//! The channel to the host, a virtio-serial port.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use super::modules;

/// Ports that the driver has found. There is one; its number depends on the
/// other devices.
const PORTS: &str = "/sys/class/virtio-ports";

/// How long it may take to appear after its driver was loaded.
const LIMIT: Duration = Duration::from_secs(10);

/// The channel's drivers, opened while the initial RAM disk is in reach.
pub(super) struct Drivers(Vec<File>);

impl Drivers {
    /// Opens them.
    pub(super) fn open(names: &[String]) -> io::Result<Self> {
        let dir = Path::new(tandem_guest::wire::MODULE_DIR);
        Ok(Self(names.iter().map(|name| File::open(dir.join(name))).collect::<Result<_, _>>()?))
    }

    /// Loads them and opens the channel, for reading and writing without
    /// waiting.
    pub(super) fn connect(&self) -> io::Result<File> {
        for file in &self.0 {
            modules::load_file(file)?;
        }
        let deadline = Instant::now() + LIMIT;
        loop {
            match port() {
                Ok(port) => return Ok(port),
                Err(e) if Instant::now() >= deadline => return Err(e),
                Err(_) => sleep(Duration::from_millis(1)),
            }
        }
    }
}

fn port() -> io::Result<File> {
    let mut ports = fs::read_dir(PORTS)?;
    let port = ports.next().ok_or(io::ErrorKind::NotFound)??;
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(Path::new("/dev").join(port.file_name()))
}
