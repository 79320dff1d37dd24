//! Our end of the channel: what waits to be sent, and what came in part.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use tandem_guest::wire::{Frame, Frames, FromGuest, LONGEST, PORT_NAME, Stream, ToGuest};

/// Ports that the driver has found. Their numbers depend on other devices;
/// their names do not.
const PORTS: &str = "/sys/class/virtio-ports";

/// Data that waits for the host. Beyond it whoever writes waits.
const MOST_PENDING: usize = 256 * 1024;

/// Opens the channel, for reading and writing without waiting.
pub(crate) fn open_port() -> io::Result<File> {
    for port in fs::read_dir(PORTS)? {
        let port = port?;
        let name = fs::read_to_string(port.path().join("name")).unwrap_or_default();
        if name.trim_end() == PORT_NAME {
            return OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
                .open(Path::new("/dev").join(port.file_name()));
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// The channel with its buffers.
pub(super) struct Link {
    /// `None` when the channel failed: the app runs nevertheless, unheard.
    channel: Option<File>,
    /// Bytes for the host.
    pending: Vec<u8>,
    /// Bytes from the host.
    requests: Frames,
    /// The channel has no other end just now.
    pub(super) alone: bool,
    /// The host wants silence: what would be said waits here.
    held: Option<Vec<u8>>,
}

impl Link {
    pub(super) fn new(channel: Option<File>) -> Self {
        Self { channel, pending: Vec::new(), requests: Frames::default(), alone: false, held: None }
    }

    /// Says nothing more after what is pending.
    pub(super) fn be_silent(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Talks again, to the same host; another one is spared what was held.
    pub(super) fn talk(&mut self, fresh: bool) {
        let held = self.held.take().unwrap_or_default();
        if !fresh {
            self.pending.extend(held);
        }
    }

    pub(super) fn is_silent(&self) -> bool {
        self.held.is_some()
    }

    /// The channel, while somebody may be at its other end.
    pub(super) fn port(&self) -> Option<&File> {
        self.channel.as_ref().filter(|_| !self.alone)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() || self.channel.is_none()
    }

    /// Whether there is room for more data.
    pub(super) fn takes_data(&self) -> bool {
        self.pending.len() <= MOST_PENDING && !self.is_silent()
    }

    /// Says something about a task.
    pub(super) fn say(&mut self, task: u32, message: FromGuest) {
        self.push(&Frame::message(task, message));
    }

    /// Sends output of a task.
    pub(super) fn send(&mut self, task: u32, stream: Stream, bytes: &[u8]) {
        for piece in bytes.chunks(LONGEST) {
            self.push(&Frame::data(task, stream, piece.to_vec()));
        }
    }

    fn push(&mut self, frame: &Frame<FromGuest>) {
        if self.channel.is_some() {
            let queue = self.held.as_mut().unwrap_or(&mut self.pending);
            queue.extend(frame.to_bytes().unwrap_or_default());
        }
    }

    /// Reads what came.
    pub(super) fn receive(&mut self) -> Vec<Frame<ToGuest>> {
        let mut buffer = [0; 16 * 1024];
        let Some(channel) = &mut self.channel else { return Vec::new() };
        let Ok(count) = channel.read(&mut buffer) else { return Vec::new() };
        self.requests.push(&buffer[..count]);
        let mut received = Vec::new();
        while let Some(frame) = self.requests.next_frame() {
            match frame {
                Ok(frame) => received.push(frame),
                // The host is the one side that is trusted; one that speaks
                // otherwise is heard no further.
                Err(_) => {
                    self.requests = Frames::default();
                    break;
                }
            }
        }
        received
    }

    /// Writes as much as the channel takes.
    pub(super) fn write(&mut self) {
        let Some(channel) = &mut self.channel else { return };
        if self.pending.is_empty() {
            return;
        }
        match channel.write(&self.pending) {
            Ok(count) => drop(self.pending.drain(..count)),
            Err(e)
                if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.alone = true,
        }
    }
}
